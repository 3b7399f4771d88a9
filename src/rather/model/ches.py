"""How alike two answers are inside a model: the CHES score, which ranks pairs by how likely they are to displace.

Razin et al. 2024, "Unintentional unalignment: likelihood displacement in direct preference optimization", definition 2:
CHES = ⟨S⁺, S⁻⟩ − ‖S⁺‖², where S is the sum of the last layer's hidden states at the places that predict an answer's tokens.
A high score means that pushing the rejected answer down pushes the chosen one down, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rather.model.logps import autocast, hidden_states
from rather.model.pack import Sample, pack


@torch.no_grad()
def ches_scores(
    model: torch.nn.Module,
    pairs: Sequence[tuple[Sample, Sample]],
    *,
    by_length: bool = False,
    dtype: torch.dtype = torch.float32,
    packed: bool = True,
) -> Tensor:
    """[P] the score of each (chosen, rejected), float32. by_length: means in place of sums, so that long answers are no outliers
    by their length alone (the authors' length-normalised score). packed=False takes the model's own attention.
    """
    scores = []
    for pair in pairs:
        sum_2H = _packed(model, pair, dtype) if packed else _plain(model, pair, dtype)
        if by_length:
            sum_2H = sum_2H / torch.tensor([[sample.completion_tokens] for sample in pair], device=sum_2H.device)
        chosen_H, rejected_H = sum_2H
        scores.append(chosen_H @ rejected_H - chosen_H @ chosen_H)
    return torch.stack(scores).cpu() if scores else torch.zeros(0)


def _packed(model: torch.nn.Module, samples: Sequence[Sample], dtype: torch.dtype) -> Tensor:
    """[2, H] sums over the places that predict each sample's completion, every shared prefix computed once."""
    batch = pack(samples).to(next(model.parameters()).device)
    hidden_CH = hidden_states(_base(model), batch, dtype=dtype)[batch.place_U][batch.row_C].float()
    sums_RH = torch.zeros(len(samples), hidden_CH.shape[1], device=hidden_CH.device)
    return sums_RH.index_add(0, batch.sample_C, hidden_CH)


def _plain(model: torch.nn.Module, samples: Sequence[Sample], dtype: torch.dtype) -> Tensor:
    device = next(model.parameters()).device
    sums = []
    for sample in samples:
        with autocast(device, dtype):
            tokens = torch.tensor([sample.tokens[:-1]], device=device)
            hidden_TH = _base(model).base_model(input_ids=tokens, use_cache=False).last_hidden_state[0]
        sums.append(hidden_TH[sample.prompt_tokens - 1 :].float().sum(dim=0))
    return torch.stack(sums)


def _base(model: torch.nn.Module) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model  # pyright: ignore[reportCallIssue]
