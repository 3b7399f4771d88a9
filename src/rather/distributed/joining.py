"""Joining the other ranks, and parting from them so that the user reads one line, whatever happened where."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from rather.distributed.launch import Launch, launched
from rather.distributed.ranks import ALONE, Group, Ranks
from rather.distributed.watch import Watch, own_name
from rather.errors import ConfigError, Interrupted, RankLost, RatherError, TrainError
from rather.progress import hushed

# torch documents both here, and says nothing of it in its types.
PrefixStore: Any = dist.PrefixStore  # pyright: ignore[reportPrivateImportUsage]
TCPStore: Any = dist.TCPStore  # pyright: ignore[reportPrivateImportUsage]

# The group that this process has joined, while it has; and where it met the others each time.
_JOINED: list[Group] = []
_MET: list[Any] = []


@contextmanager
def joined(*, limit: float, device: str) -> Iterator[Ranks]:
    """The ranks that a launcher started, all of them there; ALONE where none did, or a single one: a group of one has nothing to
    say, and made a run on two cores 6 % slower (docs/scaling.md).

    limit: seconds that a rank waits for the others, wherever it does. device: cuda or cpu. Whatever ends the block on one
    rank ends it on all: rank 0 raises what the user is to read, and only then the others leave.
    Raises ConfigError for more ranks than GPUs, TrainError where they cannot meet, RankLost.
    """
    launch = launched()
    if launch is None or launch.size == 1 or _JOINED:
        yield _JOINED[0] if _JOINED else ALONE
        return
    with ExitStack() as stack:
        if launch.rank:
            stack.enter_context(hushed())
        _require_gpus(launch, device)
        group = _meet(launch, device, limit)
        stack.enter_context(_signals(group.watch))
        _JOINED.append(group)
        try:
            yield group
            group.gathered(None, "the end")
        except BaseException as error:
            # What breaks in a library's own messages, as in a forward of sharded weights, has the same causes as in ours.
            cause = group.watch.explained(error) if isinstance(error, RuntimeError) else error
            _part(group.watch, cause)
            if cause is error:
                raise
            raise cause from error
        finally:
            _JOINED.clear()
            group.watch.stop()
            _close()


def _part(watch: Watch, error: BaseException) -> None:
    """Tell the others, and stay until the user has been told."""
    if not isinstance(error, RankLost):
        message = _words(error)
        watch.tell(message if watch.launch.rank == 0 else f"{watch.name(watch.launch.rank)}: {message}")
    if watch.launch.rank == 0 or getattr(error, "speaks", False):
        watch.spoken()
    else:
        watch.wait_for_words()


def _words(error: BaseException) -> str:
    if isinstance(error, RatherError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return "stopped; the same command goes on from what is done"
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first[:300]}"


def _meet(launch: Launch, device: str, limit: float) -> Group:
    began = time.monotonic()
    place = _MET[0] if _MET else _store(launch, limit)
    _MET.append(place)  # kept: rank 0 may be the one that keeps it open
    prefix = f"rather/{launch.attempt}/{len(_MET)}"
    store = PrefixStore(prefix, place)
    store.set(f"name/{launch.rank}", own_name())
    _wait_for_all(store, launch, limit - (time.monotonic() - began), limit)
    names = [store.get(f"name/{rank}").decode() for rank in range(launch.size)]
    backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
    dist.init_process_group(
        backend,
        store=PrefixStore("group", store),
        rank=launch.rank,
        world_size=launch.size,
        timeout=timedelta(seconds=limit + 60),  # ours speaks first, and names who is missing
    )
    own = PrefixStore(f"{prefix}/watch", _store(launch, limit, host=False))
    watch = Watch(launch, own, names=names, limit=limit)
    watch.start()
    # A connection for words beside the one for numbers: where one rank fails in the middle, the two must not be confused.
    return Group(watch, dist.new_group(backend="gloo", timeout=timedelta(seconds=limit + 60)))


def _store(launch: Launch, limit: float, *, host: bool = True) -> Any:
    """A connection to where the ranks meet; rank 0 opens the place, unless the launcher did."""
    try:
        return TCPStore(
            launch.address,
            launch.port,
            is_master=host and launch.rank == 0 and not launch.agent_store,
            timeout=timedelta(seconds=limit),
            wait_for_workers=False,
        )
    except (RuntimeError, ValueError) as error:  # torch's DistNetworkError is one
        place = f"{launch.address}:{launch.port}"
        if "EADDRINUSE" in str(error) or "in use" in str(error):
            raise TrainError(f"the port {launch.port} is in use; choose another with torchrun --master-port") from error
        lost = TrainError(
            f"{launch.size} ranks were to meet at {place}, which cannot be reached within {limit:.0f} s; check MASTER_ADDR and "
            "MASTER_PORT, the firewall, and that rank 0 was started"
        )
        lost.speaks = launch.rank <= 1  # rank 0 may not be there to say it
        raise lost from error


def _wait_for_all(store: Any, launch: Launch, left: float, limit: float) -> None:
    missing = list(range(launch.size))
    ends = time.monotonic() + left
    while missing:
        missing = [rank for rank in missing if not store.check([f"name/{rank}"])]
        if missing and time.monotonic() > ends:
            named = ", ".join(map(str, missing[:8])) + (f" and {len(missing) - 8} more" if missing[8:] else "")
            raise TrainError(
                f"rank {named} of {launch.size} did not come within {limit:.0f} s; look at the output of the machine it was to "
                "run on, or give more time with --rank-timeout"
            )
        time.sleep(0.02 if missing else 0)


def _require_gpus(launch: Launch, device: str) -> None:
    if device == "mps":
        raise ConfigError("Apple's GPU takes one rank; leave torchrun out, or set RATHER_DEVICE=cpu")
    if device != "cuda":
        return
    found = torch.cuda.device_count()
    if launch.local_size > found:
        raise ConfigError(
            f"{launch.local_size} ranks on a machine with {found} GPU{'s' if found != 1 else ''}; say --nproc-per-node "
            f"{found}, or set RATHER_DEVICE=cpu"
        )
    torch.cuda.set_device(launch.local_rank)


@contextmanager
def _signals(watch: Watch) -> Iterator[None]:
    """A launcher that has lost a rank ends the others by SIGTERM. There must be time to say which one it was."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: Any) -> None:
        watch.stopped = True
        if not watch.is_waiting:
            raise watch.explained(Interrupted("stopped; the same command goes on from what is done"))

    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _close() -> None:
    with suppress(RuntimeError):  # of one that is broken nothing is left to close
        dist.destroy_process_group()
