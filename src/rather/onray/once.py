"""What a worker opens for its first block and keeps for the next: a model is not loaded again for every few prompts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# None in a process that does its work in one piece: there everything is let go when it is done.
_KEPT: dict[Any, Any] | None = None


def keep() -> None:
    """From here on this process keeps what `once` opens."""
    global _KEPT
    _KEPT = {} if _KEPT is None else _KEPT


def once(make: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
    """`make(…)`, or in a worker what it gave before for the same: what is given is told apart by its `repr`."""
    if _KEPT is None:
        return make(*given, **named)
    key = make, repr(given), repr(sorted(named.items()))
    if key not in _KEPT:
        _KEPT[key] = make(*given, **named)
    return _KEPT[key]
