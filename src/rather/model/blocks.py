"""Cut a packed forest into blocks of queries, so that attention computes few scores that the mask throws away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

# What a block costs beside its scores, in scores: a handful of small operations, forward and backward. Measured: on
# identity pairs (trees of ~90 tokens) and on HH transcripts the time is flat between a quarter and four times of it.
OVERHEAD = 4096

# Queries of one block within a run of tokens without branches: the upper triangle that is computed in vain stays small.
ROWS = 256


class Segment(NamedTuple):
    """A run of packed tokens without a branch, behind the segment `parent` (-1 for none)."""

    start: int
    stop: int
    parent: int


@dataclass(frozen=True)
class Block:
    """Queries [start, stop); their keys are the tokens of the `before` ranges, all visible, then [start, stop) itself.

    chain: within the block every token sees all before it, as in a plain sequence.
    """

    start: int
    stop: int
    before: tuple[tuple[int, int], ...]
    chain: bool


def plan_blocks(segments: Sequence[Segment]) -> tuple[Block, ...]:
    """Blocks for a forest in depth-first order, with about the fewest scores and operations.

    A subtree is either one block, masked inside, or its first segment and then each branch for itself, whichever
    costs less. Segments come parents first.
    """
    children: list[list[int]] = [[] for _ in segments]
    ends = [segment.stop for segment in segments]
    above = [0] * len(segments)
    for number, segment in enumerate(segments):
        if segment.parent >= 0:
            parent = segments[segment.parent]
            children[segment.parent].append(number)
            above[number] = above[segment.parent] + parent.stop - parent.start
    for number in reversed(range(len(segments))):  # children before parents: a tree of any depth without recursion
        ends[number] = max([ends[number], *(ends[child] for child in children[number])])
    best = [0] * len(segments)
    whole = [False] * len(segments)
    for number in reversed(range(len(segments))):
        segment = segments[number]
        size = ends[number] - segment.start
        dense = size * (above[number] + size) + OVERHEAD
        parted = _rows_cost(segment.stop - segment.start, above[number]) + sum(best[c] for c in children[number])
        best[number], whole[number] = min(dense, parted), dense <= parted
    blocks: list[Block] = []
    before: list[tuple[tuple[int, int], ...]] = [()] * len(segments)
    inside_until = 0
    for number, segment in enumerate(segments):
        if segment.start < inside_until:
            continue  # its block is written
        if segment.parent >= 0:
            parent = segments[segment.parent]
            before[number] = _joined(before[segment.parent], parent.start, parent.stop)
        if whole[number]:
            blocks.append(Block(segment.start, ends[number], before[number], chain=not children[number]))
            inside_until = ends[number]
            continue
        seen = before[number]
        for start in range(segment.start, segment.stop, ROWS):
            stop = min(start + ROWS, segment.stop)
            blocks.append(Block(start, stop, seen, chain=True))
            seen = _joined(seen, start, stop)
    return tuple(blocks)


def _rows_cost(length: int, above: int) -> int:
    """Cost of a run of `length` tokens behind `above` others, cut into blocks of ROWS."""
    full, rest = divmod(length, ROWS)
    sizes = [ROWS] * full + ([rest] if rest else [])
    return sum(size * (above + ROWS * number + size) + OVERHEAD for number, size in enumerate(sizes))


def _joined(ranges: tuple[tuple[int, int], ...], start: int, stop: int) -> tuple[tuple[int, int], ...]:
    """The ranges and one more behind them, as one range where they touch."""
    if ranges and ranges[-1][1] == start:
        return (*ranges[:-1], (ranges[-1][0], stop))
    return (*ranges, (start, stop))
