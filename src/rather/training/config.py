"""Every knob of a training run, declared once: flag, TOML key, help text, documentation and check come from here."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from rather.config import Config
from rather.errors import ConfigError

BETA_LOSSES = ("dpo", "ipo")


class TrainConfig(Config):
    """How to train on pairs."""

    loss: Literal["dpo", "ipo", "sft", "logp_gap", "logp_ratio"] = "dpo"
    """The objective. logp_gap and logp_ratio are there to compare with, not to use."""
    beta: float | None = Field(default=None, gt=0, le=100)
    """Strength of the pull to the reference (0.1 if the loss has one). Larger stays closer."""
    sft_weight: float = Field(default=0.0, ge=0, le=100)
    """Weight of chosen's negative log-likelihood per token, added to the loss. Above 0 it keeps chosen likely."""
    batch_pairs: int = Field(default=8, ge=1, le=100_000)
    """Pairs in one update. Micro-batches are cut from it by length and change nothing but memory."""
    lr: float | None = Field(default=None, gt=0, le=1)
    """Peak learning rate: 1e-6 for full fine-tuning and 1e-4 for LoRA if not given."""
    epochs: int = Field(default=1, ge=1, le=1000)
    """Passes over the pairs."""
    warmup: float = Field(default=0.1, ge=0, le=0.9)
    """Share of the updates in which the learning rate rises from 0; from there it falls in a line to 0."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """The gradient is scaled down to this norm when it is longer."""
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    """AdamW's decoupled weight decay."""
    max_length: int = Field(default=1024, ge=8, le=10_000_000)
    """Tokens of prompt and answer together; a longer answer is cut at its end, a prompt that leaves no room refused."""
    dtype: Literal["fp32", "bf16"] = "fp32"
    """Precision of the products. Weights, optimiser state and log-probabilities are fp32 in both."""
    lora_rank: int | None = Field(default=None, ge=1, le=4096)
    """Train a LoRA adapter of this rank on every linear layer in place of the whole model; it is merged at the end."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """Order of the pairs and initial adapter weights."""
    shuffle: bool = True
    """Shuffle the pairs in every epoch. --no-shuffle keeps the order of the file."""
    system_prompt: str | None = None
    """Put before conversations without a system turn, in place of the chat template's own, also in the saved model."""
    save_every: int = Field(default=50, ge=1)
    """Updates between checkpoints. A killed run resumes from the last one."""

    @model_validator(mode="after")
    def _options_act(self) -> TrainConfig:
        if self.beta is not None and self.loss not in BETA_LOSSES:
            known = ", ".join(BETA_LOSSES)
            raise ConfigError(f"--beta does nothing in the loss {self.loss}; losses that use it: {known}")
        if self.loss == "sft" and self.sft_weight:
            raise ConfigError("--sft-weight does nothing beside --loss sft; leave one of them out")
        return self

    @property
    def peak_lr(self) -> float:
        """The learning rate in force."""
        if self.lr is not None:
            return self.lr
        return 1e-4 if self.lora_rank else 1e-6

    @property
    def beta_in_force(self) -> float | None:
        """β of the loss; None for losses without."""
        if self.loss in BETA_LOSSES:
            return self.beta if self.beta is not None else 0.1
        return None

    @property
    def reward_scale(self) -> float:
        """β of the implicit reward β·log(π/π_ref) in the metrics; 1 for losses without β."""
        return self.beta_in_force or 1.0
