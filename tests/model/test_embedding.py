"""A tied embedding with one gradient: the same numbers as autograd's two."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from rather.model.embedding import shared_embedding


def tiny(*, tied: bool = True, padding: int | None = None) -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=13, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, tie_word_embeddings=tied, pad_token_id=padding,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def gradient(model: Any, ids: Tensor, *, shared: bool) -> Tensor:
    model.zero_grad(set_to_none=True)
    if shared:
        with shared_embedding(model) as found:
            hidden = model.model(input_ids=ids).last_hidden_state
        assert found.weight_VH is not None
        (hidden @ found.weight_VH.t()).square().sum().backward()
    else:
        model(input_ids=ids).logits.square().sum().backward()
    return model.lm_head.weight.grad.clone()


@pytest.mark.parametrize("padding", [None, 2])
def test_the_gradient_is_autograds(padding: int | None) -> None:
    """With a token that stands twice, and with one that nn.Embedding never trains."""
    model, ids = tiny(padding=padding), torch.tensor([[1, 2, 2, 5, 1]])
    torch.testing.assert_close(gradient(model, ids, shared=True), gradient(model, ids, shared=False))


def test_embedding_is_the_models_own_again_afterwards() -> None:
    model = tiny()
    with pytest.raises(RuntimeError, match="stop"), shared_embedding(model):
        raise RuntimeError("stop")
    assert "forward" not in vars(model.get_input_embeddings())


def test_left_as_it_is_where_there_is_nothing_to_share() -> None:
    untied, frozen, tied = tiny(tied=False), tiny(), tiny()
    frozen.requires_grad_(False)
    for model in (untied, frozen):
        with shared_embedding(model) as found:
            model.model(input_ids=torch.tensor([[1, 2]]))
        assert found.weight_VH is None
    with torch.no_grad(), shared_embedding(tied) as found:
        tied.model(input_ids=torch.tensor([[1, 2]]))
    assert found.weight_VH is None
