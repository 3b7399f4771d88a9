"""Products of 4-bit weights, with numbers that were quantised by hand."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from rather.model.quantised import four_bit_linear

WEIGHT = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]])


def dequantise(packed: Tensor, scale: float) -> Tensor:
    """Whole numbers times a scale: the scheme of bitsandbytes, with other levels."""
    return packed.to(torch.float32).view(2, 3) * scale


def layer(bias: Tensor | None = None, compute_dtype: torch.dtype | None = None) -> SimpleNamespace:
    packed = SimpleNamespace(data=(WEIGHT / 0.5).to(torch.int8).view(-1, 1), quant_state=0.5)
    return SimpleNamespace(weight=packed, bias=bias, compute_dtype=compute_dtype)


def test_value_and_gradient_are_those_of_the_weights_that_are_meant() -> None:
    x = torch.tensor([[1.0, 1.0, 2.0], [0.0, -1.0, 4.0]], requires_grad=True)
    bias = torch.tensor([10.0, 20.0])
    out = four_bit_linear(layer(bias), x, dequantise=dequantise)
    assert out.tolist() == [[10.0, 21.0], [14.0, 13.0]]
    (out * torch.tensor([[1.0, 0.0], [2.0, 1.0]])).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[1.0, -2.0, 0.5], [2.0, -1.0, 0.0]]


def test_without_a_gradient_it_is_the_same_to_the_last_bit() -> None:
    x = torch.randn(5, 3, requires_grad=True)
    with torch.no_grad():
        alone = four_bit_linear(layer(), x, dequantise=dequantise)
    assert torch.equal(alone, four_bit_linear(layer(), x, dequantise=dequantise))


def test_products_are_in_the_compute_dtype_and_come_back_in_that_of_the_input() -> None:
    out = four_bit_linear(layer(compute_dtype=torch.bfloat16), torch.full((1, 3), 1.001), dequantise=dequantise)
    assert out.dtype == torch.float32
    assert out.tolist() == [[-0.5, 2.0]]  # 1.001 is 1 in bf16


@pytest.mark.skipif(not importlib.util.find_spec("bitsandbytes"), reason="bitsandbytes")
def test_a_model_in_four_bits_is_its_own_reference(tiny: Path) -> None:
    from rather.model import completions, load
    from tests.model.test_recompute import SAMPLES

    model = load(str(tiny), in_4bit=True).model
    exact = load(str(tiny), device=str(model.device)).model
    with torch.no_grad():
        alone, whole = completions(model, SAMPLES).logp_C, completions(exact, SAMPLES).logp_C
    assert not torch.equal(alone, whole)
    assert torch.equal(alone, completions(model, SAMPLES).logp_C)
