"""Answers from a model in this process."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from transformers import GenerationConfig, PreTrainedModel

from rather.model import Loaded, Renderer
from rather.records import Question, Response

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

    Questions are batched by prompt length. The same questions, seed and dtype give the same answers on one machine.
    """
    model = _for_sampling(loaded.model, dtype)
    tokens = [renderer.prompt_tokens(question.prompt) for question in questions]
    by_length = sorted(range(len(questions)), key=lambda index: (len(tokens[index]), index))
    answers: dict[int, Response] = {}
    for number, batch in enumerate(_slices(by_length, BATCH)):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed * 1_000_003 + number)
            produced = _batch(model, renderer, [tokens[i] for i in batch], max_new_tokens, temperature)
        for index, ids in zip(batch, produced, strict=True):
            finished = bool(ids) and ids[-1] in renderer.stop_tokens
            text = renderer.decode(ids[:-1] if finished else ids).strip()
            answers[index] = Response(
                question=questions[index], text=text, tokens=ids, model=loaded.path, seed=seed, finished=finished
            )
        on_done(len(batch))
    return [answers[index] for index in range(len(questions))]


def _batch(
    model: PreTrainedModel, renderer: Renderer, prompts: list[list[int]], max_new_tokens: int, temperature: float
) -> list[tuple[int, ...]]:
    """The ids produced for each prompt, up to and with the first that ends the turn."""
    width = max(len(prompt) for prompt in prompts)
    stops = sorted(renderer.stop_tokens)
    pad = renderer.tokenizer.pad_token_id
    pad = pad if isinstance(pad, int) else (stops[0] if stops else 0)
    device = next(model.parameters()).device
    ids = torch.tensor([[pad] * (width - len(p)) + p for p in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device)
    config = GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=temperature > 0,
        temperature=temperature if temperature > 0 else None,
        top_k=0 if temperature > 0 else None,
        eos_token_id=stops or None,
        pad_token_id=pad,
    )
    with torch.inference_mode(), _without_defaults(model):
        out = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
    return [_until_stop(row[width:].tolist(), renderer.stop_tokens) for row in out]


@contextmanager
def _without_defaults(model: PreTrainedModel) -> Iterator[None]:
    """Keep what the model folder suggests (top-p, penalties) out of it: KL is measured on the model's own distribution.

    `generate` fills whatever its config leaves open from the model's.
    """
    own, model.generation_config = model.generation_config, GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = own


def _until_stop(tokens: list[int], stops: frozenset[int]) -> tuple[int, ...]:
    end = next((index for index, token in enumerate(tokens) if token in stops), len(tokens))
    return tuple(tokens[: end + 1])


def _for_sampling(model: PreTrainedModel, dtype: torch.dtype) -> PreTrainedModel:
    """The model in `dtype`: bf16 weights halve what every step reads. The original is left as it is."""
    if model.dtype == dtype:
        return model
    return copy.deepcopy(model).to(dtype).eval()


def _slices(items: Sequence[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
