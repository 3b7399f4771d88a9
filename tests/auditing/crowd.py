"""A made crowd: people and models of known habits judge made pairs, from a seed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from rather.records import Comparison, Judgment

PAIRS = 150
VERDICTS = ("a", "tie", "b")


@dataclass
class Habit:
    """How somebody judges: by default as a careful person does.

    right    probability of naming the better answer where it is no tie
    ties     probability of a tie
    side     probability of naming the answer shown first whatever it is
    longer   probability of naming the longer answer whatever it is
    again    probability of saying the same when asked again
    flips    probability that the verdict goes to the answer shown first in either order
    seconds  median time of a vote
    share    share of the pairs that are judged
    """

    right: float = 0.85
    ties: float = 0.12
    side: float = 0.0
    longer: float = 0.0
    again: float = 0.97
    flips: float = 0.0
    seconds: float = 25.0
    share: float = 0.6


PERSON = Habit()
SPAMMER = Habit(right=0.5, again=0.4, share=1.0)


@dataclass
class Crowd:
    """The pairs, and who says what of them."""

    seed: int = 0
    judgments: list[Judgment] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)
        words = self.random.integers(20, 120, (PAIRS, 2))
        self.answers = [tuple(f"{'ab'[n]}{k} " + "word " * int(words[k, n]) for n in range(2)) for k in range(PAIRS)]
        self.better = self.random.integers(0, 2, PAIRS)
        self.longer = (words[:, 1] > words[:, 0]).astype(int)

    def people(self, habits: Iterable[Habit]) -> Crowd:
        """Each judges some pairs once in an order drawn by chance, and a tenth of them again."""
        for number, habit in enumerate(habits):
            for pair in np.flatnonzero(self.random.random(PAIRS) < habit.share):
                order, opinion = bool(self.random.random() < 0.5), self._opinion(habit, pair)
                self._vote(f"p{number}", "person", pair, order, opinion, habit)
                if self.random.random() < 0.15:
                    kept = self.random.random() < habit.again
                    second = opinion if kept else int(self.random.choice([o for o in (0, 1, 2) if o != opinion]))
                    self._vote(f"p{number}", "person", pair, order, second, habit)
        return self

    def models(self, habits: Iterable[Habit], pairs: int = PAIRS) -> Crowd:
        """Each judges every pair in both orders; opinions are their own, and rarely change with the order."""
        for number, habit in enumerate(habits):
            for pair in range(pairs):
                opinion, sways = self._opinion(habit, pair), self.random.random() < habit.flips
                for order in (False, True):
                    said = int(order) * 2 if sways else opinion
                    self._vote(f"m{number}", "model", pair, order, said, habit)
        return self

    def _opinion(self, habit: Habit, pair: int) -> int:
        """0: the pair's first answer, 1: tie, 2: its second."""
        if self.random.random() < habit.longer:
            return int(self.longer[pair]) * 2
        if self.random.random() < habit.ties:
            return 1
        right = self.random.random() < habit.right
        return int(self.better[pair] if right else 1 - self.better[pair]) * 2

    def _vote(self, judge: str, by, pair: int, turned: bool, said: int, habit: Habit) -> None:
        said = 2 - said if turned else said
        if self.random.random() < habit.side:
            said = 0
        answers = self.answers[pair][::-1] if turned else self.answers[pair]
        seconds = float(habit.seconds * np.exp(self.random.normal(0, 0.4))) if by == "person" else None
        self.judgments.append(
            Comparison(
                prompt=f"q{pair}",
                answers=answers,
                judge=judge,
                by=by,
                verdict=VERDICTS[said],
                seconds=seconds,
                source=f"j.jsonl:{len(self.judgments) + 1}",
            )
        )
