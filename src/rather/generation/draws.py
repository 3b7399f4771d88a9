"""What is wanted of a model: which prompt is answered, how, and by which random numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Draw:
    """One answer that is wanted.

    prompt       index of the prompt
    temperature  0 for greedy
    seed         decides this answer's random numbers, whatever is answered beside it
    """

    prompt: int
    temperature: float
    seed: int
