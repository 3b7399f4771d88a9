"""Shared words of the checks: what a check is given, and how its findings are put."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rather.records import NOUNS, Example, Finding, Judgment, Kind, Shown, Verdict


class Answer(Protocol):
    """A prompt with one answer as token ids; `rather.model.Sample` has it."""

    @property
    def tokens(self) -> tuple[int, ...]: ...
    @property
    def prompt_tokens(self) -> int: ...


class Tokenised(Protocol):
    """What the audit needs to know of a tokenised record; `rather.model.TokenPair` and `TokenList` have it."""

    @property
    def chosen_truncated(self) -> bool: ...
    @property
    def rejected_truncated(self) -> bool: ...
    @property
    def same_tokens(self) -> bool: ...
    @property
    def samples(self) -> tuple[Answer, ...]:
        """In the order of the record's answers."""
        ...


@dataclass(frozen=True)
class AuditInput:
    """Records of one kind, what is meant to be learned from them, and (with a model) how they look once tokenised.

    judgments: the evidence that the records were made of, where it is at hand; the checks of people and judges read it.
    heldout: records that will be measured and not trained on. ches: how alike the two answers are inside the model, by place in
    `records`; of those alone that were computed.
    """

    records: Sequence[Example]
    intended: tuple[str, ...] = ()
    tokenised: Sequence[Tokenised] | None = None
    judgments: Sequence[Judgment] = ()
    heldout: Sequence[Example] = ()
    ches: Mapping[int, float] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        return self.records[0].kind if self.records else "pair"

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """(better, worse) texts of one prompt: a pair's sides, or a list's best and last answer."""
        return [(record.good[0], record.bad[-1]) for record in self.records if record.good and record.bad]


Check = Callable[[AuditInput], list[Finding]]

EXAMPLES = 10

# Characters of a text that a reader of the report takes in.
SHOWN = 600


def shown(record: Example, why: str = "") -> Shown:
    """A record as a finding shows it: its place, and its prompt and two outer answers cut to `SHOWN` characters."""
    last = record.prompt if isinstance(record.prompt, str) else record.prompt[-1].content
    return Shown(
        place=record.source or record.id,
        why=why,
        prompt=_cut(last),
        chosen=_cut(record.good[0]) if record.good else "",
        rejected=_cut(record.bad[-1]) if record.bad else "",
    )


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


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
            examples=tuple(shown(record) for record in found[:EXAMPLES]),
            evidence={"share": share, "warn_above": warn, "stop_at": stop},
        )
    ]
