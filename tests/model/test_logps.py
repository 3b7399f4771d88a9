"""Log-probabilities by hand, at the edges of the head's chunks and in low precision."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from rather.model import Sample, completions, pair_logps
from rather.model.check import packing_is_exact

SAMPLES = [Sample((5, 6, 7, 8), 2), Sample((5, 6, 9), 2), Sample((40, 41, 42, 43, 44), 1)]


@pytest.fixture(scope="module")
def model(tiny: Path) -> torch.nn.Module:
    return AutoModelForCausalLM.from_pretrained(tiny)


def by_hand(model: torch.nn.Module, sample: Sample) -> float:
    """Σ log softmax(logits of the tokens before)[token], one forward for each token."""
    total = 0.0
    for end in range(sample.prompt_tokens, len(sample.tokens)):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([sample.tokens[:end]])).logits[0, -1]
        total += float(logits.double().log_softmax(-1)[sample.tokens[end]])
    return total


def test_both_routes_give_the_definition(model: torch.nn.Module) -> None:
    expected = [by_hand(model, sample) for sample in SAMPLES]
    with torch.no_grad():
        packed = completions(model, SAMPLES).sums()
        plain = completions(model, SAMPLES, packed=False).sums()
    assert packed.tolist() == pytest.approx(expected, abs=1e-3)
    assert plain.tolist() == pytest.approx(expected, abs=1e-3)
    assert max(expected) < -1


def test_low_precision_products_still_sum_in_float32(model: torch.nn.Module) -> None:
    with torch.no_grad():
        exact = pair_logps(model, [(SAMPLES[0], SAMPLES[1])], dtype=torch.float32)
        for packed in (True, False):
            rough = pair_logps(model, [(SAMPLES[0], SAMPLES[1])], dtype=torch.bfloat16, packed=packed)
            assert rough.chosen.dtype == torch.float32
            assert rough.chosen.item() != exact.chosen.item()
            assert rough.chosen.item() == pytest.approx(exact.chosen.item(), rel=0.03)
            assert rough.chosen_tokens is not None
            assert (rough.chosen_tokens.tolist(), rough.chosen_tokens.dtype) == ([2], torch.int64)


def test_without_gradient_nothing_is_kept_for_it(model: torch.nn.Module) -> None:
    with torch.no_grad():
        assert not completions(model, SAMPLES[:2]).sums().requires_grad
    assert completions(model, SAMPLES[:2]).sums().requires_grad


def test_chosen_is_the_first_of_a_pair_and_rejected_the_second(tiny: Path) -> None:
    """Against each sample's own forward: exchanged sides would train, and evaluate, the opposite preference."""
    model = AutoModelForCausalLM.from_pretrained(tiny)
    pairs = [
        (Sample((60, 61, 62, 63, 64), 2), Sample((60, 61, 70, 71), 2)),
        (Sample((80, 81, 82), 1), Sample((80, 90, 91, 92, 93), 1)),
    ]
    with torch.no_grad():
        first = completions(model, [one for one, _ in pairs], packed=False).sums()
        second = completions(model, [two for _, two in pairs], packed=False).sums()
        for packed in (True, False):
            logps = pair_logps(model, pairs, packed=packed)
            torch.testing.assert_close(logps.chosen, first, rtol=1e-5, atol=1e-4)
            torch.testing.assert_close(logps.rejected, second, rtol=1e-5, atol=1e-4)
            assert logps.chosen_tokens is not None
            assert logps.rejected_tokens is not None
            assert (logps.chosen_tokens.tolist(), logps.rejected_tokens.tolist()) == ([3, 2], [2, 4])


def test_tokens_stand_sample_after_sample_and_their_first_ones_can_be_summed(model: torch.nn.Module) -> None:
    for packed in (True, False):
        with torch.no_grad():
            found = completions(model, SAMPLES, packed=packed)
        assert found.tokens_R.tolist() == [sample.completion_tokens for sample in SAMPLES]
        assert found.sample_C.tolist() == [n for n, s in enumerate(SAMPLES) for _ in range(s.completion_tokens)]
        parts = found.logp_C.split(found.tokens_R.tolist())
        counts = torch.tensor([1, 99, 0][: len(SAMPLES)] + [2] * (len(SAMPLES) - 3))
        expected = [float(part[:count].sum()) for part, count in zip(parts, counts.tolist(), strict=True)]
        assert found.first(counts).tolist() == pytest.approx(expected, abs=1e-5)
        assert found.sums().tolist() == pytest.approx([float(part.sum()) for part in parts], abs=1e-5)


def test_what_losses_ask_for_besides_is_the_same_on_both_routes(model: torch.nn.Module) -> None:
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.3)
    asked = [completions(model, SAMPLES, packed=packed, kl_to=other, squares=True) for packed in (True, False)]
    for name in ("logp_C", "kl_C", "square_C"):
        ours, plain = (getattr(found, name) for found in asked)
        torch.testing.assert_close(ours, plain, atol=1e-4, rtol=1e-4)
    assert asked[0].kl_C is not None
    assert asked[0].kl_C.requires_grad
    assert float(asked[0].kl_C.detach().min()) > 0
    assert asked[0].square_C is not None
    assert not asked[0].square_C.requires_grad
    nothing = completions(model, SAMPLES)
    assert (nothing.kl_C, nothing.square_C) == (None, None)


def test_an_adapter_is_its_own_reference(model: torch.nn.Module) -> None:
    adapted = get_peft_model(copy.deepcopy(model), LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.5)
    apart = completions(adapted, SAMPLES, kl_to=model).kl_C
    itself = completions(adapted, SAMPLES, kl_to=adapted).kl_C
    assert apart is not None
    assert itself is not None
    torch.testing.assert_close(itself, apart)
    assert float(apart.detach().max()) > 1e-3


@pytest.mark.parametrize("device", ["meta", "mps", "xpu"])
def test_a_device_that_packing_was_never_tried_on_takes_the_plain_path(
    device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    class Elsewhere(torch.nn.Module):
        def parameters(self, recurse: bool = True):
            return iter([SimpleNamespace(device=SimpleNamespace(type=device))])

    assert packing_is_exact(Elsewhere(), [], dtype=torch.float32) is False
    assert f"note: packing is not tried on {device}: this run takes the plain path" in capsys.readouterr().err
