"""Every knob of a plan. Those that `rather train` has too have its names and mean the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic import Field, model_validator

from rather.config import Config
from rather.errors import ConfigError
from rather.planning.devices import GIB, TERA, Machines, cpu, parse_gpus
from rather.planning.engine import Setting
from rather.planning.numbers import parse_count
from rather.planning.workload import ANSWER_SHARE, Workload


class PlanConfig(Config):
    """What is to be trained, on what, and how."""

    pairs: str = Field(default="100k", coerce_numbers_to_str=True)
    """How many: 100000, 100k, 1e6 or 2M."""
    mean_tokens: int = Field(default=600, ge=2, le=10_000_000)
    """Distinct tokens of a pair on the average: its prompt once, and both answers."""
    answer_tokens: int | None = Field(default=None, ge=1)
    """Those of both answers together (two fifths of --mean-tokens if not given)."""
    gpus: str = "cpu"
    """8xH100, H100, 4x8xH100 (machines x GPUs), or cpu for this machine."""
    batch_pairs: int = Field(default=8, ge=1, le=1_000_000)
    """Pairs in one update."""
    epochs: int = Field(default=1, ge=1, le=1000)
    """Passes over the pairs."""
    max_length: int = Field(default=1024, ge=8, le=10_000_000)
    """Tokens of prompt and answer together: the longest pair has at most twice as many, and must fit alone."""
    dtype: Literal["fp32", "bf16"] | None = None
    """Precision of the products (bf16 on GPUs and fp32 on a CPU if not given)."""
    lora_rank: int | None = Field(default=None, ge=1, le=4096)
    """Train a LoRA adapter of this rank on every linear layer in place of the whole model."""
    load_in_4bit: bool = False
    """QLoRA: the model under the adapter in 4 bits."""
    optimizer: Literal["adamw", "adamw_8bit"] = "adamw"
    """adamw_8bit keeps the moments in 8 bits."""
    gradient_checkpointing: bool = False
    """Keep only each layer's input for the backward."""
    shard: bool = False
    """Each GPU holds a part of weights, gradients and optimiser (FSDP2)."""
    stream: bool = False
    """Keep tokenised pairs and reference in files, not in memory."""
    reference_cached: bool = False
    """The reference is in the cache from an earlier run on the same pairs."""
    memory: float | None = Field(default=None, gt=0, le=1e6)
    """GiB of each GPU, or of this machine, in place of what is known."""
    rate: float | None = Field(default=None, gt=0, le=1e6)
    """TFLOP/s of products, measured, in place of the maker's figure; of a CPU `rather plan` measures it."""
    efficiency: float | None = Field(default=None, gt=0, le=1)
    """Share of that rate which a whole update reaches, measured, in place of what is assumed."""
    watts: float | None = Field(default=None, gt=0, le=1e6)
    """Power of one GPU, or of this machine, in place of the GPU's board power."""
    price: float | None = Field(default=None, ge=0, le=1e6)
    """Money for an hour of one GPU, or of this machine; without it the cost is in hours."""

    @model_validator(mode="after")
    def _go_together(self) -> PlanConfig:
        parse_count("--pairs", self.pairs)
        machines = parse_gpus(self.gpus)
        if self.answer_tokens is not None and self.answer_tokens >= self.mean_tokens:
            raise ConfigError(
                f"--answer-tokens {self.answer_tokens} leaves no prompt in --mean-tokens {self.mean_tokens}, which holds them"
            )
        if self.load_in_4bit and self.lora_rank is None:
            raise ConfigError("--load-in-4bit needs --lora-rank: weights of 4 bits cannot be trained themselves")
        for flag, asked in (("--load-in-4bit", self.load_in_4bit), ("--optimizer adamw_8bit", self.in_8_bits)):
            if asked and machines is None:
                raise ConfigError(f"{flag} needs a CUDA GPU; name one with --gpus, or leave it out")
            if asked and self.shard:
                raise ConfigError(f"{flag} does not go with --shard; leave one of them out")
        if self.load_in_4bit and machines is not None and machines.ranks > 1:
            raise ConfigError("--load-in-4bit takes one GPU; say --gpus 1x…")
        if self.shard and (machines is None or machines.ranks == 1):
            raise ConfigError("--shard does nothing on one device; leave it out, or name several GPUs")
        return self

    @property
    def in_8_bits(self) -> bool:
        return self.optimizer == "adamw_8bit"

    @property
    def workload(self) -> Workload:
        answers = self.mean_tokens * ANSWER_SHARE if self.answer_tokens is None else self.answer_tokens
        return Workload(
            pairs=parse_count("--pairs", self.pairs), tokens=self.mean_tokens, answers=answers,
            batch_pairs=self.batch_pairs, epochs=self.epochs, max_length=self.max_length,
        )  # fmt: skip

    @property
    def on_cpu(self) -> bool:
        return parse_gpus(self.gpus) is None

    @property
    def products(self) -> Literal["fp32", "bf16"]:
        """The precision in force."""
        return self.dtype or ("fp32" if self.on_cpu else "bf16")

    @property
    def setting(self) -> Setting:
        machines = parse_gpus(self.gpus)
        return Setting(
            cpu=machines is None, ranks=1 if machines is None else machines.ranks, dtype=self.products,
            lora_rank=self.lora_rank, load_in_4bit=self.load_in_4bit, optimizer=self.optimizer,
            gradient_checkpointing=self.gradient_checkpointing, shard=self.shard, stream=self.stream,
        )  # fmt: skip

    @property
    def machines(self) -> Machines:
        """With what was given in place of what is known. Raises ConfigError for a CPU of which nothing is."""
        found = parse_gpus(self.gpus)
        if found is None:
            if self.rate is None or self.memory is None:
                raise ConfigError("--gpus cpu: give --rate (TFLOP/s of products) and --memory (GiB), or name GPUs")
            return Machines(cpu(memory=self.memory * GIB, rate=self.rate * TERA, watts=self.watts or 0.0), 1, 1)
        device = found.device
        rate = {} if self.rate is None else {self.products: self.rate * TERA}
        memory = {} if self.memory is None else {"memory": self.memory * GIB}
        watts = {} if self.watts is None else {"watts": self.watts}
        return replace(found, device=replace(device, **rate, **memory, **watts))
