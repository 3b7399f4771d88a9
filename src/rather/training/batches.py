"""Which pairs stand in which update, and how an update is cut into micro-batches."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from rather.model import TokenExample

Update = tuple[int, ...]
Cut = tuple[int, ...]


def updates_of_epoch(pairs: int, batch_pairs: int, *, epoch: int, seed: int, shuffle: bool) -> list[Update]:
    """Pair indices of each update of an epoch; the last may be short. Depends on nothing but the arguments."""
    order = list(range(pairs))
    if shuffle:
        random.Random(f"{seed}/{epoch}").shuffle(order)
    return [tuple(order[start : start + batch_pairs]) for start in range(0, pairs, batch_pairs)]


def all_updates(pairs: int, batch_pairs: int, *, epochs: int, seed: int, shuffle: bool) -> Iterator[Update]:
    """The updates of a whole run, in order."""
    for epoch in range(epochs):
        yield from updates_of_epoch(pairs, batch_pairs, epoch=epoch, seed=seed, shuffle=shuffle)


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


def _shared(before: TokenExample, after: TokenExample) -> int:
    """Tokens that two pairs begin with in common, up to the end of the shorter prompt."""
    ours, theirs = before.samples[0], after.samples[0]
    most = min(ours.prompt_tokens, theirs.prompt_tokens)
    return next((place for place in range(most) if ours.tokens[place] != theirs.tokens[place]), most)
