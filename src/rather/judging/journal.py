"""What a judge has said so far, kept as it comes, so that a run that was killed goes on where it stopped."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rather.formats import Refusal, judgment_rows
from rather.formats.rows import Row
from rather.judging.base import Outcome

PREFIX = "journal-"


class Journal:
    """A file with a line for each prompt that a judge is done with, in the order of the prompts.

    done      how many prompts that is
    refused   responses that could not be judged
    unparsable   replies without a verdict
    counts    what happened how often
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done = 0
        self.refused: list[Refusal] = []
        self.unparsable: list[Refusal] = []
        self.counts: Counter[str] = Counter()
        self.facts: dict[str, Any] = {}
        whole = 0
        for line, entry in self._lines():
            whole += len(line)
            self._count(entry)
        if path.is_file() and path.stat().st_size > whole:  # the line that a kill cut off
            with path.open("r+b") as file:
                file.truncate(whole)
        self._file = path.open("ab")

    def add(self, outcome: Outcome) -> None:
        """Keep one prompt's outcome. It outlives this process from here on."""
        entry = {
            "judgments": list(judgment_rows(outcome.judgments)),
            "votes": list(judgment_rows(outcome.votes)),
            "refused": [[refusal.place, refusal.reason] for refusal in outcome.refused],
            "unparsable": [[refusal.place, refusal.reason] for refusal in outcome.unparsable],
            "counts": dict(outcome.counts),
            "facts": outcome.facts,
        }
        self._file.write(json.dumps(entry, ensure_ascii=False).encode("utf-8") + b"\n")
        self._file.flush()
        self._count(entry)

    def rows(self, name: str) -> Iterator[Row]:
        """The judgments, or the votes, of all prompts that are done."""
        for _, entry in self._lines():
            yield from entry[name]

    def close(self) -> None:
        self._file.close()

    def _count(self, entry: dict[str, Any]) -> None:
        self.done += 1
        self.counts.update(entry["counts"])
        self.facts |= entry["facts"]
        self.counts["judgments"] += len(entry["judgments"])
        self.refused += [Refusal(*said) for said in entry["refused"]]
        self.unparsable += [Refusal(*said) for said in entry["unparsable"]]

    def _lines(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    return
                yield line, json.loads(line)
