"""Packing lays out every distinct token once and changes no log-probability and no gradient."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from rather.model import Sample, pack, pair_logps
from rather.model.attention import Forest
from rather.model.pack import Packed


def ancestors_by_brute_force(samples: list[Sample]) -> list[set[int]]:
    """For each packed token, which packed tokens its row may see: the nodes of its own prefix, found by content."""
    packed = pack(samples)
    nodes: dict[tuple[int, ...], int] = {}
    tokens, positions = packed.token_T.tolist(), packed.position_T.tolist()
    path: list[int] = []
    visible = []
    for index, (token, depth) in enumerate(zip(tokens, positions, strict=True)):
        path = [*path[:depth], token]
        nodes[tuple(path)] = index
        visible.append({nodes[tuple(path[:length])] for length in range(1, depth + 2)})
    return visible


def visible(packed: Packed, window: int | None = None) -> torch.Tensor:
    """[T, T] of bool as the blocks and their masks say it."""
    size = len(packed.token_T)
    whole = torch.zeros(size, size, dtype=torch.bool)
    for block, mask in zip(packed.blocks, Forest(packed).hidden(window), strict=True):
        keys = [k for start, stop in (*block.before, (block.start, block.stop)) for k in range(start, stop)]
        part = torch.ones(block.stop - block.start, len(keys), dtype=torch.bool)
        if mask is not None:
            part[:, len(keys) - mask.shape[1] :] &= ~mask
        whole[block.start : block.stop, keys] = part
    return whole


def test_two_answers_by_hand() -> None:
    # prompt 1 2; chosen 3 4 5; rejected 3 6 5. Inputs (without each last token): 1 2 3 4 and 1 2 3 6.
    packed = pack([Sample((1, 2, 3, 4, 5), 2), Sample((1, 2, 3, 6, 5), 2)])
    assert packed.token_T.tolist() == [1, 2, 3, 4, 6]
    assert packed.position_T.tolist() == [0, 1, 2, 3, 3]
    assert packed.subtree_end_T.tolist() == [5, 5, 5, 4, 5]
    # Outputs are needed behind 2, 3, 4 (chosen) and 6: the one behind 2 and 3 serves both answers.
    assert packed.place_U.tolist() == [1, 2, 3, 4]
    assert packed.row_C.tolist() == [0, 1, 2, 0, 1, 3]
    assert packed.target_C.tolist() == [3, 4, 5, 3, 6, 5]
    assert packed.sample_C.tolist() == [0, 0, 0, 1, 1, 1]
    assert packed.tokens_R.tolist() == [3, 3]
    assert visible(packed).int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 1, 0, 1],
    ]


@pytest.mark.parametrize("prompt_tokens", [0, 3])
def test_a_sample_without_prompt_or_completion_is_refused(prompt_tokens: int) -> None:
    with pytest.raises(ValueError, match="at least one prompt token and one completion token"):
        pack([Sample((1, 2, 3), prompt_tokens)])


token_lists = st.lists(st.integers(0, 3), min_size=2, max_size=12)


@given(st.lists(token_lists, min_size=1, max_size=7), st.sampled_from([0, 3, 30, 4096]), st.integers(1, 5))
def test_any_forest_sees_exactly_its_own_prefixes(lists: list[list[int]], overhead: int, rows: int) -> None:
    """However it is cut into blocks, and every query stands in exactly one of them."""
    samples = [Sample(tuple(tokens), 1) for tokens in lists]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rather.model.blocks.OVERHEAD", overhead)
        patch.setattr("rather.model.blocks.ROWS", rows)
        packed = pack(samples)
    queries = [query for block in packed.blocks for query in range(block.start, block.stop)]
    assert queries == list(range(len(packed.token_T)))
    seen = [set(row.nonzero().flatten().tolist()) for row in visible(packed)]
    assert seen == ancestors_by_brute_force(samples)
    by_vector = [[k <= q < end for k, end in enumerate(packed.subtree_end_T.tolist())] for q in range(len(seen))]
    assert visible(packed).tolist() == by_vector, "the one vector says the same"
    depth = packed.position_T.tolist()
    windowed = [{k for k in keys if depth[q] - depth[k] < 3} for q, keys in enumerate(seen)]
    assert [set(row.nonzero().flatten().tolist()) for row in visible(packed, window=3)] == windowed
    # Every distinct prefix is there once, and nothing else.
    distinct = {tuple(tokens[:length]) for tokens in lists for length in range(1, len(tokens))}
    assert len(packed.token_T) == len(distinct)


pair_lists = st.lists(
    st.tuples(
        st.lists(st.integers(0, 200), min_size=1, max_size=6),
        *[st.lists(st.integers(0, 200), min_size=1, max_size=8)] * 2,
    ),
    min_size=1,
    max_size=4,
)


@settings(deadline=None, max_examples=25)
@given(drawn=pair_lists)
def test_packed_equals_plain_equals_one_at_a_time(tiny: Path, drawn: list[tuple[list[int], ...]]) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny)
    pairs = [(Sample((*p, *c), len(p)), Sample((*p, *r), len(p))) for p, c, r in drawn]
    packed = pair_logps(model, pairs, dtype=torch.float32)
    plain = pair_logps(model, pairs, dtype=torch.float32, packed=False)
    alone = [pair_logps(model, [pair], dtype=torch.float32) for pair in pairs]
    for ours, theirs in ((packed.chosen, plain.chosen), (packed.rejected, plain.rejected)):
        torch.testing.assert_close(ours, theirs, rtol=2e-5, atol=2e-5)
    torch.testing.assert_close(packed.chosen, torch.cat([one.chosen for one in alone]), rtol=2e-5, atol=2e-5)
    assert packed.chosen_tokens is not None
    assert packed.chosen_tokens.tolist() == [len(c) for _, c, _ in drawn]


def gradients(model: torch.nn.Module, pairs: list[tuple[Sample, Sample]], *, packed: bool) -> list[torch.Tensor]:
    model.zero_grad()
    logps = pair_logps(model, pairs, packed=packed)
    (logps.chosen - 2 * logps.rejected).sum().backward()
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


def test_gradients_are_those_of_the_plain_forward(tiny: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny)
    pairs = [
        (Sample((5, 6, 7, 8, 9, 10), 3), Sample((5, 6, 7, 8, 11), 3)),
        (Sample((40, 41, 42, 43), 1), Sample((40, 50, 51, 52, 53), 1)),
    ]
    for ours, theirs in zip(gradients(model, pairs, packed=True), gradients(model, pairs, packed=False), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
