"""The CHES score: by its definition on a plain forward, and the same packed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rather.model import Sample, load
from rather.model.ches import ches_scores

PAIRS = [
    (Sample((5, 6, 7, 8, 9), 2), Sample((5, 6, 7, 20, 21, 22, 9), 2)),
    (Sample((5, 6, 30), 2), Sample((5, 6, 31, 32), 2)),
    (Sample((4, 40, 41, 42), 1), Sample((4, 40, 41, 42), 1)),
]


@pytest.mark.parametrize("by_length", [False, True])
@pytest.mark.parametrize("packed", [True, False])
def test_the_definition(tiny: Path, by_length: bool, packed: bool) -> None:
    """⟨S⁺, S⁻⟩ − ‖S⁺‖² over the hidden states from the prompt's last token to the last but one of the answer."""
    model = load(str(tiny)).model.eval()
    expected = []
    for pair in PAIRS:
        sums = []
        for sample in pair:
            with torch.no_grad():
                hidden = model(torch.tensor([sample.tokens]), output_hidden_states=True).hidden_states[-1][0]
            places = hidden[sample.prompt_tokens - 1 : len(sample.tokens) - 1]
            sums.append(places.mean(0) if by_length else places.sum(0))
        expected.append(float(sums[0] @ sums[1] - sums[0] @ sums[0]))
    found = ches_scores(model, PAIRS, by_length=by_length, packed=packed)
    assert found.tolist() == pytest.approx(expected, rel=1e-4, abs=1e-4)
    assert found[2] == pytest.approx(0, abs=1e-4), "the same answer twice"


def test_no_pairs(tiny: Path) -> None:
    assert ches_scores(load(str(tiny)).model, []).tolist() == []
