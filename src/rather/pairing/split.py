"""Which prompts are held out: drawn by hash, with prompts that are nearly the same on one side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rather.records import Prompt
from rather.stats.nearby import near_duplicates
from rather.stats.votes import Bools


def held_out(prompts: Sequence[str], lots: np.ndarray, share: float) -> tuple[Bools, int]:
    """True for each prompt that is held out, and how many prompts are near another one.

    lots: 64-bit numbers drawn for the prompts by content and seed. Of prompts that are near each other the smallest counts
    for all, so that the side depends on what they are and not on their order.
    """
    if share == 0 or not prompts:
        return np.zeros(len(prompts), bool), 0
    near = near_duplicates(prompts)
    # Of the smallest of k draws the share below x is 1 − (1 − x)^k: drawn anew, it is x again.
    smallest = np.full(near.max() + 1, 2**64 - 1, np.uint64)
    np.minimum.at(smallest, near, lots)
    with np.errstate(over="ignore"):
        drawn = (smallest ^ (smallest >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    drawn ^= drawn >> np.uint64(33)
    sizes = np.bincount(near)
    return (drawn.astype(np.float64) / 2.0**64 < share)[near], int(sizes[sizes > 1].sum())


def text_of(prompt: Prompt) -> str:
    """A prompt as one text."""
    return prompt if isinstance(prompt, str) else "\n".join(message.content for message in prompt)
