"""A function called on every rank of a run, each a process that Ray Train places, and starts again where one of them is lost.

Ray Train says where the ranks are; RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT are set from it, and everything else is as under
torchrun.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from rather.errors import ClusterError, ConfigError, RankLost
from rather.onray.carried import Failed
from rather.onray.cluster import Wanted, connected, first_line, own_cores, package, wants_gpu
from rather.progress import say

T = TypeVar("T")

# How often all ranks are started again after one of them was lost.
RESTARTS = 20

# Seconds for the cluster to find room for all ranks, and how often it is waited for.
PLACING_SECONDS, PLACINGS = 120, 3

# A rank that hears that another one failed waits so long for that one to say why.
_WORDS_SECONDS = 10.0

_LISTEN_SECONDS = 0.5


def on_ranks(work: Callable[[], T], asked: Wanted, *, beside: Path) -> T:
    """What `work` gives on rank 0. It is sent by pickle, called on every rank, and called anew when a rank was lost.

    beside: a folder on a disk that all machines of the cluster see; Ray Train keeps its books there while it lasts.
    Raises what `work` raises, and ClusterError.
    """
    if all(os.environ.get(name) for name in ("RANK", "WORLD_SIZE")):
        raise ConfigError("--ray starts the ranks itself; leave torchrun out")
    with connected(asked) as resources:
        gpu = wants_gpu(resources, asked.workers)
        cpus = 1 if asked.place else max(1, own_cores() // asked.workers)
        with _books(beside) as books:
            found = _fit(pickle.dumps(work), asked.workers, cpus=cpus, gpu=gpu, books=books)
    if isinstance(found, Failed):
        raise found.error()
    return found


def _fit(work: bytes, ranks: int, *, cpus: int, gpu: bool, books: Path) -> Any:
    os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", str(PLACING_SECONDS))
    os.environ.setdefault("RAY_TRAIN_METRICS_ENABLED", "0")
    os.environ.setdefault("RAY_TRAIN_ENABLE_PRINT_PATCH", "0")  # it says everything twice
    from ray.train import ControllerError, FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    for name in ("ray", "ray.train"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    ray = package()
    board = ray.remote(_Board).options(num_cpus=0).remote()  # one call at a time: lines keep their order
    trainer = DataParallelTrainer(
        _rank,
        train_loop_config={"work": work, "board": board, "folder": str(Path.cwd()), "path": sys.path, "gpu": gpu},
        scaling_config=ScalingConfig(
            num_workers=ranks, use_gpu=gpu, resources_per_worker={"CPU": cpus, **({"GPU": 1} if gpu else {})}
        ),
        run_config=RunConfig(
            name="rather",
            storage_path=str(books),
            failure_config=FailureConfig(max_failures=RESTARTS, controller_failure_limit=PLACINGS - 1),
        ),
    )
    try:
        with _heard(ray, board):
            trainer.fit()
    except ControllerError as error:
        raise ClusterError(
            f"{ranks} ranks with {cpus} CPU{'s' * (cpus != 1)}{' and a GPU' * gpu} each could not be placed within {PLACINGS} × "
            f"{PLACING_SECONDS} s ({first_line(error.controller_failure)}); is the cluster busy (`ray status`)?"
        ) from error
    except TrainingFailedError as error:
        raise ClusterError(
            f"ranks were lost {RESTARTS + 1} times ({_last_words(error)}); the same command goes on from the last checkpoint"
        ) from error
    ended = ray.get(board.ended.remote())
    if ended is None:
        raise ClusterError(
            "all ranks ended, and rank 0 left no result; the same command goes on from the last checkpoint"
        )
    return pickle.loads(ended)  # made by our own ranks


class _Board:
    """Where ranks leave what is to be known where the command was given: lines for the user, and how it ended."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._ended: bytes | None = None
        self._starts = 0

    def start(self) -> int:
        self._starts += 1
        return self._starts

    def write(self, line: str) -> None:
        self._lines.append(line)

    def lines(self, behind: int) -> list[str]:
        return self._lines[behind:]

    def end(self, result: bytes) -> None:
        """The first to say how it ended is believed."""
        self._ended = self._ended or result

    def ended(self) -> bytes | None:
        return self._ended


def _rank(given: dict[str, Any]) -> None:
    """One rank, in a process of its own."""
    from ray.train import get_context
    from ray.train.collective import broadcast_from_rank_zero

    ray, board, context = package(), given["board"], get_context()
    if ray.get(board.ended.remote()) is not None:
        return
    rank = context.get_world_rank()
    address, port = broadcast_from_rank_zero(_meeting_place() if rank == 0 else ("", 0))
    os.chdir(given["folder"])
    sys.path.extend(entry for entry in given["path"] if entry not in sys.path)
    # With GPUs each rank sees its own alone.
    local, beside = (0, 1) if given["gpu"] else (context.get_local_rank(), context.get_local_world_size())
    os.environ.update(
        RANK=str(rank), WORLD_SIZE=str(context.get_world_size()), LOCAL_RANK=str(local), LOCAL_WORLD_SIZE=str(beside),
        MASTER_ADDR=address, MASTER_PORT=str(port), TORCH_CPP_LOG_LEVEL="ERROR",
    )  # fmt: skip
    with contextlib.redirect_stderr(_Voice(board)) if rank == 0 else contextlib.nullcontext():  # pyright: ignore[reportArgumentType]
        if rank == 0 and ray.get(board.start.remote()) > 1:
            say("a rank was lost: all are started again, from the last checkpoint")
        _work(given["work"], board, rank)


def _work(work: bytes, board: Any, rank: int) -> None:
    ray = package()
    try:
        result: Any = pickle.loads(work)()
    except RankLost:
        # Lost for good, or did it fail by itself? Then it says so, and to start it again would not help.
        ends = time.monotonic() + _WORDS_SECONDS
        while time.monotonic() < ends:
            if ray.get(board.ended.remote()) is not None:
                return
            time.sleep(0.2)
        raise
    except Exception as error:
        result = Failed.of(error)
    if rank == 0 or isinstance(result, Failed):
        ray.get(board.end.remote(pickle.dumps(result)))


def _meeting_place() -> tuple[str, int]:
    """An address of this machine, and a port that is free."""
    ray = package()
    with socket.socket() as free:
        free.bind(("", 0))
        return ray.util.get_node_ip_address(), free.getsockname()[1]


class _Voice:
    """A stderr whose lines are read to the user where the command was given."""

    encoding = "utf-8"

    def __init__(self, board: Any) -> None:
        self._board, self._begun = board, ""

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._board.write.remote(line)
        return len(text)

    def flush(self) -> None:
        """Lines are on their way once they are whole."""

    def isatty(self) -> bool:
        return False


@contextlib.contextmanager
def _heard(ray: Any, board: Any) -> Iterator[None]:
    """Within it what rank 0 says is said here."""
    over, said = threading.Event(), 0

    def read() -> None:
        nonlocal said
        for line in ray.get(board.lines.remote(said)):
            said += 1
            say(line)

    def listen() -> None:
        with contextlib.suppress(Exception):  # of a cluster that ended; the command says why
            while not over.wait(_LISTEN_SECONDS):
                read()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(10)
        if not thread.is_alive():
            with contextlib.suppress(Exception):
                read()


@contextlib.contextmanager
def _books(beside: Path) -> Iterator[Path]:
    """A folder for as long as the run takes."""
    there = next(folder for folder in (beside, *beside.absolute().parents) if folder.is_dir())
    books = Path(tempfile.mkdtemp(prefix=".rather-ray-", dir=there)).absolute()
    try:
        yield books
    finally:
        shutil.rmtree(books, ignore_errors=True)


def _last_words(error: Any) -> str:
    failures = getattr(error, "worker_failures", None) or {}
    return "; ".join(f"rank {rank}: {first_line(failure)}" for rank, failure in sorted(failures.items())) or first_line(
        error
    )
