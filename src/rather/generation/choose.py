"""From logits to tokens: each row by its own random numbers, so that what stands beside it changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

# Rows whose probabilities are in the cache at once, and tokens whose probabilities are first summed together.
_ROWS, _BLOCK = 16, 256
# Tokens among which a top-p set is looked for first.
_LIKELY = 256


def uniforms(seeds: Sequence[int], steps: Sequence[int]) -> np.ndarray:
    """A number in [0, 1) for each seed and step, by the finaliser of SplitMix64 (Steele et al. 2014) over both."""
    with np.errstate(over="ignore"):
        state = _mixed(np.asarray(seeds, dtype=np.uint64))
        state = _mixed(state + np.asarray(steps, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    return (state >> np.uint64(11)) * 2.0**-53


def _mixed(state: np.ndarray) -> np.ndarray:
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def choose(logits_RV: Tensor, temperatures: Sequence[float], uniform: np.ndarray, top_p: float = 1.0) -> list[int]:
    """A token a row: the likeliest at temperature 0, else drawn from softmax(logits ÷ temperature) by inverting its CDF.

    top_p: draw among the likeliest tokens that together have this probability.
    """
    tokens: list[int] = []
    for start in range(0, len(logits_RV), _ROWS):
        rows = slice(start, start + _ROWS)
        tokens += _chunk(logits_RV[rows], temperatures[rows], uniform[rows], top_p)
    return tokens


def _chunk(logits_RV: Tensor, temperatures: Sequence[float], uniform: np.ndarray, top_p: float) -> list[int]:
    greedy = [temperature == 0 for temperature in temperatures]
    if all(greedy):
        return logits_RV.argmax(dim=-1).tolist()
    device = logits_RV.device
    scale = torch.tensor([1.0 if t == 0 else 1 / t for t in temperatures], device=device)
    scaled = logits_RV.float()
    if any(t not in (0, 1) for t in temperatures):
        scaled = scaled * scale[:, None]
    u = torch.from_numpy(np.ascontiguousarray(uniform)).to(device)
    drawn = _invert(scaled.softmax(dim=-1), u) if top_p >= 1 else _nucleus(scaled, u, top_p)
    if any(greedy):
        drawn = torch.where(torch.tensor(greedy, device=device), logits_RV.argmax(dim=-1), drawn)
    return drawn.tolist()


def _invert(p_RV: Tensor, u_R: Tensor) -> Tensor:
    """The token at which the cumulative probability passes u: first the block is found, then the token in it."""
    rows, size = p_RV.shape
    whole = size // _BLOCK * _BLOCK
    sums = p_RV[:, :whole].reshape(rows, -1, _BLOCK).sum(dim=-1)
    if whole < size:
        sums = torch.cat((sums, p_RV[:, whole:].sum(dim=-1, keepdim=True)), dim=1)
    block, rest = _pick(sums.double(), u_R[:, None])
    columns = block[:, None] * _BLOCK + torch.arange(_BLOCK, device=p_RV.device)
    inside = p_RV.gather(1, columns.clamp(max=size - 1)).double() * (columns < size)
    # The block's sum was taken in another order: what is left of u is put in relation to it.
    place, _ = _pick(inside, rest[:, None])
    return block * _BLOCK + place


def _pick(weights: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """The column at which the share of the cumulative sum passes u, and how far u lies in that column, 0 … 1."""
    ends = weights.cumsum(dim=-1)
    target = u * ends[:, -1:]
    last = ends.shape[-1] - 1 - (weights.flip(-1) > 0).int().argmax(dim=-1)  # never a token without probability
    column = torch.minimum((ends <= target).sum(dim=-1), last)
    own = weights.gather(1, column[:, None])
    before = ends.gather(1, column[:, None]) - own
    return column, ((target - before) / own).clamp(0, 1)[:, 0]


def _nucleus(scaled_RV: Tensor, u_R: Tensor, top_p: float) -> Tensor:
    """Draw from the smallest set of likeliest tokens with probability top_p (Holtzman et al. 2020, arXiv 1904.09751)."""
    total = scaled_RV.logsumexp(dim=-1, keepdim=True)
    likely = min(_LIKELY, scaled_RV.shape[-1])
    while True:
        top, index = scaled_RV.topk(likely, dim=-1)
        p = (top - total).double().exp()
        if likely == scaled_RV.shape[-1] or bool((p.sum(dim=-1) >= top_p).all()):
            break
        likely = min(likely * 16, scaled_RV.shape[-1])
    kept = p * (p.cumsum(dim=-1) - p < top_p)
    column, _ = _pick(kept, u_R[:, None])
    return index.gather(1, column[:, None])[:, 0]
