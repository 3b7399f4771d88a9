"""The seam to a Ray cluster: results in order, errors as in one process, workers that die."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from rather.errors import ClusterError, InputError
from rather.onray import once
from rather.onray.cluster import Wanted
from rather.onray.spread import RETRIES, Workers

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

NUMBERS = list(range(40))


def squared(items: Sequence[int]) -> Iterator[tuple[int, int]]:
    return ((place, item * item) for place, item in enumerate(items))


def backwards(items: Sequence[int]) -> Iterator[tuple[int, int]]:
    return reversed(list(squared(items)))


def refusing_18(items: Sequence[int]) -> Iterator[tuple[int, int]]:
    for place, item in enumerate(items):
        if item == 18:
            raise InputError("file:18: is bad")
        yield place, item


def broken_at_18(items: Sequence[int]) -> Iterator[tuple[int, int]]:
    for place, item in enumerate(items):
        yield place, 1 // (item - 18)


def dying_once(folder: Path, items: Sequence[int]) -> Iterator[tuple[int, int]]:
    """At three of the numbers the worker dies, the first time that it comes there; every beginning is written down."""
    with (folder / "begun").open("a") as file:
        file.write(f"{items[0]}\n")
    for place, item in enumerate(items):
        mark = folder / str(item)
        if item in (5, 17, 33) and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        yield place, item


def dying_at_17(items: Sequence[int]) -> Iterator[tuple[int, int]]:
    for place, item in enumerate(items):
        if item == 17:
            os.kill(os.getpid(), signal.SIGKILL)
        yield place, item


def opened(items: Sequence[int]) -> Iterator[tuple[int, tuple[int, float]]]:
    """Which process, and a number that it drew when it was first asked."""
    for place, _ in enumerate(items):
        yield place, (os.getpid(), once.once(os.times).elapsed)


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(Wanted(2)) as two:
        yield two


def test_results_come_in_the_order_of_items(workers: Workers) -> None:
    found = list(workers.each(squared, NUMBERS, block=4, model=False))
    assert found == [(number, number**2) for number in NUMBERS]


def test_within_a_block_they_come_as_they_were_made(workers: Workers) -> None:
    found = list(workers.each(backwards, NUMBERS[:8], block=4, model=False))
    assert sorted(found) == [(number, number**2) for number in NUMBERS[:8]]


def test_what_a_worker_opens_it_keeps(workers: Workers) -> None:
    found = dict(workers.each(opened, NUMBERS, block=1, model=False))
    assert len(set(found.values())) == len({process for process, _ in found.values()}) <= 2


def test_an_error_is_raised_behind_the_results_before_it(workers: Workers) -> None:
    found = []
    with pytest.raises(InputError, match=r"^file:18: is bad$"):
        found.extend(workers.each(refusing_18, NUMBERS, block=4, model=False))
    assert found == [(number, number) for number in range(18)]


def test_a_bug_is_raised_with_the_trace_of_the_worker(workers: Workers) -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        list(workers.each(broken_at_18, NUMBERS, block=4, model=False))
    assert "broken_at_18" in raised.value.__notes__[0]


def test_a_dead_worker_loses_nothing_and_repeats_its_block(
    workers: Workers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = list(workers.each(partial(dying_once, tmp_path), NUMBERS, block=4, model=False))
    assert found == [(number, number) for number in NUMBERS]
    begun = sorted(int(line) for line in (tmp_path / "begun").read_text().splitlines())
    assert begun == sorted([*range(0, 40, 4), 4, 16, 32])  # each block once, and those of the three deaths once more
    assert capsys.readouterr().err.count("a worker died; the 4 that it was at were done again") == 3


def test_what_kills_every_worker_ends(workers: Workers) -> None:
    with pytest.raises(ClusterError, match=rf"a worker died {1 + RETRIES} times at the same 4 .* behind the first 16"):
        list(workers.each(dying_at_17, NUMBERS, block=4, model=False))
