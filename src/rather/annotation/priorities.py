"""Which item is worth asking next: what a vote on it can be expected to tell.

Votes on an item are read as throws of a coin whose unknown share says which answer people hold better: with `ahead` votes for one
side and `behind` for the other (a tie is half of each) and no opinion before, the share is Beta(1 + ahead, 1 + behind). Of items
with other votes than comparisons, `ahead` are those that say what most say, `behind` the others.

    uncertainty   entropy of the next vote: 1 bit where nobody voted or votes are split (Lewis and Gale 1994)
    doubt         entropy of which side is ahead
    information   how far one more vote can be expected to lower that doubt (Lindley 1956)
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from rather.annotation.settings import Asking

_GRID = 128
"""Places at which a Beta distribution is summed; shares come out right to three digits or better."""


def tally(votes: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """`ahead` and `behind` of votes in their item's own order (`tasks.turned`); of comparisons, `ahead` is the first answer."""
    if all("verdict" in vote for vote in votes):
        ahead = sum({"a": 1.0, "b": 0.0}.get(vote["verdict"], 0.5) for vote in votes)
        return ahead, len(votes) - ahead
    said = [repr(sorted(vote.items(), key=lambda part: part[0])) for vote in votes]
    most = max(said.count(one) for one in said)
    return float(most), float(len(said) - most)


def entropy(share: float) -> float:
    """Of a coin, in bits."""
    return sum(-p * math.log2(p) for p in (share, 1 - share) if p > 0)


def uncertainty(ahead: float, behind: float) -> float:
    """Bits of the next vote."""
    return entropy((1 + ahead) / (2 + ahead + behind))


@lru_cache(maxsize=4096)
def doubt(ahead: float, behind: float) -> float:
    """Bits of which side more people hold better."""
    places = [(place + 0.5) / _GRID for place in range(_GRID)]
    logs = [ahead * math.log(p) + behind * math.log(1 - p) for p in places]
    top = max(logs)
    weights = [math.exp(log - top) for log in logs]
    return entropy(min(1.0, math.fsum(weights[: _GRID // 2]) / math.fsum(weights)))


def information(ahead: float, behind: float) -> float:
    """Bits that one more vote takes from the doubt, on average."""
    share = (1 + ahead) / (2 + ahead + behind)
    after = share * doubt(ahead + 1, behind) + (1 - share) * doubt(ahead, behind + 1)
    return doubt(ahead, behind) - after


WORTH: dict[Asking, Callable[[float, float], float]] = {"uncertain": uncertainty, "informative": information}
"""What a vote is worth by each way to choose that goes by the votes so far."""


class Priorities:
    """Items with what a vote on each is worth, the highest first."""

    def __init__(self) -> None:
        self._order: list[tuple[float, int]] = []  # (−worth, item)
        self._worth: dict[int, float] = {}
        self._changes: list[tuple[int, float | None]] | None = None

    @classmethod
    def of(cls, worth: Mapping[int, float]) -> Priorities:
        """All of them at once, which costs a sort and not an insertion for each."""
        made = cls()
        made._worth = dict(worth)
        made._order = sorted((-value, item) for item, value in worth.items())
        return made

    def watch(self) -> list[tuple[int, float | None]]:
        """A list into which every change from now on is put, for one that is made meanwhile to take its place."""
        self._changes = []
        return self._changes

    def follow(self, changes: Iterable[tuple[int, float | None]]) -> None:
        """Change what another changed meanwhile."""
        for item, worth in changes:
            self.drop(item) if worth is None else self.put(item, worth)

    def __len__(self) -> int:
        return len(self._order)

    def put(self, item: int, worth: float) -> None:
        """Set what a vote on an item is worth."""
        self._forget(item)
        self._note(item, worth)
        self._worth[item] = worth
        insort(self._order, (-worth, item))

    def drop(self, item: int) -> None:
        """Forget an item."""
        self._forget(item)
        self._note(item, None)

    def _note(self, item: int, worth: float | None) -> None:
        if self._changes is not None:
            self._changes.append((item, worth))

    def _forget(self, item: int) -> None:
        worth = self._worth.pop(item, None)
        if worth is not None:
            del self._order[bisect_left(self._order, (-worth, item))]

    def best(self, *, least: float = -math.inf, below: float = math.inf) -> Iterator[int]:
        """Items worth `least` or more and less than `below`, the best first."""
        start = bisect_left(self._order, (-below, _BEHIND_ALL))
        for cost, item in self._order[start : start + _LOOK]:
            if -cost < least:
                return
            yield item


_BEHIND_ALL = 2**63

_LOOK = 500
"""Of items that one annotator has seen or that others hold, so many are passed over at most."""
