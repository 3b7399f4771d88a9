"""What can be chosen of generation."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from rather.config import Config
from rather.errors import ConfigError

Temperature = Annotated[float, Field(ge=0, le=5)]
Said = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]

# Options that say how the work is done and not what comes of it: a run goes on with others.
NEUTRAL_OPTIONS = frozenset({"batch", "concurrency", "requests_per_minute", "timeout", "retries", "api_key_env"})
API_OPTIONS = ("concurrency", "requests_per_minute", "timeout", "retries", "api_key_env")
LOCAL_OPTIONS = ("batch", "dtype")


class GenerateConfig(Config):
    """How many answers, and how they are drawn."""

    n: int = Field(default=4, ge=1, le=10_000)
    """Answers to each question by each model at each temperature with each system prompt; at temperature 0 there is one."""
    temperature: tuple[Temperature, ...] = Field(default=(0.7,), min_length=1)
    """0 is greedy. May be repeated: answers at several temperatures differ more."""
    system_prompt: tuple[Said, ...] = ()
    """Put before questions without a system turn. May be repeated: n answers with each."""
    also_plain: bool = False
    """With --system-prompt: ask without one, too."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Draw from the likeliest tokens that together have this probability."""
    max_new_tokens: int = Field(default=256, ge=1, le=1_000_000)
    """Longest answer, in tokens."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """Every answer has a seed of its own, made from this one and from what is asked."""
    api: str | None = None
    """Address of an OpenAI-compatible server in place of --model, as http://127.0.0.1:8000/v1."""
    api_model: tuple[Said, ...] = ()
    """Name of a model on that server. May be repeated."""
    backend: Literal["transformers", "vllm"] = "transformers"
    """What runs --model."""
    dtype: Literal["auto", "fp32", "bf16"] = "auto"
    """Precision of --model; auto takes bf16 where the processor has it."""
    batch: int = Field(default=128, ge=1, le=100_000)
    """Answers of --model that grow at once."""
    concurrency: int = Field(default=64, ge=1, le=10_000)
    """Requests to --api at once."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    """Requests to --api in any minute, retries included."""
    timeout: float = Field(default=120.0, gt=0)
    """Seconds that one request to --api may take."""
    retries: int = Field(default=5, ge=0, le=100)
    """Further attempts at a request to --api that failed for a reason that may pass, with growing pauses."""
    api_key_env: Said = "OPENAI_API_KEY"
    """Environment variable that holds the key for --api."""

    correct_with: Said | None = None
    """A model (with --api one of the server's) that corrects every answer as --instruction says; pairs.jsonl holds both."""
    instruction: Said | None = None
    """What --correct-with is told to change in an answer."""

    @field_validator("api")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        return None if value is None else address(value)

    @model_validator(mode="after")
    def _options_act(self) -> GenerateConfig:
        if (self.api is None) != (not self.api_model):
            raise ConfigError("--api and --api-model belong together: the address of a server, and a model that it has")
        for name in (*LOCAL_OPTIONS, "backend") if self.api else API_OPTIONS:
            if name in self.model_fields_set:
                raise ConfigError(f"--{name.replace('_', '-')} does nothing with{'' if self.api else 'out'} --api")
        for name in ("temperature", "system_prompt", "api_model"):
            given = getattr(self, name)
            if len(set(given)) < len(given):
                raise ConfigError(f"--{name.replace('_', '-')} has one value twice; --n asks for more answers")
        if self.also_plain and not self.system_prompt:
            raise ConfigError("--also-plain does nothing without --system-prompt")
        if (self.correct_with is None) != (self.instruction is None):
            raise ConfigError("--correct-with and --instruction belong together: who corrects, and what is changed")
        greedy = set(self.temperature) == {0}
        for name, idle in (("n", self.n > 1), ("seed", True), ("top_p", self.top_p < 1)):
            if greedy and idle and name in self.model_fields_set:
                raise ConfigError(
                    f"--{name.replace('_', '-')} does nothing at --temperature 0, where no answer is drawn"
                )
        if self.backend == "vllm" and "batch" in self.model_fields_set:
            raise ConfigError("--batch does nothing with --backend vllm, which fills its own batches")
        return self


def address(value: str) -> str:
    """The address of a server's API. Raises ValueError."""
    value = value.strip().rstrip("/").removesuffix("/chat/completions")
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", value):
        raise ValueError("must be an address that begins with http:// or https://")
    return value
