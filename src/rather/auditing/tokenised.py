"""Checks on the pairs as the model will see them."""

from __future__ import annotations

from rather.auditing.findings import AuditInput, by_share
from rather.records import Finding

_SIDES = {
    "pair": ("a chosen", "a rejected"), "list": ("their best", "a lower"), "sample": ("a good", "a bad"),
}  # fmt: skip


def identical_after_truncation(given: AuditInput) -> list[Finding]:
    """Sides that differ in the file but not in what is left of them at --max-length."""
    if given.tokenised is None:
        return []
    found = [
        record
        for record, tokens in zip(given.records, given.tokenised, strict=True)
        if tokens.same_tokens and len({text.strip() for text in record.answers}) == len(record.answers)
    ]
    return by_share(
        "identical_after_truncation",
        found,
        given,
        message=("are the same on both sides" if given.kind == "pair" else "have two answers that are the same")
        + " once cut to --max-length",
        cure="raise --max-length, or drop them",
    )


def missing_end_of_turn(given: AuditInput) -> list[Finding]:
    """An answer cut at --max-length has no end-of-turn: a model that sees many forgets how to stop."""
    if given.tokenised is None:
        return []
    both = list(zip(given.records, given.tokenised, strict=True))
    chosen = [record for record, tokens in both if tokens.chosen_truncated]
    rejected = [record for record, tokens in both if tokens.rejected_truncated]
    good, bad = _SIDES[given.kind]
    findings = by_share(
        "missing_end_of_turn",
        chosen,
        given,
        message=f"have {good} answer cut at --max-length, so its end-of-turn is not trained",
        cure="raise --max-length, or drop them",
        limits=given.thresholds.chosen_truncated,
    )
    return findings + by_share(
        "missing_end_of_turn",
        rejected,
        given,
        message=f"have {bad} answer cut at --max-length",
        cure="raise --max-length, or drop them",
        limits=given.thresholds.rejected_truncated,
    )
