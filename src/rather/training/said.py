"""What people said of a pair beyond which answer is better: how surely, by how much, and how much it counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rather.errors import InputError
from rather.losses import SCORE_LOSSES, losses_taking
from rather.records import Pair
from rather.training.config import TrainConfig

# What a row calls it, what a loss calls it, and what holds where a row does not say.
_FIELDS = (("probability", "label", 1.0), ("margin", "margin", 0.0), ("weight", "weight", 1.0))


@dataclass(frozen=True)
class Said:
    """Of P pairs each [P] float32, or None where no pair of the run says it.

    label   probability that chosen is the better answer
    margin  by how much, in units of reward
    weight  what the pair's loss is multiplied with
    """

    label: Tensor | None = None
    margin: Tensor | None = None
    weight: Tensor | None = None

    @classmethod
    def by(cls, pairs: Sequence[Pair], *, device: torch.device) -> Said:
        """What `pairs` say; a pair that does not say it has the neutral value beside those that do."""
        found = {}
        for field, name, neutral in _FIELDS:
            values = [getattr(pair, field) for pair in pairs]
            if any(value is not None for value in values):
                filled = [neutral if value is None else value for value in values]
                found[name] = torch.tensor(filled, dtype=torch.float32, device=device)
        return cls(**found)

    def of(self, pairs: Sequence[int]) -> Said:
        """Those of some pairs, in the order given."""
        rows = list(pairs)
        return Said(*(None if value is None else value[rows] for value in (self.label, self.margin, self.weight)))

    def weighted(self, loss_P: Tensor) -> Tensor:
        return loss_P if self.weight is None else loss_P * self.weight


UNSAID = Said()


def require_used(pairs: Sequence[Pair], config: TrainConfig) -> None:
    """Raise InputError for the first pair that says what the loss does not use."""
    names = [name for name, _ in config.terms]
    for field, said, _ in _FIELDS:
        first = next((pair for pair in pairs if getattr(pair, field) is not None), None)
        takers = [name for name in losses_taking(said) if name not in SCORE_LOSSES]
        used = all(name in takers for name in names) if said == "weight" else any(name in takers for name in names)
        if first is not None and not used:
            raise InputError(
                f'{first.source or first.id}: has a "{field}", which the loss {config.loss} does not use; losses that do: '
                f"{', '.join(takers)}; or remove it from every row"
            )
