"""Runs on clusters: by hand, what must hold, and that docs/scaling.md says what the formulas say today."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.scaling import DOCS, lengths, margins, page
from rather.planning.cluster import DISK, checkpoints, scaled
from rather.planning.devices import Machines, parse_gpus
from rather.planning.engine import Setting
from rather.planning.shapes import read_shape
from rather.planning.workload import Workload

SHAPE = read_shape("Llama-3.2-1B")
SETTING = Setting(dtype="bf16", shard=True)


def _gpus(count: int) -> Machines:
    found = parse_gpus(f"{count}xH100")
    assert found is not None
    return found


def test_one_gpu_waits_for_nobody() -> None:
    work = Workload(10_000, 600, 240, batch_pairs=8)
    found = scaled(SHAPE, SETTING, work, _gpus(1))
    assert (found.waiting, found.unequal) == (0, 0)
    assert 0.5 < found.efficiency <= 1  # the optimiser's part is not computing
    assert found.seconds > found.training > 1250 * found.computing


def test_a_checkpoint_writes_weights_and_moments_once() -> None:
    """12 bytes a weight at 2 GB/s, however many GPUs; a GPU fails every 50,677 hours."""
    for ranks in (8, 1024):
        found = checkpoints(SHAPE, SETTING.with_(ranks=ranks))
        assert found.checkpoint == pytest.approx(12 * SHAPE.weights / DISK)
        assert found.between == pytest.approx(50_677 * 3600 / ranks, rel=1e-4)


def test_ranks_beyond_the_pairs_of_an_update_wait() -> None:
    few, many = (scaled(SHAPE, SETTING, Workload(10**6, 600, 240, batch_pairs=64), _gpus(n)) for n in (64, 128))
    assert many.efficiency < 0.6 * few.efficiency
    assert many.unequal > 0.9 * many.computing


@given(st.sampled_from([1, 8, 64, 512]), st.booleans(), st.integers(1, 16), st.integers(50, 5000))
def test_nothing_is_more_than_linear(ranks: int, shard: bool, each: int, tokens: int) -> None:
    setting = Setting(dtype="bf16", shard=shard)
    work = Workload(10**8, float(tokens), tokens * 0.4, batch_pairs=each * ranks)
    found = scaled(SHAPE, setting, work, _gpus(ranks), lengths=lengths(each * ranks))
    assert 0 < found.efficiency <= 1
    assert found.update >= found.computing
    assert found.lost > 0
    slower = scaled(SHAPE, setting, work, _gpus(ranks), lengths=lengths(each * ranks), between=5e9, spread=0.1)
    assert slower.update >= found.update
    assert slower.efficiency <= found.efficiency


def test_more_gpus_lose_more_to_failures() -> None:
    work = Workload(10**8, 600, 240, batch_pairs=8192)
    shares = [
        found.lost / found.training for found in (scaled(SHAPE, SETTING, work, _gpus(n)) for n in (8, 64, 512, 1024))
    ]
    assert shares == sorted(shares)


def test_margins_by_hand() -> None:
    assert margins([(1000, 3.0, 0.0), (2000, 5.0, 0.0), (12_000, 25.0, 0.0)]) == [2, 2]
    assert margins([]) == margins([(1000, 3.0, 0.0)]) == []


def test_the_page_says_what_the_formulas_say_today() -> None:
    written = (DOCS / "scaling.md").read_text(encoding="utf-8")
    assert page(written) == written, "run `python -m benchmarks.scaling`"
    for name in ("scaling-stages", "scaling-gpus", "scaling-failures"):
        assert (DOCS / f"{name}.svg").is_file()
        assert f"({name}.svg)" in written
