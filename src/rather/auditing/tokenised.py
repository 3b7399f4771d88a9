"""Checks on the pairs as the model will see them."""

from __future__ import annotations

from rather.auditing.findings import AuditInput, by_share
from rather.records import Finding


def identical_after_truncation(given: AuditInput) -> list[Finding]:
    """Sides that differ in the file but not in what is left of them at --max-length."""
    if given.tokenised is None:
        return []
    found = [
        pair
        for pair, tokens in zip(given.pairs, given.tokenised, strict=True)
        if tokens.same_tokens and pair.chosen.strip() != pair.rejected.strip()
    ]
    return by_share(
        "identical_after_truncation",
        found,
        len(given.pairs),
        message="are the same on both sides once cut to --max-length",
        cure="raise --max-length, or drop them",
        stop=0.01,
    )


def missing_end_of_turn(given: AuditInput) -> list[Finding]:
    """An answer cut at --max-length has no end-of-turn: a model that sees many forgets how to stop."""
    if given.tokenised is None:
        return []
    pairs = list(zip(given.pairs, given.tokenised, strict=True))
    chosen = [pair for pair, tokens in pairs if tokens.chosen_truncated]
    rejected = [pair for pair, tokens in pairs if tokens.rejected_truncated]
    findings = by_share(
        "missing_end_of_turn",
        chosen,
        len(pairs),
        message="have a chosen answer cut at --max-length, so its end-of-turn is not trained",
        cure="raise --max-length, or drop them",
        warn=0.02,
        stop=0.5,
    )
    return findings + by_share(
        "missing_end_of_turn",
        rejected,
        len(pairs),
        message="have a rejected answer cut at --max-length",
        cure="raise --max-length, or drop them",
        warn=0.05,
    )
