"""Which answers of a prompt make pairs. To add a rule, write a function and a line in `RULES`, and its name in `PairConfig`.

A rule sees the scores of answers that can be compared with each other, best first (two or more; equal ones in an order drawn by
seed), and a number drawn for the prompt. It gives the places of the answers, better before worse. It does not look at ties
and margins: what it picks is judged afterwards, for every rule alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from statistics import fmean, pstdev

Places = list[tuple[int, ...]]
Rule = Callable[[Sequence[float], int], Places]


def best_vs_worst(scores: Sequence[float], lot: int) -> Places:
    """The best answer over the worst: the largest difference, one pair a prompt."""
    return [(0, len(scores) - 1)]


def best_vs_random(scores: Sequence[float], lot: int) -> Places:
    """The best answer over another one, drawn by seed (Zephyr's way with UltraFeedback): one pair a prompt."""
    return [(0, 1 + lot % (len(scores) - 1))]


def best_vs_sigma(scores: Sequence[float], lot: int) -> Places:
    """The best answer over the one nearest to μ − 2σ of the prompt's scores: one pair a prompt.

    Xiao et al. 2025, "Finding the sweet spot": with many samples of one model the worst is an accident, and a rejected answer two
    standard deviations below the mean teaches more.
    """
    target = fmean(scores) - 2 * pstdev(scores)
    return [(0, min(range(1, len(scores)), key=lambda place: abs(scores[place] - target)))]


def neighbours(scores: Sequence[float], lot: int) -> Places:
    """Each answer over the next one in the order of scores: n − 1 pairs of the smallest differences."""
    return [(place, place + 1) for place in range(len(scores) - 1)]


def every(scores: Sequence[float], lot: int) -> Places:
    """Each answer over each that is below it: n (n − 1) / 2 pairs."""
    return list(combinations(range(len(scores)), 2))


def ranked(scores: Sequence[float], lot: int) -> Places:
    """One ranked list of all answers, for losses of lists; one tied with the answer before it, or too close, is left out."""
    return [tuple(range(len(scores)))]


RULES: dict[str, Rule] = {
    "best-vs-worst": best_vs_worst,
    "best-vs-random": best_vs_random,
    "best-vs-sigma": best_vs_sigma,
    "neighbours": neighbours,
    "all": every,
    "list": ranked,
}

ONE_A_PROMPT = frozenset({"best-vs-worst", "best-vs-random", "best-vs-sigma", "list"})
"""Rules that make at most one pair or list of the answers that can be compared."""
