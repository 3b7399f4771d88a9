"""In which precision weights and moments are held, and what only a GPU can hold."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch

from rather.errors import ConfigError
from rather.training.config import TrainConfig

# bitsandbytes' min_8bit_size: tensors of fewer values have moments in fp32.
SMALLEST_IN_8_BITS = 4096


def require_possible(config: TrainConfig) -> None:
    """Raise ConfigError for what this machine cannot do, before anything is done."""
    wanted = {
        "--optimizer adamw_8bit": (config.optimizer == "adamw_8bit", ("bitsandbytes",)),
        "--load-in-4bit": (config.load_in_4bit, ("bitsandbytes", "accelerate")),
    }
    for flag, (asked, packages) in wanted.items():
        if not asked:
            continue
        if not torch.cuda.is_available():
            raise ConfigError(f"{flag} needs a CUDA GPU, and torch finds none here; leave it out")
        for package in packages:
            if find_spec(package) is None:
                raise ConfigError(f"{flag} needs the package {package}; pip install 'rather[gpu]'")


def weights_dtype(config: TrainConfig, device: str) -> torch.dtype:
    """fp32 for whatever is trained: a step of 1e-6 is lost in the 8 bits of a bf16 weight.

    A base that is frozen under an adapter needs no master copy: on a GPU with bf16 products it is held in bf16.
    """
    frozen = config.lora_rank is not None and device == "cuda"
    return torch.bfloat16 if frozen and config.dtype == "bf16" else torch.float32


def optimizer_of(config: TrainConfig, trainable: Sequence[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019), fused, or with moments of 8 bits (Dettmers et al. 2022, arXiv 2110.02861)."""
    if config.optimizer == "adamw_8bit":
        optimizers: Any = import_module("bitsandbytes").optim
        return optimizers.AdamW8bit(trainable, lr=config.peak_lr, weight_decay=config.weight_decay)
    return torch.optim.AdamW(trainable, lr=config.peak_lr, weight_decay=config.weight_decay, fused=True)


def update_bytes(config: TrainConfig, trainable: Sequence[torch.nn.Parameter]) -> int:
    """What an update holds beside weights and activations: the fp32 gradient and the optimiser's two moments.

    bitsandbytes keeps moments in 8 bits, with an fp32 scale for every 256 values, and those of small tensors in fp32.
    """
    total = 0
    for parameter in trainable:
        values = parameter.numel()
        in_8_bits = config.optimizer == "adamw_8bit" and values >= SMALLEST_IN_8_BITS
        total += 4 * values + 2 * (values + 4 * -(-values // 256) if in_8_bits else 4 * values)
    return total
