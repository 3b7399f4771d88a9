"""Does packing compute what the model's own forward computes?"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from rather.model.logps import pair_logps
from rather.model.pack import Sample

# Largest relative difference of a summed log-probability that rounding explains, by the precision of the products.
TOLERANCE = {torch.float32: 2e-4, torch.bfloat16: 3e-2}


def packing_difference(
    model: torch.nn.Module, pairs: Sequence[tuple[Sample, Sample]], *, dtype: torch.dtype
) -> str | None:
    """None if packed and plain log-probabilities of `pairs` agree; else the reason why packing cannot be used."""
    with torch.no_grad():
        plain = pair_logps(model, pairs, dtype=dtype, packed=False)
        try:
            packed = pair_logps(model, pairs, dtype=dtype)
        except (TypeError, ValueError, AttributeError, KeyError, RuntimeError) as error:
            # Whatever an unknown architecture answers to arguments it does not know.
            return f"it does not take packed input ({str(error).splitlines()[0][:120] if str(error) else type(error).__name__})"
    for ours, theirs in ((packed.chosen, plain.chosen), (packed.rejected, plain.rejected)):
        worst = float(((ours - theirs).abs() / theirs.abs().clamp(min=1.0)).max())
        # NaN on both sides is no difference of packing; the reference names it.
        if worst > TOLERANCE[dtype]:
            return f"packed log-probabilities differ from its own by {worst:.1e} of their size"
    return None
