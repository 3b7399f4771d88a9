"""What people said of an example beyond which answer is better: how surely, by how much, and how much it counts."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rather.errors import ConfigError, InputError
from rather.losses import FACTS, SCORE_LOSSES, losses_taking
from rather.progress import say
from rather.records import NOUNS, Example, Kind, Single
from rather.training.config import TrainConfig

# What a row calls it, what a loss calls it, and what holds where a row does not say.
_FIELDS = (("probability", "label", 1.0), ("margin", "margin", 0.0), ("weight", "weight", 1.0))


@dataclass(frozen=True)
class Said:
    """Of P examples each [P] float32, or None where no example of the run says it.

    label      of pairs: probability that chosen is the better answer
    margin     of pairs: by how much, in units of reward
    weight     what the example's loss is multiplied with
    desirable  [P] bool, of single answers: whether it is a good one
    """

    label: Tensor | None = None
    margin: Tensor | None = None
    weight: Tensor | None = None
    desirable: Tensor | None = None

    @classmethod
    def by(cls, records: Iterable[Example], *, device: torch.device) -> Said:
        """What `records` say; one that does not say it has the neutral value beside those that do. Read in one pass."""
        columns = [array("d") for _ in _FIELDS]
        said, labels = set[str](), bytearray()
        for record in records:
            for column, (field, name, neutral) in zip(columns, _FIELDS, strict=True):
                value = getattr(record, field, None)
                column.append(neutral if value is None else value)
                if value is not None:
                    said.add(name)
            if isinstance(record, Single):
                labels.append(record.label)
        found = {
            name: torch.tensor(np.frombuffer(column), dtype=torch.float32, device=device)
            for column, (_, name, _) in zip(columns, _FIELDS, strict=True)
            if name in said
        }
        if labels:
            found["desirable"] = torch.tensor(np.frombuffer(labels, np.bool_), device=device)
        return cls(**found)

    def of(self, examples: Sequence[int]) -> Said:
        """Those of some examples, in the order given."""
        rows = list(examples)
        every = (self.label, self.margin, self.weight, self.desirable)
        return Said(*(None if value is None else value[rows] for value in every))

    def weighted(self, loss_P: Tensor) -> Tensor:
        return loss_P if self.weight is None else loss_P * self.weight


UNSAID = Said()


# What a loss takes is made of records of these kinds; one of single answers takes both of a pair.
_KINDS: dict[str, tuple[Kind, ...]] = {
    "pair": ("pair",),
    "sample": ("sample", "pair"),
    "list": ("list",),
    "score": ("pair",),
}


def require_used(records: Sequence[Example], config: TrainConfig) -> None:
    """Raise ConfigError where the loss does not take such records, InputError for the first that says what it does not use."""
    kind, names = records[0].kind, [name for name, _ in config.terms]
    for name in names:
        if kind not in _KINDS[FACTS[name].input]:
            raise ConfigError(_unfit(name, kind))
    firsts: dict[str, Example] = {}
    for record in records:
        for field, _, _ in _FIELDS:
            if field not in firsts and getattr(record, field, None) is not None:
                firsts[field] = record
    for field, said, _ in _FIELDS:
        first = firsts.get(field)
        takers = losses_taking(said)
        used = all(name in takers for name in names) if said == "weight" else any(name in takers for name in names)
        if first is not None and not used:
            raise InputError(
                f'{first.source or first.id}: has a "{field}", which the loss {config.loss} does not use; losses that do: '
                f"{', '.join(name for name in takers if name not in SCORE_LOSSES)}; or remove it from every row"
            )


def require_both_sides(records: Sequence[Example], updates: Sequence[Sequence[int]], config: TrainConfig) -> None:
    """For losses that compare the good single answers of an update with its bad ones: say how many updates have but one side.

    Raises ConfigError where none has both, so that nothing would be learned.
    """
    names = [name for name, _ in config.terms if FACTS[name].batch and FACTS[name].input == "sample"]
    if not names or not isinstance(records[0], Single):
        return
    one_sided = sum(len({bool(records[index].good) for index in update}) < 2 for update in updates)
    if one_sided == len(updates):
        raise ConfigError(
            f"--loss {names[0]} compares the good answers of an update with its bad ones, and no update has both; raise "
            "--batch-pairs, or give answers of both kinds"
        )
    if one_sided:
        say(
            f"warning: {one_sided} of {len(updates)} updates hold good answers alone or bad ones alone, from which "
            f"{names[0]} learns nothing; a larger --batch-pairs mixes them"
        )


def _unfit(name: str, kind: Kind) -> str:
    if name in SCORE_LOSSES:
        return f"--objective reward does not take {NOUNS[kind]}; it compares the two answers of a pair"
    takers = [loss for loss, facts in FACTS.items() if kind in _KINDS[facts.input] and loss not in SCORE_LOSSES]
    cure = f"losses that do: {', '.join(takers)}"
    if kind == "list":
        cure += ", which on two answers is dpo; or write the answers that are to be compared as pairs"
    elif name == "plackett_luce":
        cure = 'dpo is the same on pairs; a ranked list has "ranked" in place of "chosen" and "rejected"'
    elif f"{name}_unpaired" in takers:
        cure = f"{name}_unpaired does; " + cure
    return f"--loss {name} does not take {NOUNS[kind]}; {cure}"
