"""Does packing compute what the model's own forward computes?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from rather.model.logps import completions
from rather.model.pack import Sample
from rather.progress import say

# Largest relative difference of a summed log-probability that rounding explains, by the precision of the products.
TOLERANCE = {torch.float32: 2e-4, torch.bfloat16: 3e-2}
# A model may round worse than that. Two ways of computing may then differ by so many times what its own way loses.
OWN_ROUNDING = 3.0

# Where packed attention is known to be right.
DEVICES = ("cpu", "cuda")


def packing_difference(model: torch.nn.Module, pairs: Sequence[Sequence[Sample]], *, dtype: torch.dtype) -> str | None:
    """None if packed and plain log-probabilities of `pairs` agree; else the reason why packing cannot be used."""
    samples = [sample for pair in pairs for sample in pair]
    with torch.no_grad():
        theirs = completions(model, samples, dtype=dtype, packed=False).sums()
        try:
            ours = completions(model, samples, dtype=dtype).sums()
        except (TypeError, ValueError, AttributeError, KeyError, RuntimeError) as error:
            # Whatever an unknown architecture answers to arguments it does not know.
            return f"it does not take packed input ({str(error).splitlines()[0][:120] if str(error) else type(error).__name__})"
    worst = _difference(ours, theirs)
    if worst <= TOLERANCE[dtype]:
        return None
    if dtype != torch.float32:
        with torch.no_grad():
            exact = completions(model, samples, dtype=torch.float32, packed=False).sums()
        if worst <= OWN_ROUNDING * _difference(theirs, exact):
            return None
    return f"packed log-probabilities differ from its own by {worst:.1e} of their size"


def _difference(ours: Tensor, theirs: Tensor) -> float:
    """The largest, in shares of the size of `theirs`. Not finite on both sides is none: the reference names it."""
    both = torch.isfinite(ours) | torch.isfinite(theirs)
    differences = ((ours - theirs).abs() / theirs.abs().clamp(min=1.0))[both].nan_to_num(nan=torch.inf)
    return max(differences.tolist(), default=0.0)


def packing_is_exact(
    model: torch.nn.Module,
    pairs: Sequence[Sequence[Sample]],
    *,
    dtype: torch.dtype,
    difference: Callable[..., str | None] = packing_difference,
) -> bool:
    """True if `model` may be given packed input: tried on the shortest and the longest of `pairs`, and said if not.

    The longest too, because a sliding window is first felt there. difference: says what packed and plain differ by.
    """
    device = next(model.parameters()).device.type
    if device not in DEVICES:
        say(f"note: packing is not tried on {device}: this run takes the plain path, one answer at a time")
        return False
    by_length = sorted(pairs, key=lambda pair: sum(len(sample.tokens) for sample in pair))
    reason = difference(model, [by_length[0], by_length[-1]], dtype=dtype)
    if reason:
        say(f"note: this model takes the plain path, one answer at a time: {reason}")
    return reason is None
