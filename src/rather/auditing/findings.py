"""Shared words of the checks: what a check is given, and how its findings are put."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from rather.records import Finding, Pair, Verdict


class Tokenised(Protocol):
    """What the audit needs to know of a tokenised pair; `rather.model.TokenPair` has it."""

    @property
    def chosen_truncated(self) -> bool: ...
    @property
    def rejected_truncated(self) -> bool: ...
    @property
    def same_tokens(self) -> bool: ...


@dataclass(frozen=True)
class AuditInput:
    """The pairs, what is meant to be learned from them, and (with a model) how they look once tokenised."""

    pairs: Sequence[Pair]
    intended: tuple[str, ...] = ()
    tokenised: Sequence[Tokenised] | None = None


Check = Callable[[AuditInput], list[Finding]]

EXAMPLES = 10


def by_share(
    check: str,
    found: Sequence[Pair],
    total: int,
    *,
    message: str,
    cure: str,
    warn: float = 0.0,
    stop: float | None = None,
) -> list[Finding]:
    """One finding on a share of the pairs: none is a pass, above `warn` warns, at `stop` or more stops."""
    share = len(found) / total if total else 0.0
    verdict: Verdict = "pass"
    if stop is not None and found and share >= stop:
        verdict = "stop"
    elif share > warn:
        verdict = "warn"
    return [
        Finding(
            check=check,
            verdict=verdict,
            message=f"{len(found):,} of {total:,} pairs {message}",
            cure=cure if verdict != "pass" else "",
            count=len(found),
            total=total,
            examples=tuple(pair.source or pair.id for pair in found[:EXAMPLES]),
            evidence={"share": share, "warn_above": warn, "stop_at": stop},
        )
    ]
