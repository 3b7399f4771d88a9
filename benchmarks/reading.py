"""How fast a file of preferences is read, in rows a second: `python benchmarks/reading.py FILE [--times 5]`.

Processor time of this process, the best of several readings; records are made, checked and dropped again.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from rather.formats import Refusal, iter_examples


def seconds(path: Path) -> tuple[int, int, float]:
    """Rows, refused rows and processor seconds of one reading."""
    start = time.process_time()
    stream = iter_examples(path)
    refused = sum(isinstance(record, Refusal) for record in stream)
    return stream.rows, refused, time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--times", type=int, default=5)
    given = parser.parse_args()
    runs = [seconds(given.file) for _ in range(given.times)]
    rows, refused, best = min(runs, key=lambda run: run[2])
    print(f"{given.file.name}: {rows:,} rows ({refused} refused) in {best:.3f} s, {rows / best:,.0f} rows/s")


if __name__ == "__main__":
    main()
