"""Answers to prompts: n of each, from models in this process or behind a server. Importing this package imports no torch.

`BACKENDS[name]` is the module that answers: to add one, write `answer(model, asks, config, done)` and a line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rather.generation.sampling import sample

BACKENDS = {
    "transformers": "rather.generation.local",
    "vllm": "rather.generation.vllm",
    "api": "rather.generation.server",
}
"""name → module with `answer(model, asks, config, done)`, which calls `done(ask, answer)` as each answer is there, and
`inputs(model)`, what the answers depend on besides the options."""


def __getattr__(name: str) -> Any:
    """PEP 562: what needs torch is imported on first use."""
    if name == "sample":
        from rather.generation.sampling import sample

        return sample
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["BACKENDS", "sample"]
