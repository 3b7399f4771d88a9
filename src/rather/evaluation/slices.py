"""Held-out pairs by topic, length, language, file, and whatever their tags say of where they come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import fisher_exact

from rather.auditing.balance.topics import topics_of
from rather.auditing.material.packed import Packed
from rather.auditing.material.sampled import Sampled
from rather.auditing.shortcuts.features import features
from rather.auditing.texts.languages import language_of
from rather.records import Example
from rather.stats.proportions import false_discovery, wilson
from rather.stats.votes import Floats

# A slice of fewer pairs says nothing; a tag with more values is no slice.
LEAST, MOST_VALUES = 10, 20
TOPICS = 6
# What is found out here, beside the tags.
OWN = ("topic", "length", "language", "file")
# Answers within this share of each other are about as long.
ALIKE = 0.1


@dataclass(frozen=True)
class Slice:
    """Accuracy on the pairs of one kind. by, name: of what. low, high: Wilson's interval, counted in prompts.

    q: the share of false discoveries if all slices are named that differ from the rest of the pairs as surely.
    """

    by: str
    name: str
    pairs: int
    accuracy: float
    low: float
    high: float
    q: float


def sliced(pairs: Packed, sample: Sampled, right: Floats, *, topics: int = TOPICS) -> list[Slice]:
    """Every slice with enough pairs. right: 1, ½ or 0 [P]."""
    rows = [
        (by, name, np.array([label == name for label in labels]))
        for by, labels in _labels(pairs, sample, topics)
        for name, count in Counter(labels).most_common()
        if name is not None and LEAST <= count < len(labels)
    ]
    adjusted = false_discovery(np.array([_differs(right, own) for *_, own in rows]))
    return [_slice(by, name, own, right, sample, float(q)) for (by, name, own), q in zip(rows, adjusted, strict=True)]


def _slice(by: str, name: str, own: np.ndarray, right: Floats, sample: Sampled, q: float) -> Slice:
    share, prompts = float(right[own].mean()), len(np.unique(sample.group[own]))
    _, low, high = wilson(np.array(share * prompts), np.array(prompts))
    return Slice(by, name, int(own.sum()), share, float(low), float(high), q)


def _differs(right: Floats, own: np.ndarray) -> float:
    """p of Fisher's exact test of the slice against the rest; ties are not counted."""
    table = [[int((right[side] == value).sum()) for value in (1, 0)] for side in (own, ~own)]
    found: Any = fisher_exact(table)  # scipy has no types
    return float(found.pvalue)


def _labels(pairs: Packed, sample: Sampled, topics: int) -> Iterator[tuple[str, list[str | None]]]:
    asked = [_asked(pairs[int(row)]) for row in sample.rows]
    found = topics_of(asked, topics) if len(asked) >= LEAST * topics else None
    if found is not None:
        yield "topic", [found.names[number] for number in found.group]
    yield "length", [_longer(better, worse) for better, worse in zip(*features(sample).words, strict=True)]
    yield "language", [language_of(text) for text in asked]
    files = [_file_of(pairs[int(row)]) for row in sample.rows]
    if 1 < len(set(files)) <= MOST_VALUES:
        yield "file", files
    for tag in sorted({tag for tags in sample.tags for tag in tags}):
        values = [tags.get(tag) for tags in sample.tags]
        if 1 < len({value for value in values if value is not None}) <= MOST_VALUES:
            # Beside what is found out here: a tag may mean something else by the same word.
            yield f"tag {tag}" if tag in OWN else tag, values


def _file_of(record: Example) -> str | None:
    """The name of the file in which a pair stands, of several that were given."""
    return None if record.source is None else Path(record.source.rpartition(":")[0]).name or None


def _asked(record: Example) -> str:
    return record.prompt if isinstance(record.prompt, str) else record.prompt[-1].content


def _longer(better: int, worse: int) -> str:
    if abs(better - worse) <= ALIKE * max(better, worse):
        return "about as long"
    return "chosen is longer" if better > worse else "chosen is shorter"


def worst(slices: Sequence[Slice], level: float = 0.05) -> list[Slice]:
    """Slices that certainly differ from the rest, the lowest accuracy first."""
    return sorted((each for each in slices if each.q <= level), key=lambda each: each.accuracy)
