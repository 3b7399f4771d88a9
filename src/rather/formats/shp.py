"""SHP: a post, two comments on it, and which of them was scored higher although it came no earlier.

    {"history": "…", "human_ref_A": "…", "human_ref_B": "…", "labels": 1, "score_A": 52, "score_B": 13}

`labels` is 1 where A is the better one. The post is a user turn; domain and ratio of the scores become tags.
"""

from __future__ import annotations

from rather.errors import RowError
from rather.formats.preference import make_pair
from rather.formats.values import Row, number_of, short, text_of, user_turn
from rather.records import Pair

FIELDS = frozenset({
    "history", "human_ref_A", "human_ref_B", "labels", "score_A", "score_B", "score_ratio", "domain", "post_id",
    "seconds_difference",
})  # fmt: skip
REQUIRED = ("history", "human_ref_A", "human_ref_B", "labels")

_TAGS = ("domain", "post_id", "score_ratio", "seconds_difference")


def matches(row: Row) -> bool:
    """A history and two human answers."""
    return "history" in row and "human_ref_A" in row and "human_ref_B" in row


def parse(row: Row) -> Pair:
    """One row as a pair. Raises RowError also where the scores say otherwise than the label."""
    label = row["labels"]
    if isinstance(label, str) and label in ("0", "1"):
        label = int(label)
    if isinstance(label, bool) or label not in (0, 1):
        raise RowError(f'"labels" is {short(label)!r}; it must be 1 where A is better and 0 where B is')
    first, second = text_of(row["human_ref_A"], "human_ref_A"), text_of(row["human_ref_B"], "human_ref_B")
    if row.get("score_A") is not None and row.get("score_B") is not None:
        score_a, score_b = number_of(row["score_A"], "score_A"), number_of(row["score_B"], "score_B")
        if score_a == score_b:
            raise RowError(f"both comments were scored {score_a:g}, so neither is the better one")
        if (score_a > score_b) != (label == 1):
            raise RowError(f'"labels" is {label}, but the scores are {score_a:g} for A and {score_b:g} for B')
    tags = {name: str(row[name]) for name in _TAGS if row.get(name) is not None}
    better, worse = (first, second) if label == 1 else (second, first)
    return make_pair(user_turn(row["history"], "history"), better, worse, tags)
