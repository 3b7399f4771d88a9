"""Answers from a model in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import torch

from rather.generation import plain
from rather.generation.decode import decode
from rather.generation.draws import Draw
from rather.generation.weights import unknown, weights_of
from rather.model import Loaded, Renderer
from rather.progress import say
from rather.records import Question, Response

__all__ = ["Draw", "draw", "sample"]

BATCH = 128


def sample(
    loaded: Loaded,
    renderer: Renderer,
    questions: Sequence[Question],
    *,
    max_new_tokens: int = 64,
    temperature: float = 0.0,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    on_done: Callable[[int], None] = lambda count: None,
) -> list[Response]:
    """One answer a question, in the order asked. temperature 0 is greedy; otherwise the full distribution is sampled.

    The same questions, seed and dtype give the same answers on one machine; `on_done` hears of every answer.
    """
    prompts = [renderer.prompt_tokens(question.prompt) for question in questions]
    draws = [Draw(index, temperature, seed * 1_000_003 + index) for index in range(len(questions))]
    answers: dict[int, Response] = {}

    def done(index: int, tokens: tuple[int, ...]) -> None:
        finished = bool(tokens) and tokens[-1] in renderer.stop_tokens
        text = renderer.decode(tokens[:-1] if finished else tokens).strip()
        answers[index] = Response(
            question=questions[index], text=text, tokens=tokens, model=loaded.path, seed=seed, finished=finished
        )
        on_done(1)

    draw(
        loaded, prompts, draws, stops=renderer.stop_tokens, max_new_tokens=max_new_tokens, dtype=dtype, batch=BATCH,
        on_done=done,
    )  # fmt: skip
    return [answers[index] for index in range(len(questions))]


def draw(
    loaded: Loaded,
    prompts: Sequence[Sequence[int]],
    draws: Sequence[Draw],
    *,
    stops: frozenset[int],
    max_new_tokens: int,
    on_done: Callable[[int, tuple[int, ...]], None],
    top_p: float = 1.0,
    dtype: torch.dtype = torch.float32,
    batch: int = BATCH,
) -> None:
    """Call `on_done(index, tokens)` for every draw: the ids produced, up to and with the first of `stops`.

    batch: draws that grow at once. A draw's random numbers are its seed's alone. A model that `decode` does not know is
    sampled by transformers' `generate`, and the user told why.
    """
    longest = max((len(prompt) for prompt in prompts), default=0) + max_new_tokens
    reason = unknown(loaded.model, longest)
    how = {"stops": stops, "max_new_tokens": max_new_tokens, "top_p": top_p, "batch": batch, "on_done": on_done}
    if reason is None:
        decode(weights_of(loaded.model, dtype), *_once(prompts, draws), **how)
        return
    _say_slow(loaded.path, reason)
    plain.draw(loaded, prompts, draws, dtype=dtype, **how)


@cache
def _say_slow(model: str, reason: str) -> None:
    say(f"note: {model} is sampled through transformers' own generate, which is slower: {reason}")


def _once(prompts: Sequence[Sequence[int]], draws: Sequence[Draw]) -> tuple[list[tuple[int, ...]], list[Draw]]:
    """Different prompts alone, and the draws with their indices in these."""
    places: dict[tuple[int, ...], int] = {}
    which = [places.setdefault(tuple(prompt), len(places)) for prompt in prompts]
    return list(places), [replace(draw, prompt=which[draw.prompt]) for draw in draws]
