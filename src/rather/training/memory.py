"""How many tokens one forward and backward may hold: found from the memory that is free and what a token costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from rather.model import Sample, TokenExample, completions, pack
from rather.model.recompute import layers_kept
from rather.training.shelf import counts_of

# A micro-batch takes at most this share of what is free once weights, gradients and optimiser have their part.
SHARE = 0.5

# Where more tokens at once stop making an update faster (benchmarks/NOTES.md), by kind of device.
ENOUGH = {"cpu": 2048, "cuda": 32768}

SMALLEST = 256


class OutOfMemory(Exception):
    """Internal: a micro-batch did not fit; nothing was changed."""


def find_token_budget(
    model: torch.nn.Module,
    token_pairs: Sequence[TokenExample],
    *,
    dtype: torch.dtype,
    packed: bool,
    state_bytes: int,
    forward: Callable[..., object] = completions,
    processes: int = 1,
) -> int:
    """Packed tokens of one micro-batch. It bounds memory and changes nothing that is learned.

    state_bytes: what gradient and optimiser will take besides, and have not taken yet. processes: how many share this machine.
    """
    device = next(model.parameters()).device
    free = free_bytes(device) // (processes if device.type == "cpu" else 1) - state_bytes
    per_token = bytes_per_token(model, token_pairs, dtype=dtype, packed=packed, forward=forward)
    return max(SMALLEST, min(ENOUGH.get(device.type, 4096), int(SHARE * free / per_token)))


def bytes_per_token(
    model: torch.nn.Module,
    token_pairs: Sequence[TokenExample],
    *,
    dtype: torch.dtype,
    packed: bool,
    forward: Callable[..., object] = completions,
) -> float:
    """What a forward keeps for its backward, measured on the median pair; with layers that are computed again in the backward,
    what one of them then keeps besides."""
    by_length = counts_of(token_pairs).argsort(kind="stable")
    samples = token_pairs[int(by_length[len(by_length) // 2])].samples
    with layers_kept(model) as again:
        kept = _kept_bytes(model, samples, dtype=dtype, packed=packed, forward=forward)
    if dtype == torch.bfloat16:  # weights cast by autocast
        kept -= sum(p.numel() * 2 for p in model.parameters() if p.dtype == torch.float32)
    if again:
        kept = kept / again + _kept_bytes(model, samples, dtype=dtype, packed=packed, forward=forward)
    return max(kept, 1) / len(pack(samples).token_T)


def _kept_bytes(
    model: torch.nn.Module,
    samples: Sequence[Sample],
    *,
    dtype: torch.dtype,
    packed: bool,
    forward: Callable[..., object],
) -> float:
    kept: dict[int, int] = {}
    ours = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in ours:
            kept[storage.data_ptr()] = storage.nbytes()
        # Not the tensor itself: a node that holds its own output, by way of Python, is never freed, nor is what lies behind it.
        return tensor.detach()

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        found = forward(model, samples, dtype=dtype, packed=packed)
    del found
    return sum(kept.values())


def free_bytes(device: torch.device) -> int:
    """Memory that this process can still take: of the GPU, or of the machine and its control group."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    found = [8 << 30]
    info = Path("/proc/meminfo")
    if info.is_file():
        fields = dict(line.split(":", 1) for line in info.read_text(encoding="utf-8").splitlines())
        found = [int(fields["MemAvailable"].split()[0]) * 1024]
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.is_file() and used.is_file() and (most := limit.read_text().strip()).isdigit():
        found.append(int(most) - int(used.read_text()))
    return min(found)


def is_out_of_memory(error: BaseException) -> bool:
    """True for what torch raises when a device, or the machine itself, has no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    said = ("not enough memory", "MPS backend out of memory")
    return isinstance(error, RuntimeError) and any(words in str(error) for words in said)
