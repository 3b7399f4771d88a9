"""Comparisons as columns: who said which of two items is better, and what ratings and rankings say as comparisons.

Shapes: `V` votes, `I` items, `J` judges, `K` pairs of items that somebody compared, `S` scores given.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The names say what an array holds. numpy's own stubs lose it at every index and sum.
Ints = NDArray[Any]
Floats = NDArray[Any]
Bools = NDArray[Any]

FIRST, TIE, SECOND = 0, 1, 2
"""Outcomes of a vote: the item shown first is better, neither is, the second is."""


@dataclass(frozen=True)
class Votes:
    """One row a vote.

    first, second  the items, in the order in which they were shown [V]
    outcome        FIRST, TIE or SECOND [V]
    judge          who voted [V]
    weight         how many votes it counts for [V]
    sided          False where nobody was shown an order, as in votes that come from ratings: such a vote has no side bias [V]
    """

    first: Ints
    second: Ints
    outcome: Ints
    judge: Ints
    weight: Floats
    sided: Bools
    items: int
    judges: int

    def __len__(self) -> int:
        return len(self.first)

    @classmethod
    def of(
        cls,
        first: Any,
        second: Any,
        outcome: Any,
        judge: Any = None,
        *,
        weight: Any = None,
        sided: Any = None,
        items: int | None = None,
        judges: int | None = None,
    ) -> Votes:
        """Votes from anything like columns; counts of items and judges are the highest numbers if not given."""
        first, second, outcome = (np.asarray(column, np.int64) for column in (first, second, outcome))
        judge = np.zeros(len(first), np.int64) if judge is None else np.asarray(judge, np.int64)
        return cls(
            first,
            second,
            outcome,
            judge,
            np.ones(len(first)) if weight is None else np.asarray(weight, np.float64),
            np.ones(len(first), bool) if sided is None else np.asarray(sided, bool),
            int(max(first.max(initial=-1), second.max(initial=-1)) + 1 if items is None else items),
            int(judge.max(initial=-1) + 1 if judges is None else judges),
        )

    @classmethod
    def joined(cls, parts: list[Votes]) -> Votes:
        """All votes of several sets over the same items and judges."""
        columns = ("first", "second", "outcome", "judge", "weight", "sided")
        together = {name: np.concatenate([getattr(part, name) for part in parts]) for name in columns}
        return cls(**together, items=parts[0].items, judges=parts[0].judges)

    def kept(self, mask: Bools | Ints) -> Votes:
        """The votes where `mask` is true (or at its places), over the same items and judges."""
        return replace(
            self,
            first=self.first[mask],
            second=self.second[mask],
            outcome=self.outcome[mask],
            judge=self.judge[mask],
            weight=self.weight[mask],
            sided=self.sided[mask],
        )

    def swapped(self) -> Votes:
        """The same judgments as if every pair had been shown in the other order."""
        return replace(self, first=self.second, second=self.first, outcome=SECOND - self.outcome)

    def ordered(self) -> Votes:
        """The same votes in an order that depends on nothing but what they say, so that sums are the same to the last bit."""
        return self.kept(np.lexsort((self.weight, self.outcome, self.judge, self.second, self.first)))

    def oriented(self) -> Votes:
        """Every pair with its lower item first: for models that know no sides."""
        turned = self.first > self.second
        return replace(
            self,
            first=np.where(turned, self.second, self.first),
            second=np.where(turned, self.first, self.second),
            outcome=np.where(turned, SECOND - self.outcome, self.outcome),
        ).ordered()

    def pairs(self) -> tuple[Ints, Ints, Ints, Bools]:
        """Lower and higher item of every compared pair [K], the pair of each vote, and whether it was shown turned [V]."""
        low, high = np.minimum(self.first, self.second), np.maximum(self.first, self.second)
        keys, pair_V = np.unique(low * np.int64(max(self.items, 1)) + high, return_inverse=True)
        return keys // max(self.items, 1), keys % max(self.items, 1), pair_V, self.first > self.second


def votes_of_scores(
    group: Ints, item: Ints, score: Floats, judge: Ints, *, weight: Floats, sided: bool | Bools, items: int, judges: int
) -> Votes:
    """What scores say as comparisons: within a group (one judge at one prompt), the higher score is better, equal is a tie.

    All arrays are [S]; a vote of two scores weighs as much as the lighter of them. `sided`: a group's rows stand in the order
    in which they were shown; of all groups, or [S].
    """
    order = np.argsort(group, kind="stable")
    group, item, score, judge, weight = group[order], item[order], score[order], judge[order], weight[order]
    sided = np.broadcast_to(sided, len(order))[order]
    longest = int(np.bincount(group - group.min()).max()) if len(group) else 0
    parts: list[tuple[Ints, Ints]] = []
    for step in range(1, longest):
        left = np.flatnonzero(group[:-step] == group[step:])
        parts.append((left, left + step))
    left = np.concatenate([part[0] for part in parts]) if parts else np.zeros(0, np.int64)
    right = np.concatenate([part[1] for part in parts]) if parts else np.zeros(0, np.int64)
    outcome = 1 - np.sign(score[left] - score[right]).astype(np.int64)
    return Votes(
        item[left], item[right], outcome, judge[left], np.minimum(weight[left], weight[right]),
        sided[left], items, judges,
    )  # fmt: skip


def total(index: Ints, values: Floats, size: int) -> Floats:
    """Sum of `values` at each index."""
    return np.bincount(index, values, size).astype(np.float64, copy=False)  # of nothing it counts in whole numbers
