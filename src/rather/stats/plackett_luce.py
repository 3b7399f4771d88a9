"""Scores of items from rankings: Plackett and Luce's model, with partial rankings and ties.

A ranking is a sequence of choices: the best of all, then the best of those left. Tied items are each chosen from all that stand
no higher (Breslow's form, as in survival analysis). With the same prior as `bradley_terry`; of rankings of two without a
tie it is Bradley–Terry.
"""

from __future__ import annotations

import numpy as np

from rather.stats.bradley_terry import SPREAD, Scores, lowest
from rather.stats.votes import Floats, Ints, total


def plackett_luce(
    group: Ints, item: Ints, score: Floats, weight: Floats, *, items: int, spread: float = SPREAD
) -> Scores:
    """Plackett 1975, Luce 1959. Rows [S] of one group are one ranking, the highest score first; its weight is its first row's."""
    tables = _tables(group, item, score, weight)

    def loss(point: Floats) -> tuple[float, Floats]:
        value, slope = float(0.5 * (point @ point) / spread**2), point / spread**2
        for table in tables:
            part, pull = table.loss(point)
            value += part
            slope = slope + total(table.item.ravel(), pull.ravel(), items)
        return float(value), slope

    return Scores(lowest(loss, np.zeros(items)))


class _Table:
    """Rankings of one length: items by place [rankings, places]."""

    def __init__(self, item: Ints, score: Floats, weight: Floats) -> None:
        self.item, self.weight = item, weight[:, None]
        # Those left at a place begin with the first of those that are tied with it, and end with the last of all.
        new = np.ones(item.shape, bool)
        new[:, 1:] = score[:, 1:] != score[:, :-1]
        place = np.arange(item.shape[1])
        self.start = np.maximum.accumulate(np.where(new, place, 0), axis=1)

    def loss(self, point: Floats) -> tuple[float, Floats]:
        value = point[self.item]
        top = value.max(axis=1, keepdims=True)
        strength = np.exp(value - top)
        left = np.take_along_axis(np.cumsum(strength[:, ::-1], axis=1)[:, ::-1], self.start, axis=1)
        loss = float((self.weight * (np.log(left) + top - value)).sum())
        # An item is among those left at every place whose start is not behind it.
        share = np.zeros_like(left)
        rows = np.broadcast_to(np.arange(len(left))[:, None], left.shape)
        np.add.at(share, (rows, self.start), 1 / left)
        return loss, self.weight * (strength * np.cumsum(share, axis=1) - 1)


def _tables(group: Ints, item: Ints, score: Floats, weight: Floats) -> list[_Table]:
    order = np.lexsort((item, -score, group))
    group, item, score, weight = group[order], item[order], score[order], weight[order]
    starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]]) if len(group) else np.zeros(0, np.int64)
    lengths = np.diff(np.r_[starts, len(group)])
    tables = []
    for length in np.unique(lengths[lengths > 1]):
        rows = starts[lengths == length][:, None] + np.arange(length)
        tables.append(_Table(item[rows], score[rows], weight[rows[:, 0]]))
    return tables
