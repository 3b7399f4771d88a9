"""Whatever happens to a rank, the user reads one line, and every rank ends."""

from __future__ import annotations

import re
import socket
import time

import pytest
import torch

from rather.distributed import joining
from rather.distributed.joining import joined
from rather.distributed.ranks import ALONE
from rather.errors import ConfigError, TrainError
from tests.distributed.launching import Ended, ended, free_port, start

PLACE = r"\([^()]+, process \d+\)"


def play(scenario: str, *, limit: float = 60, size: int = 2) -> list[Ended]:
    return ended(start(["-m", "tests.distributed.worker", scenario, str(limit)], size=size), within=150)


def lines(end: Ended) -> list[str]:
    return [line for line in end.err.splitlines() if line.startswith("rather: ")]


def test_ranks_tell_each_other_everything() -> None:
    for end in play("nothing", size=3):
        assert (end.status, end.err) == (0, "")


def test_a_failure_on_one_rank_is_said_by_the_first_and_ends_all() -> None:
    first, second = play("fails")
    assert (first.status, second.status) == (2, 2)
    (line,) = lines(first)
    assert re.fullmatch(
        rf"rather: rank 1 {PLACE}: no space left for /out; free some and run the same command again", line
    )
    assert second.err == ""


def test_a_bug_on_one_rank_keeps_its_trace_and_ends_all() -> None:
    first, second = play("a bug")
    assert first.status == 2
    assert re.fullmatch(rf"rather: rank 1 {PLACE}: ValueError: seven is no colour", *lines(first))
    assert second.status == 1
    assert "Traceback" in second.err


def test_a_killed_rank_is_named() -> None:
    first, second, third = play("dies", size=3)
    assert third.status == -9
    assert (first.status, second.status, second.err) == (2, 2, "")
    (line,) = lines(first)
    assert re.match(rf"rather: rank 2 {PLACE} is gone: killed, out of memory, ", line)


def test_where_the_first_is_killed_the_next_says_so() -> None:
    first, second = play("the first dies")
    assert first.status == -9
    assert second.status == 2
    assert re.match(rf"rather: rank 0 {PLACE} is gone: killed, ", *lines(second))


def test_a_rank_that_stays_away_is_named_with_what_it_does() -> None:
    began = time.monotonic()
    processes = start(["-m", "tests.distributed.worker", "stays away", "4"], size=2)
    first = ended(processes[:1], within=100)[0]
    processes[1].kill()
    ended(processes[1:])
    assert first.status == 2
    (line,) = lines(first)
    assert re.match(rf"rather: waited \d+ s at: numbers; for rank 1 {PLACE}, which is at: breakfast; ", line)
    assert time.monotonic() - began < 100


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process as rank 0 of two."""
    for name, value in {
        "RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TORCHELASTIC_USE_AGENT_STORE", raising=False)
    monkeypatch.setattr(joining, "_MET", [])


def join(limit: float, device: str = "cpu") -> None:
    with joined(limit=limit, device=device):
        raise AssertionError("nobody else is there")


@pytest.mark.usefixtures("launched")
def test_a_rank_that_never_comes_is_named() -> None:
    with pytest.raises(TrainError, match=r"^rank 1 of 2 did not come within 1 s; look at the output of the machine"):
        join(1)


def test_a_port_in_use(launched: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("MASTER_PORT", str(port))
        with pytest.raises(
            TrainError, match=rf"^the port {port} is in use; choose another with torchrun --master-port$"
        ):
            join(5)


def test_nobody_at_the_meeting_place(launched: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(TrainError, match=r"2 ranks were to meet at 127\.0\.0\.1") as caught:
        join(1)
    assert caught.value.speaks, "there may be no rank 0 that could"


@pytest.mark.usefixtures("launched")
def test_more_ranks_than_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(
        ConfigError, match=r"^2 ranks on a machine with 1 GPU; say --nproc-per-node 1, or set RATHER_DEVICE=cpu$"
    ):
        join(5, "cuda")


def test_one_process_needs_no_group(launched: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does a single rank under a launcher."""
    monkeypatch.setenv("WORLD_SIZE", "1")
    with joined(limit=1, device="cpu") as ranks:
        assert ranks is ALONE
    monkeypatch.delenv("WORLD_SIZE")
    with joined(limit=1, device="cpu") as ranks:
        assert ranks is ALONE
        assert ranks.gathered(3, "threes") == [3]
        assert ranks.of_first(lambda: 4, "four") == 4
