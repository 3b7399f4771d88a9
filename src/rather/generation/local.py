"""Answers from a model in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from rather.errors import RowError
from rather.generation.config import GenerateConfig
from rather.generation.plan import Answer, Ask
from rather.generation.sampling import Draw, draw
from rather.model import Renderer, bf16_is_fast, load, model_hash, pick_device
from rather.onray.once import once
from rather.records import Prompt


def inputs(model: str) -> dict[str, str]:
    """What the answers depend on besides the options: the model's content."""
    return {model: model_hash(model)}


def answer(model: str, asks: Sequence[Ask], config: GenerateConfig, done: Callable[[Ask, Answer], None]) -> None:
    """Answer every ask, calling `done` as each is there. A question's tokens are computed once for all its answers."""
    dtype = _dtype(config)
    loaded = once(load, model, dtype=dtype)
    renderer = Renderer(loaded.tokenizer, stop_tokens=loaded.stop_tokens)
    rendered: dict[Prompt, int] = {}
    prompts: list[list[int]] = []
    wanted: list[Ask] = []
    draws: list[Draw] = []
    for ask in asks:
        if ask.prompt not in rendered:
            tokens = tokens_of(renderer, ask, config, loaded.window)
            if isinstance(tokens, Answer):
                done(ask, tokens)
                continue
            rendered[ask.prompt] = len(prompts)
            prompts.append(tokens)
        wanted.append(ask)
        draws.append(Draw(rendered[ask.prompt], ask.temperature, ask.seed))

    def on_done(index: int, tokens: tuple[int, ...]) -> None:
        done(wanted[index], answer_of(renderer, wanted[index], tokens))

    draw(
        loaded, prompts, draws, stops=renderer.stop_tokens, max_new_tokens=config.max_new_tokens, top_p=config.top_p,
        dtype=dtype, batch=config.batch, on_done=on_done,
    )  # fmt: skip


def tokens_of(renderer: Renderer, ask: Ask, config: GenerateConfig, window: int | None) -> list[int] | Answer:
    """What the model is given, or why it cannot be."""
    try:
        tokens = renderer.prompt_tokens(ask.prompt)
    except RowError as error:
        return Answer(refused=error.reason)
    if not tokens:
        return Answer(refused="the prompt has no token")
    if window is not None and len(tokens) + config.max_new_tokens > window:
        return Answer(
            refused=f"the prompt has {len(tokens):,} tokens, which with --max-new-tokens {config.max_new_tokens:,} are more than "
            f"the model's {window:,}"
        )
    return tokens


def answer_of(renderer: Renderer, ask: Ask, tokens: tuple[int, ...]) -> Answer:
    """What was produced, as text. An answer in a conversation has no blanks around it; a text goes on as it does."""
    finished = bool(tokens) and tokens[-1] in renderer.stop_tokens
    text = renderer.decode(tokens[:-1] if finished else tokens)
    return Answer(text if isinstance(ask.prompt, str) else text.strip(), tokens, finished)


def _dtype(config: GenerateConfig) -> torch.dtype:
    fast = bf16_is_fast(pick_device()) if config.dtype == "auto" else config.dtype == "bf16"
    return torch.bfloat16 if fast else torch.float32
