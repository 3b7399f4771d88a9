"""Who is still there: every rank says once a second that it lives and where it is, and looks whether another has failed.

It does so from a thread and over a connection of its own, so that a rank that computes for an hour is no dead one, and one
that waits for a dead one learns of it. What is said stands in the store at which all ranks met:

    beat/RANK   a number that grows, how often the rank has waited for others, and what it does
    failed      the first failure of any rank, in the words that the user is to read
    spoken      the user has read them: whoever held back for that may go
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from rather.distributed.launch import Launch
from rather.errors import Interrupted, RankLost, RatherError

# Seconds between two beats, and how many may be missed while the others compute.
BEAT, MISSED = 1.0, 30

# Seconds in which a rank that lives must have beaten, once something looks like a death.
SURE = 4.0

# Seconds that a rank may go on after another has failed; then it is ended, wherever it is (in a kernel that never returns).
GRACE = 20.0


@dataclass
class _Seen:
    """A rank's last beat, and when it was seen to change, by the clock of this machine."""

    beat: int = -1
    waits: int = 0
    doing: str = "starting"
    changed: float = 0.0


class Watch:
    """What one rank knows of the others. `store` is used from its thread alone."""

    def __init__(self, launch: Launch, store: Any, *, names: list[str], limit: float) -> None:
        self.launch, self.names, self.limit = launch, names, limit
        self.failure: str | None = None
        self.stopped = False
        self._store, self._lock = store, threading.Lock()
        self._beat, self._waits, self._doing, self.is_waiting = 0, 0, "starting", False
        self._seen = [_Seen(changed=time.monotonic()) for _ in range(launch.size)]
        self._closely = launch.rank == 0
        self._over = threading.Event()
        self._alone_since: float | None = None
        self._failed_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="rather ranks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; from here on nobody watches."""
        self._over.set()
        self._thread.join(timeout=5)

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """While this rank waits for the others; what goes wrong is explained by who is missing."""
        self._waits, self._doing, self.is_waiting = self._waits + 1, what, True
        try:
            yield
        except RuntimeError as error:
            raise self.explained(error) from error
        finally:
            self.is_waiting = False

    def look(self, what: str, *, waited: float) -> None:
        """Raise where there is no sense in waiting any longer."""
        if self.failure is not None:
            raise RankLost(self.failure)
        if self.stopped:
            raise self.explained(Interrupted("stopped; the same command goes on from what is done"))
        gone = self._silent(MISSED * BEAT)
        if gone:
            raise self._gone(gone)
        if waited > self.limit:
            raise RankLost(self._late(what, waited))

    def explained(self, error: Exception) -> Exception:
        """A broken connection, as what broke it: the failure that another rank tells of, or the rank that is not there."""
        if isinstance(error, RatherError) and not isinstance(error, Interrupted):
            return error
        began = time.monotonic()
        self._closely, self._seen = True, [replace(seen, changed=began) for seen in self._seen]
        while time.monotonic() - began < SURE and self.failure is None:
            time.sleep(0.05)
        if self.failure is not None:
            return RankLost(self.failure)
        gone = self._silent(SURE - BEAT)
        return self._gone(gone) if gone else error

    def tell(self, message: str) -> None:
        """Let the others know why this rank ends. The first to tell is believed."""
        self._asked("compare_set", "failed", "", message)

    def spoken(self) -> None:
        """The user knows; the others may go."""
        self._asked("set", "spoken", "yes")

    def wait_for_words(self) -> None:
        """Stay until the user was told, for a launcher ends all ranks with the first that goes; or until nobody is left to tell."""
        began = time.monotonic()
        while time.monotonic() - began < self.limit:
            if self._asked("check", ["spoken"]) is not False or 0 in self._silent(MISSED * BEAT):
                break
            time.sleep(0.1)
        time.sleep(BEAT)

    def name(self, rank: int) -> str:
        """How the user knows a rank: its number, machine and process."""
        return f"rank {rank} ({self.names[rank]})"

    def _late(self, what: str, waited: float) -> str:
        behind = [rank for rank, seen in enumerate(self._seen) if seen.waits < self._waits and rank != self.launch.rank]
        where = ", ".join(f"{self.name(rank)}, which is at: {self._seen[rank].doing}" for rank in behind[:4])
        more = f" and {len(behind) - 4} more" if len(behind) > 4 else ""
        return (
            f"waited {waited:.0f} s at: {what}; for {where or 'the network'}{more}; look at what keeps it, or give more time "
            "with --rank-timeout"
        )

    def _gone(self, ranks: list[int]) -> RankLost:
        named = ", ".join(self.name(rank) for rank in ranks[:4]) + (f" and {len(ranks) - 4} more" if ranks[4:] else "")
        lost = RankLost(
            f"{named} {'is' if len(ranks) == 1 else 'are'} gone: killed, out of memory, or the machine is not there; the same "
            "command goes on from the last checkpoint"
        )
        left = [rank for rank in range(self.launch.size) if rank not in ranks]
        lost.speaks = left[:1] == [self.launch.rank]
        return lost

    def _silent(self, seconds: float) -> list[int]:
        """Ranks of which no new beat was seen for so long."""
        now, own = time.monotonic(), self.launch.rank
        if self._alone_since is not None:  # no store: whoever kept it is gone, and of the others nothing is known
            return [0] if now - self._alone_since > min(seconds, SURE - BEAT) and own else []
        return [rank for rank in self._watched if rank != own and now - self._seen[rank].changed > seconds]

    @property
    def _watched(self) -> Sequence[int]:
        """Rank 0 watches all, and all watch rank 0; the others each other only once something is wrong."""
        return range(self.launch.size) if self._closely else (0,)

    def _run(self) -> None:
        while not self._over.wait(BEAT):
            self._beat += 1
            doing = [self._beat, self._waits, self._doing]
            if self._asked("set", f"beat/{self.launch.rank}", json.dumps(doing)) is None:
                continue
            if self.failure is None and self._asked("check", ["failed"]):
                self.failure = (self._asked("get", "failed") or b"another rank failed").decode()
            self._read_beats()
            self._end_if_stuck()

    def _read_beats(self) -> None:
        for rank in self._watched:
            key = f"beat/{rank}"
            told = self._asked("get", key) if self._asked("check", [key]) else None
            if told:
                beat, waits, doing = json.loads(told)
                seen = self._seen[rank]
                if beat != seen.beat:
                    seen.beat, seen.waits, seen.doing, seen.changed = beat, waits, doing, time.monotonic()

    def _end_if_stuck(self) -> None:
        """The last resort, where this rank does not come back from what it does with one that failed."""
        if self.failure is None:
            return
        self._failed_at = self._failed_at or time.monotonic()
        if time.monotonic() - self._failed_at > GRACE:
            if self.launch.rank == 0:
                print(f"rather: {' '.join(self.failure.split())}", file=sys.stderr, flush=True)
                self.spoken()
            os._exit(RankLost.exit_status)

    def _asked(self, method: str, *arguments: Any) -> Any:
        """Of the store; None where it is gone."""
        with self._lock:
            try:
                found = getattr(self._store, method)(*arguments)
            except RuntimeError:
                self._alone_since = self._alone_since or time.monotonic()
                return None
            self._alone_since = None
            return True if found is None else found


def own_name() -> str:
    """Machine and process, for whoever has to look there."""
    return f"{socket.gethostname()}, process {os.getpid()}"
