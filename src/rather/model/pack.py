"""Lay token sequences out as a forest: every distinct prefix once, and one integer a token for the whole mask.

All samples of a micro-batch share their common prefixes: a system prompt between prompts, a prompt between its answers, the
common start of two answers. The tokens stand in depth-first order and a token's position id is its depth. Token q may
attend to token k exactly when `k <= q < subtree_end[k]`: k is q itself or one of its ancestors. An answer's last token is
a target but never an input, since nothing is predicted from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from rather.model.blocks import Block, Segment, plan_blocks


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
    subtree_end_T            [T] end of each token's subtree
    blocks                   the queries in parts, each with the keys that it may see, for attention without wasted products
    place_U                  [U] packed indices whose output is needed
    row_C, target_C, sample_C  [C] for each completion token: its row in U, the token to predict, its sample
    tokens_R                 [R] completion tokens of each sample
    """

    token_T: Tensor
    position_T: Tensor
    subtree_end_T: Tensor
    blocks: tuple[Block, ...]
    place_U: Tensor
    row_C: Tensor
    target_C: Tensor
    sample_C: Tensor
    tokens_R: Tensor

    def to(self, device: torch.device | str) -> Packed:
        tensors = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **tensors)


@dataclass
class _Layout:
    """Depth-first writer of the forest; lists grow, nothing is ever moved."""

    tokens: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    subtree_ends: list[int] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)

    def write(self, inputs: Sequence[Sequence[int]]) -> list[list[int]]:
        """Write the tries of `inputs`; return, for each input, the packed index of each of its tokens."""
        paths: list[list[int]] = [[] for _ in inputs]
        # (members, depth, parent): members share their first `depth` tokens. A stack in place of recursion, since depth is
        # bounded only by the text; children are pushed in reverse so that the first answer is laid out first.
        stack = self._branches(inputs, range(len(inputs)), 0, parent=-1)
        opened: list[tuple[int, int]] = []
        while stack:
            members, depth, parent = stack.pop()
            self._close(opened, depth)
            start = len(self.tokens)
            stop = depth + _shared(inputs, members, depth)
            for position in range(depth, stop):
                opened.append((position, len(self.tokens)))
                self.tokens.append(inputs[members[0]][position])
                self.positions.append(position)
                self.subtree_ends.append(-1)
            for member in members:
                paths[member].extend(range(start, len(self.tokens)))
            self.segments.append(Segment(start, len(self.tokens), parent))
            stack += self._branches(inputs, members, stop, parent=len(self.segments) - 1)
        self._close(opened, 0)
        return paths

    @staticmethod
    def _branches(
        inputs: Sequence[Sequence[int]], members: Sequence[int], depth: int, *, parent: int
    ) -> list[tuple[list[int], int, int]]:
        """The members that go on behind `depth`, parted by their next token, the last first."""
        children: dict[int, list[int]] = {}
        for member in members:
            if len(inputs[member]) > depth:
                children.setdefault(inputs[member][depth], []).append(member)
        return [(child, depth, parent) for child in reversed(children.values())]

    def _close(self, opened: list[tuple[int, int]], depth: int) -> None:
        """End the subtrees of all open tokens at `depth` or deeper."""
        while opened and opened[-1][0] >= depth:
            self.subtree_ends[opened.pop()[1]] = len(self.tokens)


def _shared(inputs: Sequence[Sequence[int]], members: Sequence[int], depth: int) -> int:
    """How many tokens behind `depth` all members have in common."""
    first = inputs[members[0]]
    shared = min(len(inputs[member]) for member in members) - depth
    for member in members[1:]:
        other = inputs[member]
        shared = next((k for k in range(shared) if other[depth + k] != first[depth + k]), shared)
    return shared


def pack(samples: Sequence[Sample]) -> Packed:
    """Pack samples into one micro-batch; they are numbered in the order given.

    Raises ValueError for a sample without a prompt token or without a completion token: neither has a defined
    log-probability.
    """
    for sample in samples:
        if not 1 <= sample.prompt_tokens < len(sample.tokens):
            raise ValueError("a sample needs at least one prompt token and one completion token")
    layout = _Layout()
    paths = layout.write([sample.tokens[:-1] for sample in samples])
    row_of_place: dict[int, int] = {}
    rows: list[int] = []
    targets: list[int] = []
    owners: list[int] = []
    for number, (sample, path) in enumerate(zip(samples, paths, strict=True)):
        places = path[sample.prompt_tokens - 1 :]
        rows += [row_of_place.setdefault(place, len(row_of_place)) for place in places]
        targets += sample.tokens[sample.prompt_tokens :]
        owners += [number] * len(places)
    position_T, subtree_end_T = torch.tensor(layout.positions), torch.tensor(layout.subtree_ends)
    return Packed(
        token_T=torch.tensor(layout.tokens),
        position_T=position_T,
        subtree_end_T=subtree_end_T,
        blocks=plan_blocks(layout.segments),
        place_U=torch.tensor(list(row_of_place)),
        row_C=torch.tensor(rows),
        target_C=torch.tensor(targets),
        sample_C=torch.tensor(owners),
        tokens_R=torch.tensor([sample.completion_tokens for sample in samples]),
    )
