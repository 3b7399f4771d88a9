"""Checks that need nothing but the pairs: sides that say nothing, and pairs that are there twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

from rather.auditing.findings import AuditInput, by_share
from rather.records import Finding, Pair

# Below so many different prompts, one answer to all of them is a small file and no pattern.
CONSTANT_PROMPTS = 20


def identical_sides(given: AuditInput) -> list[Finding]:
    """chosen == rejected teaches nothing; many of them mean that a step before this one did not do its work."""
    found = [pair for pair in given.pairs if pair.chosen.strip() == pair.rejected.strip()]
    return by_share(
        "identical_sides",
        found,
        len(given.pairs),
        message="have the same text on both sides",
        cure="drop them; if there are many, the correction or ranking that made the pairs changed nothing",
        stop=0.01,
    )


def empty_sides(given: AuditInput) -> list[Finding]:
    """An answer with no letter or digit in it."""
    found = [pair for pair in given.pairs if not _says_something(pair.chosen) or not _says_something(pair.rejected)]
    return by_share(
        "empty_sides",
        found,
        len(given.pairs),
        message="have a side without a single letter or digit",
        cure="drop them, or the model learns to answer with punctuation (or never to)",
        warn=0.0,
        stop=0.05,
    )


def duplicates(given: AuditInput) -> list[Finding]:
    """The same pair more than once weighs more than its neighbours without anyone having said so."""
    groups: dict[str, list[Pair]] = defaultdict(list)
    for pair in given.pairs:
        groups[pair.text_id].append(pair)
    found = [pair for group in groups.values() for pair in group[1:]]
    return by_share(
        "duplicates",
        found,
        len(given.pairs),
        message="repeat another pair",
        cure="keep one of each",
        warn=0.01,
        stop=0.5,
    )


def contradictions(given: AuditInput) -> list[Finding]:
    """A > B and B > A for one prompt cancel each other."""
    ids = {pair.text_id for pair in given.pairs}
    found = [pair for pair in given.pairs if pair.chosen != pair.rejected and pair.swapped().text_id in ids]
    return by_share(
        "contradictions",
        found,
        len(given.pairs),
        message="stand against a pair with the sides exchanged",
        cure="ask again which answer is better, or drop both",
        warn=0.0,
        stop=0.2,
    )


def doubtful_labels(given: AuditInput) -> list[Finding]:
    """A probability below ½ says that rejected is the better answer, against the names of the two."""
    if all(pair.probability is None for pair in given.pairs):
        return []
    found = [pair for pair in given.pairs if pair.probability is not None and pair.probability < 0.5]
    return by_share(
        "doubtful_labels",
        found,
        len(given.pairs),
        message="have a probability below ½, by which rejected is the better answer",
        cure="exchange the sides and write 1 − probability: the loss is the same, and accuracy then means what it says",
        warn=0.0,
    )


def constant_answer(given: AuditInput) -> list[Finding]:
    """One text that wins (or loses) everywhere is learned word for word, whatever the question."""
    return _most_common_answer(given.pairs, "chosen") + _most_common_answer(given.pairs, "rejected")


def _most_common_answer(pairs: Sequence[Pair], side: Literal["chosen", "rejected"]) -> list[Finding]:
    """A finding on the text that most pairs have on `side`; it counts only if it answers enough different prompts."""
    groups: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        groups[getattr(pair, side).strip()].append(pair)
    text, found = max(groups.items(), key=lambda group: len(group[1]), default=("", []))
    quoted = " ".join(text.split())
    quoted = quoted if len(quoted) <= 40 else quoted[:39] + "…"
    message = f'have one and the same {side} answer ("{quoted}")'
    if len({pair.prompt for pair in found}) < CONSTANT_PROMPTS:
        message, found = f"share a {side} answer that is given to {CONSTANT_PROMPTS} different prompts", []
    return by_share(
        "constant_answer",
        found,
        len(pairs),
        message=message,
        cure="vary the wording, or the model will give this one text to every question",
        warn=0.2,
        stop=0.8,
    )


def _says_something(text: str) -> bool:
    return any(character.isalnum() for character in text)
