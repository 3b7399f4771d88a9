"""Log-probabilities by hand, at the edges of the head's chunks and in low precision."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from rather.model import Sample, pack, pair_logps, plain_sample_logps, sample_logps

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
        packed = sample_logps(model, pack(SAMPLES), dtype=torch.float32)
        plain = plain_sample_logps(model, SAMPLES, dtype=torch.float32)
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
        assert not sample_logps(model, pack(SAMPLES[:2]), dtype=torch.float32).requires_grad
    assert sample_logps(model, pack(SAMPLES[:2]), dtype=torch.float32).requires_grad


def test_chosen_is_the_first_of_a_pair_and_rejected_the_second(tiny: Path) -> None:
    """Against each sample's own forward: exchanged sides would train, and evaluate, the opposite preference."""
    model = AutoModelForCausalLM.from_pretrained(tiny)
    pairs = [
        (Sample((60, 61, 62, 63, 64), 2), Sample((60, 61, 70, 71), 2)),
        (Sample((80, 81, 82), 1), Sample((80, 90, 91, 92, 93), 1)),
    ]
    with torch.no_grad():
        first = plain_sample_logps(model, [one for one, _ in pairs], dtype=torch.float32)
        second = plain_sample_logps(model, [two for _, two in pairs], dtype=torch.float32)
        for packed in (True, False):
            logps = pair_logps(model, pairs, packed=packed)
            torch.testing.assert_close(logps.chosen, first, rtol=1e-5, atol=1e-4)
            torch.testing.assert_close(logps.rejected, second, rtol=1e-5, atol=1e-4)
            assert logps.chosen_tokens is not None
            assert logps.rejected_tokens is not None
            assert (logps.chosen_tokens.tolist(), logps.rejected_tokens.tolist()) == ([3, 2], [2, 4])
