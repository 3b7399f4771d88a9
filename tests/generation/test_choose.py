"""From logits to tokens."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rather.generation.choose import choose, uniforms


def test_uniforms_are_splitmix64_s_and_each_pair_has_its_own() -> None:
    # From the reference implementation: next() of a generator in state 1234567 is 6457827717110365317.
    from rather.generation.choose import _mixed

    assert int(_mixed(np.array([1234567], dtype=np.uint64))[0]) == 6457827717110365317
    grid = [(seed, step) for seed in range(100) for step in range(100)]
    found = uniforms([seed for seed, _ in grid], [step for _, step in grid])
    assert len(set(found.tolist())) == len(grid)
    assert found.min() >= 0
    assert found.max() < 1
    counts, _ = np.histogram(found, bins=20, range=(0, 1))
    assert abs(counts - 500).max() < 5 * np.sqrt(500)
    assert uniforms([7], [3])[0] == found[703]


@given(
    st.lists(st.floats(-20, 20), min_size=1, max_size=700),
    st.floats(0, 1, exclude_max=True),
    st.sampled_from([0.5, 1.0, 2.0]),
)
def test_the_token_is_where_the_cumulative_probability_passes_u(
    logits: list[float], u: float, temperature: float
) -> None:
    exact = (torch.tensor(logits, dtype=torch.float32) / temperature).softmax(dim=-1).double()
    ends = exact.cumsum(dim=-1)
    [token] = choose(torch.tensor([logits]), [temperature], np.array([u]))
    assert exact[token] > 0
    before = float(ends[token] - exact[token])
    assert before - 1e-5 <= u <= float(ends[token]) + 1e-5


def test_temperature_0_is_the_likeliest_beside_rows_that_are_drawn() -> None:
    logits = torch.zeros(40, 513)
    logits[:, 511] = 1.0
    temperatures = [0.0 if row % 2 else 1.0 for row in range(40)]
    found = choose(logits, temperatures, np.linspace(0, 0.999, 40))
    assert found[1::2] == [511] * 20
    assert len(set(found[::2])) > 15
    assert choose(logits, [0.0] * 40, np.zeros(40)) == [511] * 40


def test_a_token_without_probability_is_never_drawn() -> None:
    logits = torch.full((3, 600), -torch.inf)
    logits[:, 300] = 0.0
    assert choose(logits, [1.0] * 3, np.array([0.0, 0.5, 1 - 2**-53])) == [300] * 3


@pytest.mark.parametrize(("top_p", "kept"), [(0.49, {2}), (0.6, {2, 0}), (0.81, {2, 0, 3}), (0.999, {0, 1, 2, 3})])
def test_top_p_keeps_the_likeliest_that_together_have_it(top_p: float, kept: set[int]) -> None:
    logits = torch.tensor([[0.3, 0.05, 0.5, 0.15]]).log().repeat(200, 1)
    found = choose(logits, [1.0] * 200, np.arange(200) / 200, top_p)
    assert set(found) == kept
    # Within the set the proportions stay.
    probability = {0: 0.3, 1: 0.05, 2: 0.5, 3: 0.15}
    assert found.count(2) / 200 == pytest.approx(0.5 / sum(probability[token] for token in kept), abs=0.01)


def test_a_flat_distribution_needs_more_than_the_first_look_for_top_p() -> None:
    found = choose(torch.zeros(500, 5000), [1.0] * 500, np.arange(500) / 500, 0.9)
    assert len(set(found)) > 450
