"""What a reliability model finds of each judge: how much its votes say, and whether it favours a side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rather.stats.votes import FIRST, SECOND, TIE, Floats, Votes, total

Z95 = 1.959963984540054


@dataclass(frozen=True)
class Judges:
    """Columns over judges [J].

    skill  1 of a judge whose verdicts follow the answers (by the model's own measure), 0 of one that does not look at them,
           below 0 of one that says the opposite
    side   probability of naming the answer shown first, when two answers are equal and it names one; ½ without bias
    ties   share of ties among its votes
    votes  how many it gave
    """

    skill: Floats
    skill_low: Floats
    skill_high: Floats
    side: Floats
    side_low: Floats
    side_high: Floats
    ties: Floats
    votes: Floats


def counted(votes: Votes) -> tuple[Floats, Floats]:
    """Votes of each judge, and the share of ties among them [J]."""
    given = np.bincount(votes.judge, minlength=votes.judges).astype(np.float64)
    ties = total(votes.judge, (votes.outcome == TIE).astype(np.float64), votes.judges)
    return given, ties / np.maximum(given, 1)


def first_named(votes: Votes) -> tuple[Floats, Floats]:
    """How often each judge named the answer shown first, and how often it named one and an order was shown [J]."""
    shown = votes.sided & (votes.outcome != TIE)
    first = total(votes.judge, (shown & (votes.outcome == FIRST)).astype(np.float64), votes.judges)
    return first, first + total(votes.judge, (shown & (votes.outcome == SECOND)).astype(np.float64), votes.judges)
