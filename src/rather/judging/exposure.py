"""How likely an answer was looked at, by its place on the page: a position-based click model, fitted to the log itself.

A reaction to answer d in place k happens with probability θ_k·α_d: it is looked at, and it calls for one. θ and α are told apart
by answers that were shown in several places (Richardson et al. 2007; EM as in Chuklin, Markov, de Rijke 2015, ch. 4.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_ROUNDS, _STILL = 1000, 1e-6


@dataclass(frozen=True)
class Exposure:
    """θ by place, 1 for the place most looked at. reason: why places could not be corrected for (θ is then 1 everywhere)."""

    theta: dict[int, float]
    reason: str | None = None


def exposure(answers: Sequence[int], places: Sequence[int], reacted: Sequence[float]) -> Exposure:
    """Fit θ to showings: which answer (a number), in which place, and whether it was reacted to (0 to 1)."""
    known = sorted(set(places))
    flat = dict.fromkeys(known, 1.0)
    if len(known) < 2:
        return Exposure(flat, "every answer was shown in one place")
    if not any(reacted):
        return Exposure(flat, "nobody reacted to anything")
    if not _linked(answers, places):
        return Exposure(flat, "no answers were shown in several places, so that place and quality cannot be told apart")
    index = {place: number for number, place in enumerate(known)}
    theta = _fit(
        np.unique(np.asarray(answers), return_inverse=True)[1],
        np.array([index[place] for place in places]),
        np.asarray(reacted, dtype=float),
    )
    return Exposure({place: float(theta[number]) for place, number in index.items()})


def _fit(answer_N: np.ndarray, place_N: np.ndarray, reacted_N: np.ndarray) -> np.ndarray:
    """[K] θ by EM. Answers share a Beta prior whose mean is fitted too: with few showings each they would follow their places."""
    shown_D, shown_K = np.bincount(answer_N).astype(float), np.bincount(place_N).astype(float)
    theta_K = np.full(len(shown_K), 0.5)
    alpha_D = np.full(len(shown_D), max(float(reacted_N.mean()), 1e-6) * 2).clip(max=0.9)
    prior, strength = float(alpha_D[0]), 2.0
    for _ in range(_ROUNDS):
        theta_N, alpha_N = theta_K[place_N], alpha_D[answer_N]
        silent_N = (1 - reacted_N) / np.maximum(1 - theta_N * alpha_N, 1e-12)
        examined_N = reacted_N + silent_N * theta_N * (1 - alpha_N)
        called_N = reacted_N + silent_N * alpha_N * (1 - theta_N)
        alpha_D = (np.bincount(answer_N, called_N) + strength * prior) / (shown_D + strength)
        before, theta_K = theta_K, np.bincount(place_N, examined_N) / shown_K
        top = theta_K.max()  # only the products θ·α are seen: the best place is 1 by agreement
        theta_K, alpha_D = theta_K / top, alpha_D * top
        prior = float(alpha_D.mean())
        if np.abs(theta_K - before).max() < _STILL:
            break
    return theta_K.clip(min=1e-3)


def _linked(answers: Sequence[int], places: Sequence[int]) -> bool:
    """True if every place can be compared with every other, by answers shown in both or by a chain of such."""
    root = {place: place for place in places}

    def find(place: int) -> int:
        while root[place] != place:
            root[place] = root[root[place]]
            place = root[place]
        return place

    first: dict[int, int] = {}
    for answer, place in zip(answers, places, strict=True):
        root[find(place)] = find(first.setdefault(answer, place))
    return len({find(place) for place in root}) == 1
