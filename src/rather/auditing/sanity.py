"""Checks that need nothing but the pairs: sides that say nothing, and pairs that are there twice."""

from __future__ import annotations

from collections import defaultdict
from typing import Literal

from rather.auditing.findings import AuditInput, by_share
from rather.records import Example, Finding, Pair

# Below so many different prompts, one answer to all of them is a small file and no pattern.
CONSTANT_PROMPTS = 20


_ONE = {"pair": "pair", "list": "list", "sample": "answer"}
_OPPOSED = {
    "pair": "stand against a pair with the sides exchanged",
    "list": "stand against a list that ranks the same answers otherwise",
    "sample": "stand against the same answer with the other label",
}
_SIDES = {
    "pair": {"good": "chosen", "bad": "rejected"},
    "list": {"good": "best", "bad": "lower"},
    "sample": {"good": "good", "bad": "bad"},
}


def identical_sides(given: AuditInput) -> list[Finding]:
    """chosen == rejected teaches nothing; many of them mean that a step before this one did not do its work."""
    found = [r for r in given.records if len({text.strip() for text in r.answers}) < len(r.answers)]
    return by_share(
        "identical_sides",
        found,
        given,
        message="have the same text on both sides" if given.kind == "pair" else "have one text twice",
        cure="drop them; if there are many, the correction or ranking that made the pairs changed nothing",
        stop=0.01,
    )


def empty_sides(given: AuditInput) -> list[Finding]:
    """An answer with no letter or digit in it."""
    found = [record for record in given.records if not all(map(says_something, record.answers))]
    return by_share(
        "empty_sides",
        found,
        given,
        message=f"have {'a side' if given.kind == 'pair' else 'an answer'} without a single letter or digit",
        cure="drop them, or the model learns to answer with punctuation (or never to)",
        warn=0.0,
        stop=0.05,
    )


def duplicates(given: AuditInput) -> list[Finding]:
    """The same pair more than once weighs more than its neighbours without anyone having said so."""
    groups: dict[str, list[Example]] = defaultdict(list)
    for record in given.records:
        groups[record.text_id].append(record)
    found = [record for group in groups.values() for record in group[1:]]
    return by_share(
        "duplicates",
        found,
        given,
        message=f"repeat another {_ONE[given.kind]}",
        cure="keep one of each",
        warn=0.01,
        stop=0.5,
    )


def contradictions(given: AuditInput) -> list[Finding]:
    """A > B and B > A for one prompt cancel each other, as do two orders of one list, or good and bad of one answer."""
    said: dict[str, set[str]] = defaultdict(set)
    for record in given.records:
        said[record.same_question].add(record.text_id)
    found = [record for record in given.records if len(said[record.same_question]) > 1]
    return by_share(
        "contradictions",
        found,
        given,
        message=_OPPOSED[given.kind],
        cure="ask again which answer is better, or drop both",
        warn=0.0,
        stop=0.2,
    )


def doubtful_labels(given: AuditInput) -> list[Finding]:
    """A probability below ½ says that rejected is the better answer, against the names of the two."""
    labels = [(record, record.probability) for record in given.records if isinstance(record, Pair)]
    if all(label is None for _, label in labels):
        return []
    found = [record for record, label in labels if label is not None and label < 0.5]
    return by_share(
        "doubtful_labels",
        found,
        given,
        message="have a probability below ½, by which rejected is the better answer",
        cure="exchange the sides and write 1 − probability: the loss is the same, and accuracy then means what it says",
        warn=0.0,
    )


def constant_answer(given: AuditInput) -> list[Finding]:
    """One text that wins (or loses) everywhere is learned word for word, whatever the question."""
    return _most_common_answer(given, "good") + _most_common_answer(given, "bad")


def _most_common_answer(given: AuditInput, side: Literal["good", "bad"]) -> list[Finding]:
    """A finding on the text that most pairs have on `side`; it counts only if it answers enough different prompts."""
    groups: dict[str, list[Example]] = defaultdict(list)
    for record in given.records:
        for answer in {answer.strip(): None for answer in getattr(record, side)}:
            groups[answer].append(record)
    name = _SIDES[given.kind][side]
    text, found = max(groups.items(), key=lambda group: len(group[1]), default=("", []))
    quoted = " ".join(text.split())
    quoted = quoted if len(quoted) <= 40 else quoted[:39] + "…"
    message = f'have one and the same {name} answer ("{quoted}")'
    if len({record.prompt for record in found}) < CONSTANT_PROMPTS:
        message, found = f"share a {name} answer that is given to {CONSTANT_PROMPTS} different prompts", []
    return by_share(
        "constant_answer",
        found,
        given,
        message=message,
        cure="vary the wording, or the model will give this one text to every question",
        warn=0.2,
        stop=0.8,
    )


def says_something(text: str) -> bool:
    """True if the text has a letter or a digit."""
    return any(character.isalnum() for character in text)
