"""Evidence → pairs. Here: pairs made by correcting a model's own answers."""

from rather.pairing.correct import Rule, Rules, correct, edited, read_rules
from rather.pairing.identity import Identity, Made, corrected, mentions, retained

__all__ = [
    "Identity", "Made", "Rule", "Rules", "correct", "corrected", "edited", "mentions", "read_rules", "retained",
]  # fmt: skip
