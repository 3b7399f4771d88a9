"""Every knob of a training run, declared once: flag, TOML key, help text, documentation and check come from here."""

from __future__ import annotations

import math
import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from rather.config import Config, did_you_mean
from rather.errors import ConfigError
from rather.losses import FACTS, SCORE_LOSSES, loss_options, losses_with

# Options that belong to losses. Each reaches every term of the objective that takes it.
LOSS_OPTIONS = (
    "beta", "label_smoothing", "f_divergence", "alpha", "gamma", "tau", "per_token", "dpop_lambda", "variant",
    "desirable_weight", "undesirable_weight", "center_rewards_coefficient",
)  # fmt: skip

# Options that say how a run is kept and who is told of it. What it makes is the same with any value, so that it may be resumed
# with others.
NEUTRAL_OPTIONS = frozenset({"save_every", "keep_last", "track", "shard", "rank_timeout", "stream"})


class TrainConfig(Config):
    """How to train on pairs."""

    objective: Literal["policy", "reward"] = "policy"
    """What to train: a language model that holds the preferences, or a reward model that scores answers by them."""
    loss: str = "dpo"
    """A loss, or several with weights, as in dpo:0.8,sft:0.2 (docs/losses.md); bradley_terry for a reward model."""
    beta: float | None = Field(default=None, gt=0, le=100)
    """Strength of the pull to the reference, or whatever a loss calls β (for most 0.1). Larger stays closer."""
    label_smoothing: float | None = Field(default=None, ge=0, lt=0.5)
    """Share of labels taken to be wrong."""
    f_divergence: Literal["reverse_kl", "forward_kl", "js", "alpha"] | None = None
    """Divergence that holds the policy to its reference (reverse_kl if the loss has one)."""
    alpha: float | None = None
    """What a loss calls α: exponent of the α-divergence, weight of the tail in ld_dpo, of NLL in cpo, of the KL in tdpo."""
    gamma: float | None = None
    """What a loss calls γ: the margin that simpo and alphapo ask for."""
    tau: float | None = Field(default=None, gt=0)
    """Temperature of discopop's blend."""
    per_token: bool | None = None
    """ipo: means over tokens in place of sums, so that β does not depend on length."""
    dpop_lambda: float | None = Field(default=None, ge=0)
    """dpop: weight of the penalty on a chosen answer that becomes less likely."""
    variant: Literal["tdpo1", "tdpo2"] | None = None
    """tdpo: which of the paper's two objectives."""
    desirable_weight: float | None = Field(default=None, gt=0)
    """kto, apo_zero_unpaired, bco_unpaired: weight of good answers (1 if not given)."""
    undesirable_weight: float | None = Field(default=None, gt=0)
    """kto, apo_zero_unpaired, bco_unpaired: weight of bad answers (1 if not given)."""
    center_rewards_coefficient: float | None = Field(default=None, ge=0)
    """bradley_terry: weight of (score of chosen + score of rejected)², which holds scores around 0 (0 if not given)."""
    sft_weight: float = Field(default=0.0, ge=0, le=100)
    """Weight of chosen's negative log-likelihood per token, added to the loss. Above 0 it keeps chosen likely."""
    ref_sync_steps: int | None = Field(default=None, ge=1)
    """TR-DPO: move the reference to the policy every so many updates. Without it the reference stays where training began."""
    ref_mixup_alpha: float | None = Field(default=None, gt=0, le=1)
    """TR-DPO: how far the reference moves, 1 all the way (0.6 if not given)."""
    batch_pairs: int = Field(default=8, ge=1, le=100_000)
    """Pairs (ranked lists, single answers) in one update. Micro-batches are cut from it by length: only memory depends on them."""
    lr: float | None = Field(default=None, gt=0, le=1)
    """Peak learning rate: 1e-6 for full fine-tuning and 1e-4 for LoRA if not given."""
    epochs: int = Field(default=1, ge=1, le=1000)
    """Passes over the pairs."""
    warmup: float = Field(default=0.1, ge=0, le=0.9)
    """Share of the updates in which the learning rate rises from 0."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """How the learning rate goes on after warm-up: in a line to 0, along half a cosine to 0, or not falling."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """The gradient is scaled down to this norm when it is longer."""
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    """AdamW's decoupled weight decay."""
    max_length: int = Field(default=1024, ge=8, le=10_000_000)
    """Tokens of prompt and answer together; a longer answer is cut at its end, a prompt that leaves no room refused."""
    optimizer: Literal["adamw", "adamw_8bit"] = "adamw"
    """adamw_8bit keeps the moments in 8 bits, on a CUDA GPU with bitsandbytes."""
    dtype: Literal["fp32", "bf16"] = "fp32"
    """Precision of the products. What is trained, its optimiser state and log-probabilities are fp32 in both."""
    gradient_checkpointing: bool = False
    """Keep only each layer's input for the backward, which computes the rest again: same result, less memory, more time."""
    lora_rank: int | None = Field(default=None, ge=1, le=4096)
    """Train a LoRA adapter of this rank on every linear layer in place of the whole model; it is merged at the end."""
    load_in_4bit: bool = False
    """QLoRA: hold the model under the adapter in 4 bits, on a CUDA GPU with bitsandbytes."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """Order of the pairs, and initial weights of an adapter or of a reward model's head."""
    shuffle: bool = True
    """Shuffle the pairs in every epoch. --no-shuffle keeps the order of the file."""
    system_prompt: str | None = None
    """Put before conversations without a system turn, in place of the chat template's own, also in the saved model."""
    track: tuple[Literal["tensorboard", "wandb", "mlflow", "trackio"], ...] = ()
    """Trackers that get the metrics besides metrics.jsonl. May be repeated; each needs its own package."""
    save_every: int = Field(default=50, ge=1)
    """Updates between checkpoints. A killed run resumes from the last one."""
    keep_last: int = Field(default=1, ge=1)
    """Checkpoints to keep while the run goes on. With more than one, removing the newest takes the run back to the one before."""
    eval_every: int | None = Field(default=None, ge=1)
    """Updates between two measurements of --heldout (50 if not given). The last update is always measured."""

    stream: bool = False
    """Keep tokenised pairs and reference in files of the cache, not in memory: same result, for more pairs than memory holds."""
    shard: bool = False
    """Under torchrun: each rank holds a part of weights, gradients and optimiser (FSDP2), in place of all of them."""
    rank_timeout: int = Field(default=1800, ge=1)
    """Under torchrun: seconds that a rank waits for the others before the run ends and names who is missing."""

    @model_validator(mode="before")
    @classmethod
    def _reward_loss(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("objective") == "reward" and "loss" not in values:
            return {**values, "loss": "bradley_terry"}
        return values

    @field_validator("loss")
    @classmethod
    def _without_blanks(cls, value: str) -> str:
        """`dpo: 0.8, sft: 0.2` is the same run as `dpo:0.8,sft:0.2`."""
        return re.sub(r"\s*([:,])\s*", r"\1", value.strip())

    @model_validator(mode="after")
    def _options_act(self) -> TrainConfig:
        for name, _ in self._parsed():
            _require_trainable(name, self.objective)
        if self.objective == "reward" and self.sft_weight:
            raise ConfigError("--sft-weight does nothing with --objective reward: a reward model writes no answer")
        for option in LOSS_OPTIONS:
            if getattr(self, option) is not None and not any(option in loss_options(name) for name, _ in self.terms):
                flag, known = option.replace("_", "-"), ", ".join(losses_with(option))
                raise ConfigError(f"--{flag} does nothing in the loss {self.loss}; losses that use it: {known}")
        if self.stream and any(name == "kto" for name, _ in self._parsed()):
            raise ConfigError(
                "--stream does not go with --loss kto, whose baseline pairs every prompt with another's answers"
            )
        if self.load_in_4bit and self.objective == "reward":
            raise ConfigError("--load-in-4bit does not go with --objective reward; leave one of them out")
        if self.load_in_4bit and self.lora_rank is None:
            raise ConfigError("--load-in-4bit needs --lora-rank: weights of 4 bits cannot be trained themselves")
        if self.sft_weight and any(name == "sft" for name, _ in self._parsed()):
            raise ConfigError("--sft-weight does nothing beside the loss sft; leave one of them out")
        if self.seed and not self.shuffle and self.lora_rank is None and self.objective == "policy":
            raise ConfigError("--seed does nothing with --no-shuffle and without --lora-rank; leave it out")
        if self.ref_mixup_alpha is not None and self.ref_sync_steps is None:
            raise ConfigError("--ref-mixup-alpha does nothing without --ref-sync-steps")
        if self.ref_sync_steps is not None:
            compare = [name for name, _ in self.terms if FACTS[name].reference]
            if not compare:
                raise ConfigError(f"--ref-sync-steps does nothing in the loss {self.loss}, which has no reference")
            if any("kl" in FACTS[name].needs for name in compare):
                raise ConfigError("--ref-sync-steps cannot move the reference of tdpo; leave one of them out")
        return self

    @property
    def terms(self) -> list[tuple[str, float]]:
        """Losses and their weights; the SFT term last."""
        return [*self._parsed(), *([("sft", self.sft_weight)] if self.sft_weight else [])]

    def options_of(self, loss: str) -> dict[str, Any]:
        """The options of one loss that were given."""
        taken = [option for option in LOSS_OPTIONS if option in loss_options(loss)]
        return {option: getattr(self, option) for option in taken if getattr(self, option) is not None}

    def _parsed(self) -> list[tuple[str, float]]:
        terms = []
        for part in self.loss.split(","):
            name, parted, weight = part.partition(":")
            try:
                terms.append((name, float(weight) if parted else 1.0))
            except ValueError as error:
                raise ConfigError(f'--loss {self.loss}: "{weight}" is not a weight; write dpo:0.8,sft:0.2') from error
        names = [name for name, _ in terms]
        if len(set(names)) < len(names):
            raise ConfigError(f"--loss {self.loss}: names a loss twice; add their weights up")
        if not all(0 < weight < math.inf for _, weight in terms):
            raise ConfigError(f"--loss {self.loss}: a weight must be above 0, and finite")
        return terms

    @property
    def peak_lr(self) -> float:
        """The learning rate in force."""
        if self.lr is not None:
            return self.lr
        return 1e-4 if self.lora_rank else 1e-6

    @property
    def in_force(self) -> dict[str, Any]:
        """What holds where nothing was given: the learning rate, and the options of each loss."""
        losses = {name: {**loss_options(name), **self.options_of(name)} for name, _ in self.terms}
        return {"lr": self.peak_lr, "losses": losses}

    @property
    def reward_scale(self) -> float:
        """β of the implicit reward β·log(π/π_ref) in the metrics: that of the first loss that has one, else 1."""
        for options in self.in_force["losses"].values():
            if isinstance(options.get("beta"), float | int):
                return float(options["beta"])
        return 1.0


def _require_trainable(name: str, objective: str) -> None:
    if objective == "reward":
        if name not in SCORE_LOSSES:
            raise ConfigError(f"--loss {name} does not train a reward model; with --objective reward leave --loss out")
        return
    of_answers = [known for known in FACTS if known not in SCORE_LOSSES]
    if name not in FACTS:
        raise ConfigError(f'--loss: no loss is called "{name}"{did_you_mean(name, of_answers)}')
    if name not in of_answers:
        raise ConfigError(
            f"--loss {name} trains a reward model: say --objective reward; others: {', '.join(of_answers)}"
        )
