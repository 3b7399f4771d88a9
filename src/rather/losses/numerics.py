"""Forms of exp, log(1 − exp) and cross-entropy whose value and gradient stay finite however far a policy has gone."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

EXPONENT_LIMIT = 20.0
"""From here on e^x goes on as its tangent. e^20 is 5e8: past it a loss is no more than far too large, and the tangent still
says in which direction and how much worse. The square of what it gives at 1e4 nats is finite in fp32."""


def expm1_tangent(x: Tensor) -> Tensor:
    """e^x − 1 up to x = 20, from there its tangent: finite, increasing, and with a gradient everywhere."""
    return torch.expm1(x.clamp(max=EXPONENT_LIMIT)) + math.exp(EXPONENT_LIMIT) * F.relu(x - EXPONENT_LIMIT)


def exp_tangent(x: Tensor) -> Tensor:
    """e^x up to x = 20, from there its tangent."""
    return torch.exp(x.clamp(max=EXPONENT_LIMIT)) + math.exp(EXPONENT_LIMIT) * F.relu(x - EXPONENT_LIMIT)


def power_score(x: Tensor, power: float) -> Tensor:
    """(e^(power·x) − 1) / power, and x itself in the limit power → 0, where the quotient would be 0/0."""
    return x if abs(power) < 1e-6 else expm1_tangent(power * x) / power


def log1mexp(x: Tensor) -> Tensor:
    """log(1 − e^x) for x ≤ 0; x nearer to 0 than 1e-6 counts as −1e-6, where the logarithm would be −∞.

    Each of the two forms loses digits where the other keeps them; they meet at −ln 2 (Mächler 2012).
    """
    x = x.clamp(max=-1e-6)
    return torch.where(x < -math.log(2), torch.log1p(-torch.exp(x)), torch.log(-torch.expm1(x)))


def cross_entropy(logits: Tensor, target: Tensor | float) -> Tensor:
    """−q·log σ(z) − (1 − q)·log σ(−z), of the shape of z; q the probability that the first answer is the better one."""
    if isinstance(target, float | int) and target == 1:
        return -F.logsigmoid(logits)
    return -target * F.logsigmoid(logits) - (1 - target) * F.logsigmoid(-logits)
