"""Evidence → pairs. Here: pairs made by correcting a model's own answers."""

from rather.pairing.identity import Identity, Made, corrected, mentions, retained

__all__ = ["Identity", "Made", "corrected", "mentions", "retained"]
