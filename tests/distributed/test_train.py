"""`rather train` on several ranks, from the command line: what it prints, refuses and survives."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from rather.cli import main
from rather.training.run import train
from tests.conftest import WriteFile
from tests.distributed.cases import PAIRS
from tests.distributed.launching import Ended, ended, start

OPTIONS = ["--lr", "1e-3", "--epochs", "12", "--batch-pairs", "4", "--warmup", "0", "--save-every", "5"]
UPDATES = 36


def command(file: Path, tiny: Path, out: Path, *more: str) -> list[str]:
    return ["-m", "rather", "train", str(file), "--model", str(tiny), "--out", str(out), *OPTIONS, *more]


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "model" / "model.safetensors")


def close(ours: Path, theirs: Path, most: float) -> None:
    one, two = weights(ours), weights(theirs)
    assert max(float((one[key] - two[key]).abs().max()) for key in one) <= most


def said(end: Ended) -> list[str]:
    return [line for line in end.err.splitlines() if line.startswith("rather: ")]


@pytest.fixture(scope="module")
def undisturbed(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run on two ranks that nothing happens to, with its file beside it; what its ranks print is looked at here."""
    folder = tmp_path_factory.mktemp("undisturbed")
    file = folder / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in PAIRS))
    first, second = ended(start(command(file, tiny, folder / "out"), size=2))
    assert (first.status, second.status) == (0, 0), first.err
    assert (second.out, second.err) == ("", ""), "one rank speaks"
    assert first.out.startswith(f"{UPDATES} updates, loss ")
    assert ", 2 ranks" in first.err
    return folder


def killed_after(processes: list[subprocess.Popen[str]], out: Path, updates: int, rank: int) -> list[Ended]:
    """How the ranks end when one is killed once so many updates are written."""
    metrics = out / "metrics.jsonl"
    began = time.monotonic()
    while not metrics.is_file() or len(metrics.read_text().splitlines()) < updates:
        assert time.monotonic() - began < 200
        assert all(process.poll() is None for process in processes)
        time.sleep(0.002)
    processes[rank].send_signal(signal.SIGKILL)
    return ended(processes)


def test_a_killed_rank_costs_the_updates_since_the_last_checkpoint(
    undisturbed: Path, tiny: Path, tmp_path: Path
) -> None:
    out, file = tmp_path / "out", undisturbed / "pairs.jsonl"
    first, second = killed_after(start(command(file, tiny, out), size=2), out, 7, rank=1)
    assert (first.status, second.status) == (2, -9)
    (line,) = said(first)
    assert re.match(
        r"rather: rank 1 \(.*\) is gone: killed, .*the same command goes on from the last checkpoint$", line
    )
    again, quiet = ended(start(command(file, tiny, out), size=2))
    assert (again.status, quiet.status, quiet.err) == (0, 0, "")
    assert re.search(rf"goes on after update (5|10|15|20|25|30|35) of {UPDATES}", again.err)
    close(out, undisturbed / "out", 0.0)


@pytest.mark.slow
def test_a_checkpoint_of_sharded_ranks_is_gone_on_from_by_any_number(
    undisturbed: Path, tiny: Path, tmp_path: Path
) -> None:
    out, file = tmp_path / "out", undisturbed / "pairs.jsonl"
    killed_after(start(command(file, tiny, out, "--shard"), size=2), out, 7, rank=1)
    killed_after(start(command(file, tiny, out, "--shard"), size=3), out, 17, rank=0)
    close_to_end = killed_after(start(command(file, tiny, out), size=2), out, 27, rank=1)
    assert "goes on after update 15" in close_to_end[0].err or "goes on after update 20" in close_to_end[0].err
    assert main(command(file, tiny, out)[2:]) == 0
    close(out, undisturbed / "out", 1e-5)


def test_ranks_that_were_asked_for_different_things_make_nothing(
    undisturbed: Path, tiny: Path, tmp_path: Path, write_file: WriteFile
) -> None:
    out, file = tmp_path / "out", undisturbed / "pairs.jsonl"
    other = command(file, tiny, out)
    other[other.index("1e-3")] = "2e-3"
    for commands, key in (({1: other}, "lr 0.002"), ({1: command(write_file(PAIRS[:9]), tiny, out)}, "pairs ")):
        first, second = ended(start(command(file, tiny, out), size=2, commands=commands))
        assert (first.status, second.status, second.err) == (2, 2, "")
        (line,) = said(first)
        assert re.match(
            rf"rather: rank 1 \(.*\) has {key}.*, and rank 0 has .*; start every rank with the same command", line
        )
        assert not out.exists()


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ({"shard": True}, "--shard does nothing in one process; start several ranks with torchrun"),
        ({"rank_timeout": 60}, "--rank-timeout does nothing in one process; start several ranks with torchrun"),
    ],
    ids=str,
)
def test_options_of_ranks_do_nothing_in_one_process(
    tiny: Path, tmp_path: Path, write_file: WriteFile, option: dict[str, Any], reason: str
) -> None:
    from rather.errors import ConfigError

    with pytest.raises(ConfigError, match=reason):
        train(write_file(PAIRS), model=str(tiny), out=tmp_path / "out", **option)


@pytest.mark.slow
def test_torchrun_starts_a_run_again_by_itself(undisturbed: Path, tiny: Path, tmp_path: Path) -> None:
    out, file = tmp_path / "out", undisturbed / "pairs.jsonl"
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "1"]
    run = subprocess.Popen(
        [sys.executable, *torchrun, *command(file, tiny, out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "RATHER_DEVICE": "cpu", "OMP_NUM_THREADS": "1"},
    )
    metrics = out / "metrics.jsonl"
    while not metrics.is_file() or len(metrics.read_text().splitlines()) < 7:
        assert run.poll() is None
        time.sleep(0.002)
    ranks = subprocess.run(["pgrep", "-P", str(run.pid)], capture_output=True, text=True, check=True).stdout.split()
    os.kill(int(ranks[-1]), signal.SIGKILL)
    _, err = run.communicate(timeout=300)
    assert run.returncode == 0, err
    assert "goes on after update" in err
    close(out, undisturbed / "out", 0.0)
