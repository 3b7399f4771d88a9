"""`rather train` on several ranks, from the command line: what it prints, refuses and survives."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

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


def wait_for(metrics: Path, updates: int, processes: Sequence[subprocess.Popen[str]]) -> None:
    """Until so many updates are written. Looks are counted, not seconds: a machine may have been busy with other things."""
    for _ in range(60_000):
        if metrics.is_file() and len(metrics.read_text().splitlines()) >= updates:
            return
        if any(process.poll() is not None for process in processes):
            break
        time.sleep(0.003)
    for process in processes:
        process.kill()
    raise AssertionError([process.communicate() for process in processes])


def killed_after(processes: list[subprocess.Popen[str]], out: Path, updates: int, rank: int) -> list[Ended]:
    """How the ranks end when one is killed once so many updates are written."""
    metrics = out / "metrics.jsonl"
    wait_for(metrics, updates, processes)
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


@pytest.fixture(scope="module")
def sharded(undisturbed: Path, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two ranks with sharded weights that was killed, with its checkpoint."""
    out, file = tmp_path_factory.mktemp("sharded") / "out", undisturbed / "pairs.jsonl"
    killed_after(start(command(file, tiny, out, "--shard"), size=2), out, 17, rank=1)
    return out


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("shard", [False, True], ids=["whole", "sharded"])
def test_what_two_sharded_ranks_kept_is_gone_on_from(
    undisturbed: Path, sharded: Path, tiny: Path, tmp_path: Path, ranks: int, shard: bool
) -> None:
    if shard and ranks == 1:
        pytest.skip("one process has nothing to shard")
    out = tmp_path / "out"
    shutil.copytree(sharded, out)
    own = command(undisturbed / "pairs.jsonl", tiny, out, *(["--shard"] if shard else []))
    if ranks == 1:
        ends = [Ended(run.returncode, run.stdout, run.stderr) for run in [alone(own)]]
    else:
        ends = ended(start(own, size=ranks))
    assert [end.status for end in ends] == [0] * ranks, ends[0].err
    assert re.search(rf"goes on after update (10|15|20) of {UPDATES}", ends[0].err)
    close(out, undisturbed / "out", 1e-5)


def alone(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """One process, as a user starts it."""
    own = {**os.environ, "RATHER_DEVICE": "cpu"}
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, env=own, check=False)


@pytest.mark.slow
def test_a_checkpoint_of_another_model_is_refused_in_one_line(undisturbed: Path, tiny: Path, tmp_path: Path) -> None:
    out, file = tmp_path / "out", undisturbed / "pairs.jsonl"
    killed_after(start(command(file, tiny, out), size=2), out, 7, rank=1)
    (kept,) = (out / "checkpoints").glob("step-*/weights.safetensors")
    mine = load_file(kept)
    names = {f"other.{name}": value for name, value in mine.items()}
    shapes = {name: torch.cat([value, value]) for name, value in mine.items()}
    for another in (names, shapes):
        save_file(another, kept)
        first, second = ended(start(command(file, tiny, out), size=2))
        assert (first.status, second.status, second.err) == (2, 2, "")
        assert re.match(r"rather: .*step-0000\d\d belongs to another model; remove it or", *said(first))
    assert not (out / "manifest.json").exists()


# A limit of the process is what a disk without room is to it; in bytes.
LIMITED = (
    "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0})); "
    "from rather.cli import main; sys.exit(main(sys.argv[1:]))"
)


@pytest.mark.parametrize(
    ("rank", "room", "line"),
    [
        (0, 60_000, r"rather: a file of .*out would become larger than is allowed; raise the limit"),
        (1, 300, r"rather: rank 1 \(.*\): the reference needs 0\.00 GB in .*references: no space left; free some"),
    ],
)
@pytest.mark.slow
def test_a_full_disk_on_one_rank_ends_all_in_one_line(
    undisturbed: Path, tiny: Path, tmp_path: Path, rank: int, room: int, line: str
) -> None:
    out, file = tmp_path / "out", undisturbed / "pairs.jsonl"
    own = command(file, tiny, out, *(["--stream"] if rank else []))
    limited = {rank: ["-c", LIMITED.format(room), *own[2:]]}
    # Two machines: what the first has in its cache does not help the second.
    env = {"RATHER_CACHE": str(tmp_path / "cache")}
    first, second = ended(start(own, size=2, commands=limited, env=env))
    assert (first.status, second.status, second.err) == (2, 2, ""), first.err
    assert re.match(line, *said(first))
    again, quiet = ended(start(own, size=2, env=env))
    assert (again.status, quiet.status, quiet.err) == (0, 0, ""), again.err
    close(out, undisturbed / "out", 0.0)


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
    wait_for(metrics, 7, [run])
    ranks = subprocess.run(["pgrep", "-P", str(run.pid)], capture_output=True, text=True, check=True).stdout.split()
    os.kill(int(ranks[-1]), signal.SIGKILL)
    _, err = run.communicate(timeout=300)
    assert run.returncode == 0, err
    assert "goes on after update" in err
    close(out, undisturbed / "out", 0.0)
