"""Every error that `rather` raises on purpose.

    RatherError                 one sentence: what is wrong, where, and the cure; the CLI prints it and exits with 2
    ├── InputError              a file or a record that the user gave
    │   ├── RowError            one row of it (raised by a format, given a place by the reader)
    │   └── NothingToPair       judgments that make no pair: nothing in them tells two answers to one prompt apart
    ├── ConfigError             an option or config key: unknown, out of range, or unable to act with the others
    ├── ModelError              a model folder or hub id that cannot be used as asked
    │   └── DownloadError       the model (or its wheel) could not be fetched, or is not what it should be
    ├── ServerError             a server that cannot be reached, refuses the key, or does not answer as it should
    ├── RunDirError             an output folder that is taken, locked, read-only or full
    ├── StoreError              a store of annotations that cannot be opened, is served by another, or cannot be written
    ├── RequestError            a request to the annotation server that is refused; it knows its HTTP status
    ├── ClusterError            a Ray cluster that cannot be started or reached, is too small, or loses its workers
    ├── JudgeError              a judge gave what cannot be used: replies without a verdict, a function that raised
    ├── AuditStop               the audit found that the pairs would teach the wrong thing
    ├── TrainError              training cannot start or go on
    │   ├── NonFiniteLoss       a loss or gradient is NaN or infinite
    │   └── RankLost            another rank of the run has failed, died, or stayed away too long
    └── Interrupted             Ctrl-C: the work so far is saved (exit status 130)

Messages are whole sentences without a trailing stack of causes. Foreign errors are mapped where they happen and kept
as `__cause__`.
"""

from __future__ import annotations


class RatherError(Exception):
    """Base of all deliberate errors; `str(error)` is fit to show a user as it is."""

    exit_status = 2
    speaks = False  # true for what a rank other than the first must print itself, for the first is not there


class InputError(RatherError):
    """A file or record given by the user cannot be used."""


class RowError(InputError):
    """One row cannot be used. `reason` has no place in it; the reader adds file and line."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NothingToPair(InputError):
    """Judgments that can be read make no pair."""


class ConfigError(RatherError):
    """An option or config key is unknown, out of range, or cannot act with the others."""


class ModelError(RatherError):
    """A model cannot be loaded or cannot do what was asked."""


class DownloadError(ModelError):
    """A model could not be fetched, or its content is not what was pinned."""


class ServerError(RatherError):
    """A server cannot be reached, refuses what is asked of it, or does not answer as it should."""


class RunDirError(RatherError):
    """An output folder is taken by something else, locked, not writable or full."""


class StoreError(RatherError):
    """A store of annotations cannot be opened, is held by another process, or cannot be written."""


class RequestError(RatherError):
    """A request to the annotation server is refused: `status` as HTTP has it, `code` for programs, the message for people."""

    def __init__(self, message: str, *, status: int, code: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.wait = status, code, wait


class JudgeError(RatherError):
    """A judge cannot be asked, or what it says cannot be used."""


class ClusterError(RatherError):
    """A Ray cluster cannot be started, reached or relied on, or has too few CPUs or GPUs for what is asked of it."""


class AuditStop(RatherError):
    """The audit's verdict on the pairs is `stop`."""


class TrainError(RatherError):
    """Training cannot start or cannot go on."""


class NonFiniteLoss(TrainError):
    """A loss or gradient became NaN or infinite at `step` in the pairs `pair_ids`."""

    def __init__(self, message: str, *, step: int, pair_ids: tuple[str, ...]) -> None:
        super().__init__(message)
        self.step = step
        self.pair_ids = pair_ids


class RankLost(TrainError):
    """Another rank of a run on several processes has failed, died, or stayed away too long."""


class Interrupted(RatherError):
    """The user pressed Ctrl-C; what is done is kept."""

    exit_status = 130
