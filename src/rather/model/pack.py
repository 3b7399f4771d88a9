"""Lay token sequences out as trees: every distinct prefix once, and one integer a token for the whole mask.

A micro-batch is a row of trees, here one for each pair. Inside a tree the tokens stand in depth-first order and a
token's position id is its depth. Token q may attend to token k exactly when `k <= q < subtree_end[k]`: k is q itself
or one of its ancestors. An answer's last token is a target but never an input, since nothing is predicted from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sample:
    """A tokenised conversation: `tokens[:prompt_tokens]` is given, the rest is what an answer's log-probability sums over."""

    tokens: tuple[int, ...]
    prompt_tokens: int

    @property
    def completion_tokens(self) -> int:
        return len(self.tokens) - self.prompt_tokens


@dataclass(frozen=True)
class Packed:
    """A micro-batch of R samples in T packed tokens, with C completion tokens predicted at U distinct places.

    token_T, position_T      [T] input ids and position ids
    tree_bounds              (start, stop) of each tree in T
    subtree_end_T            [T] end of each token's subtree, counted from the start of its tree
    place_U                  [U] packed indices whose output is needed
    row_C, target_C, sample_C  [C] for each completion token: its row in U, the token to predict, its sample
    tokens_R                 [R] completion tokens of each sample
    """

    token_T: Tensor
    position_T: Tensor
    tree_bounds: tuple[tuple[int, int], ...]
    subtree_end_T: Tensor
    place_U: Tensor
    row_C: Tensor
    target_C: Tensor
    sample_C: Tensor
    tokens_R: Tensor

    def to(self, device: torch.device | str) -> Packed:
        return Packed(
            token_T=self.token_T.to(device),
            position_T=self.position_T.to(device),
            tree_bounds=self.tree_bounds,
            subtree_end_T=self.subtree_end_T.to(device),
            place_U=self.place_U.to(device),
            row_C=self.row_C.to(device),
            target_C=self.target_C.to(device),
            sample_C=self.sample_C.to(device),
            tokens_R=self.tokens_R.to(device),
        )


class _Layout:
    """Depth-first writer of the trees; lists grow, nothing is ever moved."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.positions: list[int] = []
        self.subtree_ends: list[int] = []
        self.bounds: list[tuple[int, int]] = []

    def add_tree(self, inputs: Sequence[Sequence[int]]) -> list[list[int]]:
        """Write the trie of `inputs`; return, for each input, the packed index of each of its tokens."""
        start = len(self.tokens)
        paths: list[list[int]] = [[] for _ in inputs]
        # (members, depth): members share their first `depth` tokens. A stack in place of recursion, since depth is
        # bounded only by the text; children are pushed in reverse so that the first answer is laid out first.
        stack: list[tuple[list[int], int]] = [(list(range(len(inputs))), 0)]
        opened: list[tuple[int, int]] = []
        while stack:
            members, depth = stack.pop()
            self._close(opened, depth, start)
            first = inputs[members[0]]
            shared = depth
            while all(len(inputs[m]) > shared and inputs[m][shared] == first[shared] for m in members):
                index = len(self.tokens)
                self.tokens.append(first[shared])
                self.positions.append(shared)
                self.subtree_ends.append(-1)
                opened.append((shared, index))
                for member in members:
                    paths[member].append(index)
                shared += 1
            children: dict[int, list[int]] = {}
            for member in members:
                if len(inputs[member]) > shared:
                    children.setdefault(inputs[member][shared], []).append(member)
            stack.extend((child, shared) for child in reversed(children.values()))
        self._close(opened, 0, start)
        self.bounds.append((start, len(self.tokens)))
        return paths

    def _close(self, opened: list[tuple[int, int]], depth: int, start: int) -> None:
        """End the subtrees of all open tokens at `depth` or deeper."""
        while opened and opened[-1][0] >= depth:
            self.subtree_ends[opened.pop()[1]] = len(self.tokens) - start


def pack(trees: Sequence[Sequence[Sample]]) -> Packed:
    """Pack the samples of each tree (for preference pairs: the two answers to one prompt) into one micro-batch.

    Samples are numbered in the order given, across trees. Raises ValueError for a sample without a prompt token or
    without a completion token: neither has a defined log-probability.
    """
    layout = _Layout()
    row_of_place: dict[int, int] = {}
    rows: list[int] = []
    targets: list[int] = []
    owners: list[int] = []
    counts: list[int] = []
    for tree in trees:
        for sample in tree:
            if not 1 <= sample.prompt_tokens < len(sample.tokens):
                raise ValueError("a sample needs at least one prompt token and one completion token")
        paths = layout.add_tree([sample.tokens[:-1] for sample in tree])
        for sample, path in zip(tree, paths, strict=True):
            for position in range(sample.prompt_tokens, len(sample.tokens)):
                rows.append(row_of_place.setdefault(path[position - 1], len(row_of_place)))
                targets.append(sample.tokens[position])
                owners.append(len(counts))
            counts.append(sample.completion_tokens)
    return Packed(
        token_T=torch.tensor(layout.tokens),
        position_T=torch.tensor(layout.positions),
        tree_bounds=tuple(layout.bounds),
        subtree_end_T=torch.tensor(layout.subtree_ends),
        place_U=torch.tensor(list(row_of_place)),
        row_C=torch.tensor(rows),
        target_C=torch.tensor(targets),
        sample_C=torch.tensor(owners),
        tokens_R=torch.tensor(counts),
    )
