"""The likeliest of a few replies: what a model in this process would say if it could say nothing else. Imports torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from rather.model import Loaded, Renderer, Sample, completions
from rather.model.check import packing_is_exact
from rather.records import Prompt


def chooser(loaded: Loaded, renderer: Renderer, replies: Sequence[str], dtype: torch.dtype) -> Callable[[Prompt], str]:
    """prompt → the reply with the highest probability under the model. The prompt is computed once for all of them."""
    endings = [loaded.tokenizer(reply, add_special_tokens=False).input_ids for reply in replies]
    packed: list[bool] = []

    def choose(prompt: Prompt) -> str:
        asked = renderer.prompt_tokens(prompt)
        samples = [Sample((*asked, *ending), len(asked)) for ending in endings]
        if not packed:
            packed.append(packing_is_exact(loaded.model, [samples], dtype=dtype))
        with torch.no_grad():
            sums = completions(loaded.model, samples, dtype=dtype, packed=packed[0]).sums()
        return replies[int(sums.argmax())]

    return choose
