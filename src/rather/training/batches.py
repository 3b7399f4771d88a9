"""Which pairs stand in which update, and how an update is cut into micro-batches."""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import overload

from rather.distributed.ranks import Ranks
from rather.model import TokenExample

Update = tuple[int, ...]
Cut = tuple[int, ...]


def updates_of_epoch(pairs: int, batch_pairs: int, *, epoch: int, seed: int, shuffle: bool) -> list[Update]:
    """Pair indices of each update of an epoch; the last may be short. Depends on nothing but the arguments."""
    order = _order(pairs, epoch=epoch, seed=seed, shuffle=shuffle)
    return [tuple(order[start : start + batch_pairs]) for start in range(0, pairs, batch_pairs)]


def _order(pairs: int, *, epoch: int, seed: int, shuffle: bool) -> array[int]:
    order = array("q", range(pairs))
    if shuffle:
        random.Random(f"{seed}/{epoch}").shuffle(order)
    return order


class Plan(Sequence[Update]):
    """The updates of a whole run, in order; of all epochs one is in memory, eight bytes a pair."""

    def __init__(self, pairs: int, batch_pairs: int, *, epochs: int, seed: int, shuffle: bool) -> None:
        self.per_epoch, self.epochs = -(-pairs // batch_pairs), epochs
        self._batch_pairs = batch_pairs
        self._order = lru_cache(maxsize=1)(lambda epoch: _order(pairs, epoch=epoch, seed=seed, shuffle=shuffle))

    def __len__(self) -> int:
        return self.per_epoch * self.epochs

    @overload
    def __getitem__(self, index: int) -> Update: ...
    @overload
    def __getitem__(self, index: slice) -> list[Update]: ...
    def __getitem__(self, index: int | slice) -> Update | list[Update]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"no update {index} of {len(self)}")
        epoch, place = divmod(index % len(self), self.per_epoch)
        start = place * self._batch_pairs
        return tuple(self._order(epoch)[start : start + self._batch_pairs])


def micro_batches(update: Update, token_pairs: Sequence[TokenExample], *, token_budget: int) -> list[Cut]:
    """Cut an update so that each part has at most `token_budget` packed tokens; a longer pair stands alone.

    Pairs that share a prompt stand together, and what they share is counted once. The order within an update and its
    cuts change nothing that is learned: the sum is divided once, by the pairs of the update.
    """
    cuts: list[Cut] = []
    current: list[int] = []
    used = 0
    for index in sorted(update, key=lambda index: token_pairs[index].samples[0].tokens):
        size = token_pairs[index].tokens
        new = size - (_shared(token_pairs[current[-1]], token_pairs[index]) if current else 0)
        if current and used + new > token_budget:
            cuts.append(tuple(current))
            current, used, new = [], 0, size
        current.append(index)
        used += new
    if current:
        cuts.append(tuple(current))
    return cuts


def deal(update: Update, token_pairs: Sequence[TokenExample], *, ranks: int) -> list[Update]:
    """The share of each rank: about as many tokens for each, pairs of one prompt together where that leaves room.

    The largest first, each to whoever has least (Graham 1969): no rank then has more than 4/3 of the least that is possible.
    In an update of few pairs a rank may have none. One rank has the update as it is.
    """
    if ranks == 1:
        return [update]
    shares: list[list[int]] = [[] for _ in range(ranks)]
    loads = [0] * ranks
    for pairs, tokens in sorted(_of_one_prompt(update, token_pairs, ranks), key=lambda unit: (-unit[1], unit[0])):
        least = loads.index(min(loads))
        shares[least] += pairs
        loads[least] += tokens
    return [tuple(share) for share in shares]


def own_cuts(update: Update, token_pairs: Sequence[TokenExample], *, ranks: Ranks, token_budget: int) -> list[Cut]:
    """The micro-batches of this rank's share. Where every rank must compute as often as the others, empty ones fill it up."""
    each = cuts_of_ranks(update, token_pairs, ranks=ranks, token_budget=token_budget)
    most = max(map(len, each)) if ranks.sharded else 0
    return each[ranks.rank] + [()] * (most - len(each[ranks.rank]))


def cuts_of_ranks(
    update: Update, token_pairs: Sequence[TokenExample], *, ranks: Ranks, token_budget: int
) -> list[list[Cut]]:
    """The micro-batches of every rank."""
    shares = deal(update, token_pairs, ranks=ranks.size)
    return [micro_batches(share, token_pairs, token_budget=token_budget) for share in shares]


def _of_one_prompt(
    update: Update, token_pairs: Sequence[TokenExample], ranks: int
) -> Iterator[tuple[tuple[int, ...], int]]:
    """Pairs with their tokens, those of one prompt together, unless together they are more than a rank's part."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index in update:
        first = token_pairs[index].samples[0]
        groups.setdefault(first.tokens[: first.prompt_tokens], []).append(index)
    part = sum(token_pairs[index].tokens for index in update) / ranks
    for prompt, group in groups.items():
        together = sum(token_pairs[index].tokens for index in group) - (len(group) - 1) * len(prompt)
        if together <= part:
            yield tuple(group), together
        else:
            yield from (((index,), token_pairs[index].tokens) for index in group)


def _shared(before: TokenExample, after: TokenExample) -> int:
    """Tokens that two pairs begin with in common, up to the end of the shorter prompt."""
    ours, theirs = before.samples[0], after.samples[0]
    most = min(ours.prompt_tokens, theirs.prompt_tokens)
    return next((place for place in range(most) if ours.tokens[place] != theirs.tokens[place]), most)
