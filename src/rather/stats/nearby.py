"""Texts that are nearly the same, by MinHash: prompts of which one is trained on and the other held out, pairs that repeat.

Two texts are near each other if they share at least `NEAR` of their shingles of five characters (Jaccard), after case, punctuation
and white space are set aside. Candidates come from MinHash bands (Broder 1997; Leskovec et al., "Mining of massive
datasets", 3.4): 8 bands of 4 find a pair at 0.8 with probability 0.985. Each candidate is then measured exactly.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from rather.stats.votes import Ints

NEAR = 0.7
SHINGLE = 5
BANDS, ROWS = 8, 4
_CHUNK = 1_000  # whose hashes stay in the processor's cache
_KEPT = 4_096
_SEED = 20_240_607

_ASIDE = re.compile(r"[\W_]+")

Hashes = np.ndarray
"""64-bit hashes."""


def near_duplicates(texts: Sequence[str]) -> Ints:
    """A number for each text: equal for those that are near each other, or linked by others that are."""
    if not texts:
        return np.zeros(0, np.int64)
    bands = np.empty((len(texts), BANDS), np.uint64)
    for start in range(0, len(texts), _CHUNK):
        chunk = [_hashes(text) for text in texts[start : start + _CHUNK]]
        bands[start : start + len(chunk)] = _bands(chunk)
    first, second = _candidates(bands)
    # Made again for the few that need it: kept for a million texts they would fill the memory.
    prints = lru_cache(maxsize=_KEPT)(lambda place: shingles(texts[place]))
    linked = np.array(
        [_share(prints(a), prints(b)) >= NEAR for a, b in zip(first.tolist(), second.tolist(), strict=True)], bool
    )
    first, second = first[linked], second[linked]
    edges = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(len(texts), len(texts)))
    return connected_components(edges, directed=False)[1].astype(np.int64)


def shingles(text: str) -> Hashes:
    """Hashes of the distinct shingles of a text, in order; a text of fewer characters is one shingle."""
    return np.unique(_hashes(text))


def _hashes(text: str) -> Hashes:
    """The same with repeats, as they come: the smallest of them needs no order."""
    plain = _ASIDE.sub(" ", text.lower()).strip() or text
    codes = np.frombuffer(plain.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    width = min(SHINGLE, len(codes))
    hashes = np.zeros(len(codes) - width + 1, np.uint64)
    with np.errstate(over="ignore"):
        for place in range(width):
            hashes = hashes * np.uint64(0x100000001B3) + codes[place : len(codes) - width + 1 + place]
        hashes = (hashes ^ (hashes >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return hashes ^ (hashes >> np.uint64(32))


def _bands(chunk: list[Hashes]) -> Hashes:
    """Each band's four smallest hashes as one number [texts, bands]."""
    flat = np.concatenate(chunk)
    starts = np.cumsum([0, *(len(hashes) for hashes in chunk[:-1])])
    random = np.random.default_rng(_SEED)
    factors = random.integers(1, 2**63, BANDS * ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    bands = np.zeros((len(chunk), BANDS), np.uint64)
    with np.errstate(over="ignore"):
        for row, factor in enumerate(factors):
            mixed = flat * factor
            smallest = np.minimum.reduceat(mixed ^ (mixed >> np.uint64(31)), starts)
            bands[:, row // ROWS] = bands[:, row // ROWS] * np.uint64(0x9E3779B97F4A7C15) + smallest
    return bands


def _candidates(bands: Hashes) -> tuple[Ints, Ints]:
    """Texts that agree in a band, each with the first of its bucket and with the one before it."""
    found: list[Ints] = []
    for band in bands.T:
        order = np.argsort(band, kind="stable")
        same = band[order[1:]] == band[order[:-1]]
        after = np.flatnonzero(same) + 1
        bucket = np.maximum.accumulate(np.where(np.r_[True, ~same], np.arange(len(order)), 0))
        found += [np.stack([order[bucket[after]], order[after]]), np.stack([order[after - 1], order[after]])]
    pairs = np.unique(np.concatenate(found, axis=1), axis=1) if found else np.zeros((2, 0), np.int64)
    return pairs[0], pairs[1]


def _share(one: Hashes, other: Hashes) -> float:
    """Jaccard's share of what two sets have in common."""
    common = len(np.intersect1d(one, other, assume_unique=True))
    return common / (len(one) + len(other) - common)
