from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rather.model import Sample
from rather.training.batches import Plan, deal, micro_batches, updates_of_epoch

COUNTS = {"pairs": st.integers(0, 60), "batch_pairs": st.integers(1, 20)}


@given(**COUNTS, epoch=st.integers(0, 5), seed=st.integers(0, 9), shuffle=st.booleans())
def test_an_epoch_has_every_pair_once(pairs: int, batch_pairs: int, epoch: int, seed: int, shuffle: bool):
    updates = updates_of_epoch(pairs, batch_pairs, epoch=epoch, seed=seed, shuffle=shuffle)
    assert sorted(index for update in updates for index in update) == list(range(pairs))
    assert [len(update) for update in updates[:-1]] == [batch_pairs] * (len(updates) - 1)
    assert all(updates)
    assert updates == updates_of_epoch(pairs, batch_pairs, epoch=epoch, seed=seed, shuffle=shuffle)


def test_without_shuffling_the_order_is_the_file_s():
    for epoch in range(3):
        updates = updates_of_epoch(5, 2, epoch=epoch, seed=epoch, shuffle=False)
        assert updates == [(0, 1), (2, 3), (4,)]


def test_the_shuffled_order_is_the_same_on_every_machine():
    # Fixed for good: a run that was stopped under another version of Python resumes with the same updates.
    assert updates_of_epoch(6, 4, epoch=0, seed=0, shuffle=True) == [(0, 5, 1, 4), (3, 2)]
    assert updates_of_epoch(6, 4, epoch=1, seed=0, shuffle=True) == [(2, 0, 1, 5), (3, 4)]


def test_seed_and_epoch_each_change_the_order():
    orders = {
        (seed, epoch): tuple(updates_of_epoch(50, 50, epoch=epoch, seed=seed, shuffle=True))
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(set(orders.values())) == 9


def test_a_batch_does_not_change_the_order():
    whole = updates_of_epoch(10, 10, epoch=2, seed=7, shuffle=True)[0]
    cut = updates_of_epoch(10, 3, epoch=2, seed=7, shuffle=True)
    assert tuple(index for update in cut for index in update) == whole


@given(**COUNTS, epochs=st.integers(1, 4), shuffle=st.booleans())
def test_a_run_is_its_epochs_one_after_the_other(pairs: int, batch_pairs: int, epochs: int, shuffle: bool):
    run = list(Plan(pairs, batch_pairs, epochs=epochs, seed=3, shuffle=shuffle))
    apart = [updates_of_epoch(pairs, batch_pairs, epoch=epoch, seed=3, shuffle=shuffle) for epoch in range(epochs)]
    assert run == [update for epoch in apart for update in epoch]
    assert len(run) == epochs * -(-pairs // batch_pairs)


@dataclass(frozen=True)
class Sized:
    """All that cutting an update asks of a pair: the samples' beginning, and the tokens of both with the prompt once."""

    prompt: tuple[int, ...]
    tokens: int

    @property
    def chosen(self) -> Sample:
        return Sample((*self.prompt, 0), len(self.prompt))

    @property
    def samples(self) -> tuple[Sample]:
        return (self.chosen,)


def apart(sizes: list[int]) -> list[Sized]:
    """Pairs that share nothing."""
    return [Sized((number + 1,), size) for number, size in enumerate(sizes)]


def cut(pairs: list[Sized], budget: int, update: tuple[int, ...] | None = None) -> list[tuple[int, ...]]:
    update = tuple(range(len(pairs))) if update is None else update
    return micro_batches(update, pairs, token_budget=budget)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sizes", "batches"),
    [
        ([], []),
        ([10], [(0,)]),
        ([5, 5], [(0, 1)]),  # the budget is reached, not passed
        ([5, 6], [(0,), (1,)]),
        ([11, 1], [(0,), (1,)]),  # longer than the budget: alone
        ([1, 11, 1], [(0,), (1,), (2,)]),
        ([4, 4, 4, 4, 4], [(0, 1), (2, 3), (4,)]),
    ],
)
def test_an_update_is_cut_where_the_next_pair_would_pass_the_budget(sizes: list[int], batches: list[tuple[int, ...]]):
    assert cut(apart(sizes), budget=10) == batches


def test_indices_of_the_update_are_kept():
    assert cut(apart([9, 1, 9, 1]), 10, update=(3, 0, 1)) == [(0, 1), (3,)]


def test_what_pairs_share_is_counted_once_and_pairs_of_one_prompt_stand_together():
    system, question, other = (1, 1, 1, 1), (1, 1, 1, 1, 2, 2), (1, 1, 1, 1, 3)
    pairs = [Sized(question, 10), Sized(other, 9), Sized(question, 10)]
    assert cut(pairs, budget=19) == [(0, 2, 1)], "10, then 4 more of the same question, then 5 behind the system prompt"
    assert cut(pairs, budget=18) == [(0, 2), (1,)]
    assert len(system) == 4


@given(st.lists(st.integers(1, 30), max_size=30), st.integers(1, 40))
def test_every_pair_stands_in_one_micro_batch_within_the_budget(sizes: list[int], budget: int):
    batches = cut(apart(sizes), budget)
    assert [index for batch in batches for index in batch] == list(range(len(sizes)))
    assert all(len(batch) == 1 or sum(sizes[index] for index in batch) <= budget for batch in batches)
    # none is cut without need: the next pair would not have fitted
    for batch, following in itertools.pairwise(batches):
        assert sum(sizes[index] for index in batch) + sizes[following[0]] > budget


def dealt(pairs: list[Sized], ranks: int, update: tuple[int, ...] | None = None) -> list[tuple[int, ...]]:
    return deal(tuple(range(len(pairs))) if update is None else update, pairs, ranks=ranks)  # type: ignore[arg-type]


def test_the_largest_pair_is_dealt_first_each_to_who_has_least():
    # 9 and 7 go first; 6 to the one with 7, 5 to the one with 9, 4 to the one with 13.
    assert dealt(apart([4, 9, 5, 7, 6]), 2) == [(1, 2), (3, 4, 0)]


def test_one_rank_has_the_update_as_it_is():
    assert dealt(apart([4, 9, 5]), 1, update=(2, 0, 1)) == [(2, 0, 1)]


def test_a_rank_may_have_nothing():
    assert dealt(apart([4, 9]), 4) == [(1,), (0,), (), ()]


def test_pairs_of_one_prompt_stand_together_where_that_leaves_room():
    # Together 10 + 10 − 4 = 16 of 40 tokens in all, a rank's part 20; the two others have 10 each.
    pairs = [Sized((1, 1, 1, 1), 10), Sized((2,), 10), Sized((1, 1, 1, 1), 10), Sized((3,), 10)]
    assert dealt(pairs, 2) == [(0, 2), (1, 3)]
    # A third of that prompt makes 22 of a part of 20: they are dealt one by one.
    assert sorted(map(len, dealt([*pairs[:3], Sized((1, 1, 1, 1), 10)], 2))) == [2, 2]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=30), st.integers(1, 6))
def test_every_pair_is_dealt_once_and_no_rank_has_much_more(sizes: list[int], ranks: int):
    shares = dealt(apart(sizes), ranks)
    assert len(shares) == ranks
    assert sorted(index for share in shares for index in share) == list(range(len(sizes)))
    loads = [sum(sizes[index] for index in share) for share in shares]
    assert max(loads) - min(loads) <= max(sizes)
