"""Prompts that are nearly the same are found and stay on one side."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rather.pairing.nearby import near_duplicates, shingles
from rather.pairing.split import held_out

LONG = "Please write a short poem about the old harbour in winter, with a boat, a gull and a lamp"


@pytest.mark.parametrize(
    ("one", "other", "near"),
    [
        ("What is the capital of France?", "what is the  capital of France", True),
        (LONG, LONG + "!!", True),
        (LONG, LONG.replace("boat", "ship"), True),
        ("写一首关于冬天港口的短诗，要有船和灯", "写一首关于冬天港口的短诗，要有船和灯。", True),
        ("What is the capital of France?", "How do I boil an egg?", False),
        (LONG, "Please write a short poem", False),
        ("Hi", "Ho", False),
        ("?", "!", False),
    ],
)
def test_near_or_not(one: str, other: str, near: bool) -> None:
    found = near_duplicates([one, "something else entirely, of no account", other])
    assert (found[0] == found[2]) == near
    assert found[1] not in (found[0], found[2])


def test_the_share_is_jaccards() -> None:
    # "abcdef" has the shingles abcde, bcdef; "abcdeg" abcde, bcdeg: one of three in common
    one, other = set(shingles("abcdef").tolist()), set(shingles("abcdeg").tolist())
    assert (len(one), len(other), len(one & other)) == (2, 2, 1)


def test_most_near_prompts_are_found_among_many() -> None:
    pick = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    texts = [" ".join("".join(pick.choices(letters, k=6)) for _ in range(20)) for _ in range(1000)]
    twins = [text[:-3] + "xyz" for text in texts]
    found = near_duplicates(texts + twins)
    assert (found[:1000] == found[1000:]).mean() > 0.99
    assert len(set(found[:1000].tolist())) == 1000


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
