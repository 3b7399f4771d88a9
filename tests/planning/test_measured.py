"""Plans are compared with runs that were measured: with the formulas of today, memory within 15 % and time within 30 %."""

from __future__ import annotations

import pytest

from benchmarks.planning import CASES, planned
from benchmarks.scaling import results

RUNS = {run["case"]: run for run in results("planning.json")["runs"]}


def test_every_case_was_measured() -> None:
    assert set(RUNS) == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_a_plan_is_as_near_as_promised(case: str) -> None:
    run = RUNS[case]
    found = planned(run)
    assert found["memory_ratio"] == pytest.approx(1, abs=0.15)
    assert found["time_ratio"] == pytest.approx(1, abs=0.30)
    assert found["planned_gb"] == pytest.approx(run["planned_gb"]), (
        "plan again: python -m benchmarks.planning --from FILE"
    )
    assert all(count > 0 for count in run["micro_batches"])
