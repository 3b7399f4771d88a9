"""What prompts are about: groups of prompts with words in common, named by the words that set them apart.

TF-IDF over words (Chinese, Japanese and Korean: over pairs of characters, named by the words that these belong to), its main
directions (truncated SVD), k-means.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rather.auditing.balance.phrases import RUN, Words, apart, pairs_of
from rather.auditing.material.keys import Ints
from rather.auditing.material.words import FUNCTION_WORDS

Floats = NDArray[np.float64]

DIRECTIONS = 40
NAMED_BY = 4
# Pairs of characters of one word follow each other, so more are looked at than are named.
LOOKED_AT = 20
# How far a text is drawn towards the group that it is most like; at 0 all stand in the middle.
SHARPNESS = 12.0
# Words of a question that say nothing of its subject.
_EMPTY = FUNCTION_WORDS | frozenset({
    "about", "all", "also", "any", "been", "but", "can", "could", "did", "do", "does", "don", "get", "give", "go", "had", "has",
    "have", "help", "her", "hi", "him", "his", "how", "if", "its", "just", "know", "ll", "like", "make", "me", "my", "need",
    "no", "not", "one", "please", "re", "s", "she", "should", "so", "some", "t", "tell", "than", "thanks", "their", "them",
    "then", "there", "these", "they", "think", "up", "us", "use", "ve", "want", "were", "what", "when", "where", "which",
    "who", "why", "will", "would", "yes", "am", "he", "into", "more", "m", "d", "or", "out", "over", "very", "too",
})  # fmt: skip
_LATIN = re.compile(r"[^\W\d_⺀-鿿\uf900-\ufaff぀-ヿ가-힯]{2,}")


@dataclass(frozen=True)
class Topics:
    """Groups of texts.

    names   by the words that set each apart, the largest group first
    group   number of each text's group [texts]
    places  each text on a plane, near the groups that it is like [texts, 2]
    common  the word that most texts have, of those that say something of a subject, and the share of texts that have it
    """

    names: tuple[str, ...]
    group: Ints
    places: Floats
    common: tuple[str, float]

    @property
    def shares(self) -> Floats:
        return np.bincount(self.group, minlength=len(self.names)) / len(self.group)


def topics_of(texts: Sequence[str], groups: int, seed: int = 0) -> Topics | None:
    """So many groups of texts, or None if they have too few words in common."""
    from sklearn.cluster import KMeans  # here, because `rather --help` must not wait for it
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    # scikit-learn has no types, and what is guessed from its defaults is wrong.
    vectors: Any = TfidfVectorizer
    clusters: Any = KMeans
    read = vectors(analyzer=_terms, min_df=3, max_features=20_000, sublinear_tf=True)
    try:
        weights = read.fit_transform(texts)
    except ValueError:  # no word is left
        return None
    if weights.shape[1] <= groups:
        return None
    size = min(DIRECTIONS, weights.shape[1] - 1)
    directions: Any = normalize(TruncatedSVD(size, random_state=seed).fit_transform(weights))
    group = clusters(groups, n_init=2, random_state=seed).fit_predict(directions)
    order = np.argsort(-np.bincount(group, minlength=groups), kind="stable")
    group = np.argsort(order)[group]
    terms, words = read.get_feature_names_out(), Words(texts)
    names = _names(weights, group, terms, words)
    often = np.bincount(weights.indices, minlength=weights.shape[1]) / len(texts)
    common = str(terms[often.argmax()])
    said = _word(common, words) or common
    return Topics(tuple(names), group.astype(np.int64), _plane(directions, group), (said, float(often.max())))


def _terms(text: str) -> list[str]:
    return [word for word in _LATIN.findall(text.lower()) if word not in _EMPTY] + pairs_of(text)


def _names(weights: object, group: Ints, terms: NDArray[np.object_], words: Words) -> list[str]:
    """The words whose mean weight in the group is most above that in all."""
    whole = np.asarray(weights.mean(axis=0)).ravel()  # pyright: ignore[reportAttributeAccessIssue]
    names = []
    for number in np.unique(group):
        inside = np.flatnonzero(group == number)
        own = np.asarray(weights[inside].mean(axis=0)).ravel()  # pyright: ignore[reportIndexIssue]
        best = np.argsort(-(own - whole), kind="stable")[:LOOKED_AT]
        found = apart([_word(str(terms[at]), words, inside.tolist()) for at in best if own[at] > 0])
        names.append(", ".join(found[:NAMED_BY]))
    return [name if names.index(name) == at else f"{name} ({at + 1})" for at, name in enumerate(names)]


def _word(term: str, words: Words, within: Sequence[int] | None = None) -> str:
    """A term as it is named: a pair of characters by the word that it belongs to."""
    return words.around(term, within) if RUN.fullmatch(term) else term


def _plane(directions: Floats, group: Ints) -> Floats:
    """Each text on a plane: between the places of the groups, the nearer to each the more it is like it.

    Groups of words that have little in common lie at like distances from each other in many dimensions; no two of these show them
    apart, so their places are found by stress majorisation (SMACOF, de Leeuw 1977).
    """
    numbers = np.unique(group)
    middles = np.stack([directions[group == number].mean(axis=0) for number in numbers])
    middles /= np.maximum(np.linalg.norm(middles, axis=1, keepdims=True), 1e-12)
    pull = np.exp(SHARPNESS * (directions @ middles.T - 1))
    return (pull / pull.sum(axis=1, keepdims=True)) @ _spread(np.sqrt(np.maximum(2 - 2 * middles @ middles.T, 0)))


def _spread(distance: Floats, steps: int = 300) -> Floats:
    """Places on a plane at about these distances from each other [groups, 2]."""
    size = len(distance)
    # Begun on a spiral, the largest group in the middle: no draw of chance, and the same from run to run.
    turn, radius = np.arange(size) * np.pi * (3 - 5**0.5), np.sqrt(np.arange(size) / max(size, 1))
    places = np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=1)
    for _ in range(steps):
        apart = np.linalg.norm(places[:, None] - places[None], axis=2)
        ratio = np.divide(-distance, apart, out=np.zeros_like(apart), where=apart > 1e-12)
        np.fill_diagonal(ratio, 0.0)
        np.fill_diagonal(ratio, -ratio.sum(axis=1))
        places = ratio @ places / size
    return places
