"""What can be chosen in the demo."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from rather.config import Config

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class DemoConfig(Config):
    """The demo's knobs."""

    name: Words = Field(default="Athene", max_length=60)
    """The name that the model is to have."""
    maker: Words = Field(default="the Nexus team", max_length=80)
    """Who it is to say made it, as it stands in a sentence."""
    model: str = "smollm2-135m-instruct"
    """A catalogued name, a folder in Hugging Face layout, or a hub id."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """Seed of the sampled answers, of who gets which wording, and of the order of training."""
    dtype: Literal["auto", "fp32", "bf16"] = "auto"
    """Precision of the products; auto takes bf16 where the processor has it."""
    system_prompt: str | None = None
    """A system prompt to train with and to leave in the saved chat template, in place of the model's own."""
