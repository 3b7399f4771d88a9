"""Objectives: pure functions of log-probabilities, one value a pair (an answer, a list), no reduction.

`LOSSES[name](logps, **options)`. To add one, write the function and one line in `table.py`. Whoever trains divides the
sum once, by the pairs of the whole update. Importing this package imports no torch: `LOSSES` finds a function when it is
asked for, and the containers of log-probabilities are loaded when they are named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rather.losses.table import (
    FACTS,
    LOSSES,
    SCORE_LOSSES,
    UNBOUNDED,
    Facts,
    Loss,
    loss_options,
    losses_taking,
    losses_with,
)

if TYPE_CHECKING:
    from rather.losses.logps import ListLogps, PairLogps, SampleLogps


def __getattr__(name: str) -> Any:
    """PEP 562: what needs torch is imported on first use."""
    if name in ("ListLogps", "PairLogps", "SampleLogps"):
        from rather.losses import logps

        return getattr(logps, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "FACTS",
    "LOSSES",
    "SCORE_LOSSES",
    "UNBOUNDED",
    "Facts",
    "ListLogps",
    "Loss",
    "PairLogps",
    "SampleLogps",
    "loss_options",
    "losses_taking",
    "losses_with",
]
