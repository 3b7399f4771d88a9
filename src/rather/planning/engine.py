"""What the engine does, in numbers. A test holds each against the room it comes from, which needs torch: none is imported here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

# training/memory.py: the share of free memory that a micro-batch may take, where more tokens bring nothing, the least.
SHARE = 0.5
ENOUGH = {"cpu": 2048, "cuda": 32768}
SMALLEST = 256

# model/attention.py: probabilities of this many scores of one head are kept; model/blocks.py: queries of a block, and its cost.
KEPT_SCORES = 1 << 19
ROWS = 256
OVERHEAD = 4096

# model/head.py: bytes of a chunk of fp32 logits, and of gradients in the logits that are collected for one product.
CHUNK_BYTES = 64 << 20
GROUP_BYTES = 128 << 20

# training/precision.py: tensors of fewer values have moments in fp32.
SMALLEST_IN_8_BITS = 4096

# NF4 with doubly quantised scales (Dettmers et al. 2023, arXiv 2305.14314): 4 bits, a byte for every 64 values, and 4 bytes
# for every 256 of those.
NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)


@dataclass(frozen=True)
class Setting:
    """How a run is held in memory; the options of `rather train` that decide it. ranks: how many share the work."""

    cpu: bool = False
    ranks: int = 1
    dtype: Literal["fp32", "bf16"] = "bf16"
    lora_rank: int | None = None
    load_in_4bit: bool = False
    optimizer: Literal["adamw", "adamw_8bit"] = "adamw"
    gradient_checkpointing: bool = False
    shard: bool = False
    stream: bool = False

    def with_(self, **changes: Any) -> Setting:
        return replace(self, **changes)

    @property
    def product_bytes(self) -> int:
        """Bytes of a number that is multiplied."""
        return 2 if self.dtype == "bf16" else 4

    @property
    def full(self) -> bool:
        """Whether all weights are trained, and not an adapter."""
        return self.lora_rank is None

    @property
    def base_bytes(self) -> int:
        """Bytes of a weight as it is held: fp32, and in bf16 a base that is frozen on a GPU (training/precision.py)."""
        return 2 if not self.full and not self.cpu and self.dtype == "bf16" else 4

    @property
    def parts(self) -> int:
        """Into how many parts weights, gradients and moments are cut."""
        return self.ranks if self.shard else 1

    def flags(self) -> list[str]:
        """As `rather train` takes them."""
        found = ["--dtype", self.dtype]
        if self.lora_rank is not None:
            found += ["--lora-rank", str(self.lora_rank)]
        if self.load_in_4bit:
            found += ["--load-in-4bit"]
        if self.optimizer != "adamw":
            found += ["--optimizer", self.optimizer]
        if self.gradient_checkpointing:
            found += ["--gradient-checkpointing"]
        if self.shard:
            found += ["--shard"]
        if self.stream:
            found += ["--stream"]
        return found
