"""Responses → judgments: metrics, rules, functions, models, and what users did. To add a judge, write its class and a line."""

from __future__ import annotations

from rather.judging.base import Candidates, Judge, Outcome
from rather.judging.behaviour import Behaviour
from rather.judging.functions import RewardFunction
from rather.judging.models import Listwise, Pairwise, Rubric
from rather.judging.references import Bleu, ChrF, Rouge1, Rouge2, RougeL
from rather.judging.rules import Exact, Format, Language, Length, Numeric, Refusing
from rather.judging.scorers import Classifier, Implicit, RewardModel

__all__ = ["JUDGES", "Candidates", "Judge", "Outcome"]

JUDGES: dict[str, type[Judge]] = {
    "length": Length, "language": Language, "format": Format, "exact": Exact, "numeric": Numeric, "refusal": Refusing,
    "bleu": Bleu, "chrf": ChrF, "rouge1": Rouge1, "rouge2": Rouge2, "rougeL": RougeL,
    "function": RewardFunction, "reward": RewardModel, "classifier": Classifier, "implicit": Implicit,
    "pairwise": Pairwise, "rubric": Rubric, "listwise": Listwise,
    "behaviour": Behaviour,
}  # fmt: skip
"""name → a frozen config whose one method, `judge`, says what it thinks of the answers to each prompt."""
