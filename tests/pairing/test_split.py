"""Prompts that are nearly the same stay on one side."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rather.pairing.split import held_out

LONG = "Please write a short poem about the old harbour in winter, with a boat, a gull and a lamp"


@given(st.permutations(range(8)))
def test_the_side_does_not_depend_on_order(order: list[int]) -> None:
    texts = [f"Question number {n}: {LONG[n * 3 :]}" for n in range(4)] + [
        f"{n} {n} {n} quite another {n * n}" for n in range(4)
    ]
    lots = np.random.default_rng(0).integers(0, 2**63, 8, dtype=np.uint64)
    straight = held_out(texts, lots, 0.5)[0]
    mixed = held_out([texts[place] for place in order], lots[list(order)], 0.5)[0]
    assert [bool(straight[place]) for place in order] == mixed.tolist()


def test_near_prompts_are_on_one_side_and_the_share_holds() -> None:
    texts = [
        text
        for n in range(400)
        for text in (
            f"Tell me of {n * 7919} and {n * 104729}, at length",
            f"tell me of {n * 7919} and {n * 104729} at length!",
        )
    ]
    lots = np.random.default_rng(1).integers(0, 2**63, 800, dtype=np.uint64) * np.uint64(2)
    held, near = held_out(texts, lots, 0.25)
    assert near == 800
    assert (held[::2] == held[1::2]).all()
    assert 0.17 < held.mean() < 0.33
