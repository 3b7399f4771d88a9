"""Statistics that several rooms need."""

from rather.stats.intervals import Rate, rate

__all__ = ["Rate", "rate"]
