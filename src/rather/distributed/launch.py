"""What a launcher (torchrun, or whatever sets the same variables) says of this process. Without torch: every command asks."""

from __future__ import annotations

import os
from dataclasses import dataclass

from rather.errors import ConfigError

_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Launch:
    """One rank of several.

    local_rank, local_size  the same among the ranks of this machine
    address, port           where all ranks meet
    attempt                 how often the launcher has started them again
    agent_store             whether the launcher itself keeps the meeting place open
    """

    rank: int
    size: int
    local_rank: int
    local_size: int
    address: str
    port: int
    attempt: int
    agent_store: bool


def launched() -> Launch | None:
    """What was said; None where this process was started alone. Raises ConfigError for numbers that make no sense."""
    if not all(os.environ.get(name) for name in _VARIABLES):
        return None
    rank, size, port = (_number(name) for name in ("RANK", "WORLD_SIZE", "MASTER_PORT"))
    if not 0 <= rank < size:
        raise ConfigError(f"RANK={rank} and WORLD_SIZE={size} do not go together; start the ranks with torchrun")
    return Launch(
        rank=rank,
        size=size,
        local_rank=_number("LOCAL_RANK", rank),
        local_size=_number("LOCAL_WORLD_SIZE", size),
        address=os.environ["MASTER_ADDR"],
        port=port,
        attempt=_number("TORCHELASTIC_RESTART_COUNT", 0),
        agent_store=os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
    )


def is_first() -> bool:
    """True for the one process that prints: rank 0, or a process started alone."""
    return os.environ.get("RANK", "0") == "0" or not all(os.environ.get(name) for name in _VARIABLES)


def hush_torch() -> None:
    """Keep torch's own warnings of a connection that ends from ranks, who leave one line and no more; before torch is imported.

    Where one rank is lost the others' sockets break in any order, and torch writes a trace for each. TORCH_CPP_LOG_LEVEL, if
    set, is the user's word.
    """
    if launched() is not None:
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")


def require_alone(verb: str) -> None:
    """Raise ConfigError where several ranks were started of a command that is one process."""
    found = launched()
    if found is not None and found.size > 1:
        raise ConfigError(f"`rather {verb}` is one process; leave torchrun out (`rather train` is what takes ranks)")


def _number(name: str, otherwise: int | None = None) -> int:
    value = os.environ.get(name)
    if value is None and otherwise is not None:
        return otherwise
    try:
        return int(value or "")
    except ValueError as error:
        raise ConfigError(f"{name}={value} is not a number; start the ranks with torchrun") from error
