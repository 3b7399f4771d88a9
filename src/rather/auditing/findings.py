"""Shared words of the checks: what a check is given, and how its findings are put."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from rather.records import NOUNS, Example, Finding, Kind, Verdict


class Tokenised(Protocol):
    """What the audit needs to know of a tokenised record; `rather.model.TokenPair` and `TokenList` have it."""

    @property
    def chosen_truncated(self) -> bool: ...
    @property
    def rejected_truncated(self) -> bool: ...
    @property
    def same_tokens(self) -> bool: ...


@dataclass(frozen=True)
class AuditInput:
    """Records of one kind, what is meant to be learned from them, and (with a model) how they look once tokenised."""

    records: Sequence[Example]
    intended: tuple[str, ...] = ()
    tokenised: Sequence[Tokenised] | None = None

    @property
    def kind(self) -> Kind:
        return self.records[0].kind if self.records else "pair"

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """(better, worse) texts of one prompt: a pair's sides, or a list's best and last answer."""
        return [(record.good[0], record.bad[-1]) for record in self.records if record.good and record.bad]


Check = Callable[[AuditInput], list[Finding]]

EXAMPLES = 10


def by_share(
    check: str,
    found: Sequence[Example],
    given: AuditInput,
    *,
    message: str,
    cure: str,
    warn: float = 0.0,
    stop: float | None = None,
) -> list[Finding]:
    """One finding on a share of the records: none is a pass, above `warn` warns, at `stop` or more stops."""
    total = len(given.records)
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
            message=f"{len(found):,} of {total:,} {NOUNS[given.kind]} {message}",
            cure=cure if verdict != "pass" else "",
            count=len(found),
            total=total,
            examples=tuple(record.source or record.id for record in found[:EXAMPLES]),
            evidence={"share": share, "warn_above": warn, "stop_at": stop},
        )
    ]
