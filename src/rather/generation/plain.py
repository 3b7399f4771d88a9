"""Answers through transformers' own `generate`, for models that `decode.py` does not know."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from transformers import GenerationConfig, PreTrainedModel

from rather.generation.draws import Draw
from rather.model import Loaded


def draw(
    loaded: Loaded,
    prompts: Sequence[Sequence[int]],
    draws: Sequence[Draw],
    *,
    stops: frozenset[int],
    max_new_tokens: int,
    top_p: float,
    dtype: torch.dtype,
    batch: int,
    on_done: Callable[[int, tuple[int, ...]], None],
) -> None:
    """As `sampling.draw`. Draws are batched by prompt length; what is drawn depends on which stand in a batch together."""
    model = _in(loaded.model, dtype)
    pad = loaded.tokenizer.pad_token_id
    config = GenerationConfig(
        max_new_tokens=max_new_tokens,
        eos_token_id=sorted(stops) or None,
        pad_token_id=pad if isinstance(pad, int) else min(stops, default=0),
    )
    for group in _groups(prompts, draws, batch):
        temperature = draws[group[0]].temperature
        config.do_sample = temperature > 0
        config.temperature = temperature if temperature > 0 else None
        config.top_k, config.top_p = (0, top_p) if temperature > 0 else (None, None)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(draws[group[0]].seed)
            rows = _rows(model, [prompts[draws[index].prompt] for index in group], config)
        for index, row in zip(group, rows, strict=True):
            on_done(index, _until_stop(row, stops))


def _groups(prompts: Sequence[Sequence[int]], draws: Sequence[Draw], batch: int) -> Iterator[list[int]]:
    """Indices of draws of one temperature and about one length."""
    order = sorted(range(len(draws)), key=lambda i: (draws[i].temperature, len(prompts[draws[i].prompt]), i))
    group: list[int] = []
    for index in order:
        if group and (len(group) == batch or draws[index].temperature != draws[group[0]].temperature):
            yield group
            group = []
        group.append(index)
    if group:
        yield group


def _rows(model: PreTrainedModel, prompts: list[Sequence[int]], config: GenerationConfig) -> list[list[int]]:
    width = max(len(prompt) for prompt in prompts)
    device = next(model.parameters()).device
    ids = torch.tensor([[config.pad_token_id] * (width - len(p)) + [*p] for p in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device)
    with torch.inference_mode(), _without_defaults(model):
        out = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
    return out[:, width:].tolist()


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


def _in(model: PreTrainedModel, dtype: torch.dtype) -> PreTrainedModel:
    """The model in `dtype`: bf16 weights halve what every step reads. The original is left as it is."""
    if model.dtype == dtype:
        return model
    return copy.deepcopy(model).to(dtype).eval()
