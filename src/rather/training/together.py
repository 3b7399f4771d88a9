"""What the ranks of an update do together: agree that each has done its part, and sum their gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from rather.distributed.ranks import Ranks
from rather.training.memory import OutOfMemory, is_out_of_memory
from rather.training.objective import Logps


class NonFinite(Exception):
    """Internal: the loss or gradient of the pairs `ids` is NaN or infinite; no weight was changed."""

    def __init__(self, what: str, ids: tuple[str, ...]) -> None:
        super().__init__(what)
        self.what, self.ids = what, ids


@dataclass(frozen=True)
class Part:
    """What one rank made of its micro-batches of an update, without gradient; nothing where it had none.

    not_finite: what of them is not, and of which examples. no_memory: they did not fit.
    """

    logps: Logps | None = None
    loss_P: Tensor | None = None
    ids: tuple[str, ...] = ()
    not_finite: tuple[str, tuple[str, ...]] | None = None
    no_memory: bool = False

    def on_cpu(self) -> Part:
        """As it can be sent."""
        return replace(
            self,
            logps=None if self.logps is None else without_gradient(self.logps, torch.device("cpu")),
            loss_P=None if self.loss_P is None else self.loss_P.cpu(),
        )


def in_step(ranks: Ranks, make: Callable[[], Part]) -> list[Part]:
    """Every rank's part. What one cannot do, none goes on without: NonFinite and OutOfMemory are raised on all of them."""
    if ranks.size == 1:
        return [make()]
    try:
        mine = make()
    except NonFinite as error:
        mine = Part(not_finite=(error.what, error.ids))
    except (OutOfMemory, RuntimeError, MemoryError) as error:
        if not isinstance(error, OutOfMemory) and not is_out_of_memory(error):
            raise
        mine = Part(no_memory=True)
    parts = ranks.gathered(mine.on_cpu(), "an update")
    if any(part.no_memory for part in parts):
        raise OutOfMemory
    bad = [part.not_finite for part in parts if part.not_finite]
    if bad:
        raise NonFinite(bad[0][0], tuple(dict.fromkeys(pair_id for _, ids in bad for pair_id in ids)))
    return parts


def sum_gradients(model: torch.nn.Module, ranks: Ranks) -> None:
    """Give every rank the sum of all ranks' gradients. A weight that no rank has a gradient for keeps none.

    Those of sharded weights were summed while they were made.
    """
    if ranks.size == 1 or ranks.sharded:
        return
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    reached = ranks.gathered([parameter.grad is not None for parameter in trained], "which gradients there are")
    gradients = []
    for parameter, anywhere in zip(trained, map(any, zip(*reached, strict=True)), strict=True):
        if anywhere:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
    ranks.sum_(gradients, "the gradients")


def without_gradient(logps: Logps, device: torch.device | None = None) -> Logps:
    """The same values, on another device if one is given."""
    values = {field.name: getattr(logps, field.name) for field in fields(logps)}
    kept = {name: value.detach() if isinstance(value, Tensor) else value for name, value in values.items()}
    if device is not None:
        kept = {name: value.to(device) if isinstance(value, Tensor) else value for name, value in kept.items()}
    return type(logps)(**kept)
