"""What the pairs would really teach: checks, a verdict, and the gate before training.

To add a check, write a function `(AuditInput) -> list[Finding]` and one line in `CHECKS`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from rather.auditing.balance.coverage import coverage
from rather.auditing.balance.learning import learning_curve
from rather.auditing.balance.prompts import prompt_balance, topic_balance
from rather.auditing.findings import AuditInput, Check, Margins, Tokenised
from rather.auditing.material.packed import Packed
from rather.auditing.people.agreeing import agreement
from rather.auditing.people.annotators import reliability, self_consistency, speed, tie_rate
from rather.auditing.people.humans import agreement_with_people
from rather.auditing.people.judges import side_bias, swap_flips
from rather.auditing.people.lengths import length_preference
from rather.auditing.shortcuts.families import (
    format_difference,
    length_difference,
    shortcuts_together,
    tone_difference,
)
from rather.auditing.shortcuts.mislabels import likely_mislabels
from rather.auditing.shortcuts.sources import position_difference, source_difference
from rather.auditing.shortcuts.telling import intended_words, telling_words
from rather.auditing.texts.content import markup, prompt_injection, template_tokens
from rather.auditing.texts.languages import other_language
from rather.auditing.texts.private import personal_data, secrets
from rather.auditing.texts.repeats import cycles, leakage, near_duplicates, one_prompt
from rather.auditing.texts.sanity import (
    constant_answer,
    contradictions,
    doubtful_labels,
    duplicates,
    empty_sides,
    identical_sides,
)
from rather.auditing.thresholds import DEFAULTS, Thresholds
from rather.auditing.tokens.displacement import displacement_risk, shared_beginning
from rather.auditing.tokens.tokenised import (
    cut_unevenly,
    identical_after_truncation,
    missing_end_of_turn,
    nothing_to_learn,
    token_lengths,
)
from rather.config import did_you_mean
from rather.errors import AuditStop, ConfigError
from rather.onray.spread import Workers
from rather.progress import task
from rather.records import Example, Finding, Judgment, Kind, Verdict, counted

JUDGMENT_CHECKS: dict[str, Check] = {
    "agreement": agreement,
    "reliability": reliability,
    "side_bias": side_bias,
    "tie_rate": tie_rate,
    "speed": speed,
    "self_consistency": self_consistency,
    "swap_flips": swap_flips,
    "length_preference": length_preference,
    "agreement_with_people": agreement_with_people,
}
"""Checks of people and judges: they read the judgments, and find nothing where there are none."""

CHECKS: dict[str, Check] = {
    "identical_sides": identical_sides,
    "identical_after_truncation": identical_after_truncation,
    "empty_sides": empty_sides,
    "missing_end_of_turn": missing_end_of_turn,
    "cut_unevenly": cut_unevenly,
    "nothing_to_learn": nothing_to_learn,
    "token_lengths": token_lengths,
    "shared_beginning": shared_beginning,
    "displacement_risk": displacement_risk,
    "duplicates": duplicates,
    "near_duplicates": near_duplicates,
    "contradictions": contradictions,
    "cycles": cycles,
    "one_prompt": one_prompt,
    "leakage": leakage,
    "other_language": other_language,
    "template_tokens": template_tokens,
    "markup": markup,
    "prompt_injection": prompt_injection,
    "personal_data": personal_data,
    "secrets": secrets,
    "doubtful_labels": doubtful_labels,
    "constant_answer": constant_answer,
    "length_difference": length_difference,
    "format_difference": format_difference,
    "tone_difference": tone_difference,
    "telling_words": telling_words,
    "intended_words": intended_words,
    "source_difference": source_difference,
    "position_difference": position_difference,
    "shortcuts_together": shortcuts_together,
    "prompt_balance": prompt_balance,
    "topic_balance": topic_balance,
    "coverage": coverage,
    "learning_curve": learning_curve,
    "likely_mislabels": likely_mislabels,
    **JUDGMENT_CHECKS,
}

# fmt: off
SKIPPED: dict[Kind, tuple[str, ...]] = {
    "pair": (),
    "list": (),
    "sample": (
        "identical_sides", "identical_after_truncation", "cut_unevenly", "shared_beginning", "displacement_risk", "cycles",
        "length_difference", "format_difference", "tone_difference", "telling_words", "intended_words", "source_difference",
        "position_difference", "shortcuts_together", "coverage", "learning_curve", "likely_mislabels",
    ),
}
# fmt: on
"""Checks that say nothing of records of a kind; the audit names them."""

WORTH_A_BAR = 5000
"""Fewer records are audited before a bar has been looked at."""


@dataclass(frozen=True)
class Audit:
    """All findings, and the worst verdict among those that were not allowed."""

    findings: tuple[Finding, ...]
    allowed: Mapping[str, str]
    pairs: int
    kind: Kind | Literal["judgment"] = "pair"
    judgments: int = 0
    sample: str = ""
    """Which of the records were looked at, in words, if not all."""

    @property
    def skipped(self) -> tuple[str, ...]:
        """Checks that say nothing of records of this kind."""
        return () if self.kind == "judgment" else SKIPPED[self.kind]

    @property
    def counted(self) -> str:
        """What was audited: "500 pairs", "8,931 judgments", or both."""
        said = [] if self.kind == "judgment" else [counted(self.pairs, self.kind)]
        said += [f"{self.judgments:,} judgment{'' if self.judgments == 1 else 's'}"] if self.judgments else []
        return " and ".join(said)

    @property
    def verdict(self) -> Verdict:
        verdicts = {finding.verdict for finding in self.findings if not self._passes(finding)}
        return "stop" if "stop" in verdicts else "warn" if "warn" in verdicts else "pass"

    @property
    def stops(self) -> list[Finding]:
        """Findings that stop a run."""
        return [finding for finding in self.findings if finding.verdict == "stop" and not self._passes(finding)]

    def reason(self, finding: Finding) -> str | None:
        """Why somebody lets it pass; None if nobody does."""
        return self.allowed.get(finding.check, self.allowed.get("all"))

    def _passes(self, finding: Finding) -> bool:
        return self.reason(finding) is not None

    def as_json(self) -> dict[str, object]:
        return {
            "verdict": self.verdict,
            "pairs": self.pairs,
            "kind": self.kind,
            "judgments": self.judgments,
            "skipped": list(self.skipped),
            "findings": [finding.model_dump(mode="json") for finding in self.findings],
            "allowed": dict(self.allowed),
            "sample": self.sample,
        }

    def in_short(self) -> dict[str, object]:
        """What a manifest keeps of it: the verdict, the checks that say stop or warn, and why some were let pass."""
        named = {
            verdict: sorted({finding.check for finding in self.findings if finding.verdict == verdict})
            for verdict in ("stop", "warn")
        }
        sample = {"sample": self.sample} if self.sample else {}
        return {"verdict": self.verdict, **named, "allowed": dict(self.allowed), **sample}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Audit:
        """What `as_json` gave, read back. Raises KeyError or pydantic's ValidationError for something else."""
        findings = tuple(Finding.model_validate_json(json.dumps(row)) for row in value["findings"])
        return cls(
            findings, dict(value["allowed"]), *(value[name] for name in ("pairs", "kind", "judgments", "sample"))
        )

    def lines(self) -> list[str]:
        """The findings that are no pass, a line each; the checks that passed; the verdict."""
        said = []
        for finding in self.findings:
            if finding.verdict != "pass":
                reason = self.reason(finding)
                fate = f" (allowed: {reason})" if reason else f"; {finding.cure}" if finding.cure else ""
                said.append(f"audit: {finding.verdict}: {finding.check}: {finding.message}{fate}")
        worse = {finding.check for finding in self.findings if finding.verdict != "pass"}
        passed = [check for check in dict.fromkeys(finding.check for finding in self.findings) if check not in worse]
        if passed:
            said.append(f"audit: pass: {', '.join(passed)}")
        if self.skipped:
            said.append(f"audit: skipped, for it compares two answers to one prompt: {', '.join(self.skipped)}")
            said.append(
                "audit: note: `rather pair FILE --out DIR` makes pairs where one prompt has good and bad answers"
            )
        if self.judgments and not {finding.check for finding in self.findings} & set(JUDGMENT_CHECKS):
            said.append("audit: note: no check has anything to say of judgments such as these")
        idle = [check for check in self.allowed if not worse or (check != "all" and check not in worse)]
        if idle:
            said.append(f"audit: note: --allow {', '.join(idle)} was not needed; nothing was found")
        said += [f"audit: {self.sample}"] if self.sample else []
        return [*said, f"audit: verdict {self.verdict} on {self.counted}"]


def audit(
    records: Sequence[Example],
    *,
    intended: Sequence[str] = (),
    tokenised: Sequence[Tokenised] | None = None,
    judgments: Sequence[Judgment] = (),
    allow: Mapping[str, str] | None = None,
    thresholds: Thresholds = DEFAULTS,
    heldout: Sequence[Example] = (),
    ches: Mapping[int, float] | None = None,
    margins: Margins | None = None,
    sample: str = "",
    workers: Workers | None = None,
) -> Audit:
    """Run every check that makes sense of records of this kind. `tokenised` adds those that need a model's tokenizer,
    `judgments` those of people and judges; without records these are run alone.

    heldout: records that are measured and not trained on. ches: place among `records` → CHES score, of those that were computed.
    margins: what a training run made of the labels.
    sample: what `records` are of, in words, if they are not all. workers: of a cluster, which each take a check and all of the
    records. allow: check → reason; such a finding is kept on record but stops nothing. Raises ConfigError for an unknown check.
    """
    for check in allow or {}:
        _require_known(check)
    given = AuditInput(records, tuple(intended), tokenised, judgments, thresholds, heldout, ches or {}, margins)
    alone = bool(judgments) and not len(records)
    findings = _findings(given, JUDGMENT_CHECKS if alone else CHECKS, workers)
    return Audit(
        findings=tuple(findings),
        allowed=dict(allow or {}),
        pairs=len(records),
        kind="judgment" if alone else given.kind,
        judgments=len(judgments),
        sample=sample,
    )


def _findings(given: AuditInput, fitting: Mapping[str, Check], workers: Workers | None) -> list[Finding]:
    checks = {name: check for name, check in fitting.items() if name not in SKIPPED[given.kind]}
    if workers is not None:
        with task("audit", len(checks)) as bar:
            found = []
            for place, findings in workers.each(partial(_of_some, given), list(checks.values()), block=1, model=False):
                found += findings
                bar.advance(note=list(checks)[place])
            return found
    if len(given.records) < WORTH_A_BAR:
        return [finding for check in checks.values() for finding in check(given)]
    findings = []
    with task("audit", len(checks)) as bar:
        for name, check in checks.items():
            bar.advance(0, note=name)
            findings += check(given)
            bar.advance()
    return findings


def _of_some(given: AuditInput, checks: Sequence[Check]) -> Iterator[tuple[int, list[Finding]]]:
    """What each check finds. A worker has one `given` for all of them: what several checks need it makes once."""
    return ((place, list(check(given))) for place, check in enumerate(checks))


def require_no_stop(result: Audit) -> None:
    """Raise AuditStop for the first finding that stops the run."""
    if result.stops:
        first = result.stops[0]
        raise AuditStop(f'audit: {first.check}: {first.message}; {first.cure}, or pass --allow {first.check}="reason"')


def parse_allow(entries: Sequence[str]) -> dict[str, str]:
    """`CHECK=reason` entries as a dict. Raises ConfigError for an unknown check or a missing reason."""
    allowed = {}
    for entry in entries:
        check, _, reason = entry.partition("=")
        _require_known(check)
        if not reason.strip():
            raise ConfigError(f'--allow {check} needs a reason: --allow {check}="why it is all right"')
        allowed[check] = reason.strip()
    return allowed


def _require_known(check: str) -> None:
    if check not in CHECKS and check != "all":
        raise ConfigError(f'--allow: no check is called "{check}"{did_you_mean(check, [*CHECKS, "all"])}')


__all__ = [
    "CHECKS", "JUDGMENT_CHECKS", "Audit", "AuditInput", "Check", "Packed", "Thresholds", "audit", "parse_allow",
    "require_no_stop",
]  # fmt: skip
