"""Answers from a model in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from rather.generation import plain
from rather.generation.draws import Draw
from rather.model import Loaded, Renderer
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
        loaded, prompts, draws, stops=renderer.stop_tokens, max_new_tokens=max_new_tokens, dtype=dtype, on_done=done
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

    batch: draws that grow at once.
    """
    plain.draw(
        loaded, prompts, draws, stops=stops, max_new_tokens=max_new_tokens, top_p=top_p, dtype=dtype, batch=batch,
        on_done=on_done,
    )  # fmt: skip
