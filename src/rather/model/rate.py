"""How fast this machine multiplies: a probe of a second, for plans."""

from __future__ import annotations

import time

import torch

# Tokens in each product: beyond so many a CPU multiplies no faster.
ROWS = 1024


def matmul_rate(dtype: str, hidden: int, intermediate: int, *, seconds: float = 1.0, device: str = "cpu") -> float:
    """FLOP/s of products in fp32 or bf16 as a layer of these sizes has them, forward and backward, the best of some rounds.

    Weights of several layers in turn, so that they come from memory, as in training.
    """
    held = torch.bfloat16 if dtype == "bf16" else torch.float32
    x = torch.randn(ROWS, hidden, device=device).to(held)
    grad = torch.randn(ROWS, intermediate, device=device).to(held)
    weights = [torch.randn(intermediate, hidden, device=device).to(held) for _ in range(8)]
    best, until = 0.0, time.monotonic() + seconds
    while best == 0.0 or time.monotonic() < until:
        began = time.monotonic()
        for weight in weights:
            torch.mm(x, weight.t())
            torch.mm(grad, weight)
            torch.mm(grad.t(), x)
        if device == "cuda":
            torch.cuda.synchronize()
        best = max(best, 3 * len(weights) * 2 * ROWS * hidden * intermediate / (time.monotonic() - began))
    return best
