"""Intervals of nominal 95 % hold the truth in 93 to 97 % of samples: fewer draws of what benchmarks/coverage.py counts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest


@pytest.mark.slow
@pytest.mark.parametrize("number", range(17))
def test_coverage(number: int) -> None:
    """With 400 draws it is refuted only what certainly lies outside (p < 0.001 against the nearer limit)."""
    from benchmarks.coverage import CASES

    name, (case, promise) = list(CASES.items())[number]
    random = np.random.default_rng([11, number])
    hits = sum(case(random) for _ in range(400))
    assert binomtest(hits, 400, 0.93, alternative="less").pvalue > 0.001, (name, hits)
    assert promise == "least" or binomtest(hits, 400, 0.97, alternative="greater").pvalue > 0.001, (name, hits)


def test_every_case_is_counted() -> None:
    """The recorded results are of these cases, and all of them kept what they promise."""
    import json
    from pathlib import Path

    from benchmarks.coverage import CASES

    file = Path(__file__).parents[2] / "benchmarks" / "results" / "coverage.json"
    rows = json.loads(file.read_text(encoding="utf-8"))["coverage"]
    assert [row["interval"] for row in rows] == list(CASES)
    assert all(row["kept"] for row in rows), [row for row in rows if not row["kept"]]
    assert all(row["coverage"] >= 0.93 for row in rows)
    assert all(row["coverage"] <= 0.97 for row in rows if row["promises"] == "both")
    assert min(row["draws"] for row in rows) >= 1000
