"""What a planted defect is, and ways to plant one: changes of so large a share of the pairs."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rather.auditing import AuditInput
from rather.records import Example, Pair, Prompt

Plant = Callable[[list[Pair], float, random.Random], Sequence[Example] | AuditInput]
Change = Callable[[list[Pair], float, random.Random], list[Pair]]


@dataclass(frozen=True)
class Defect:
    """What is planted, which check must say so, and in what share of the pairs (weak, medium, strong).

    names: a text that the finding's message must hold, so that it is found for the right reason.
    """

    plant: Plant
    check: str
    shares: tuple[float, float, float] = (0.05, 0.3, 0.6)
    names: str = ""


def both(change: Callable[[Pair, random.Random, Sequence[Pair]], dict[str, Any]]) -> Change:
    """Plants by changing so large a share of the pairs."""

    def plant(pairs: list[Pair], share: float, draw: random.Random) -> list[Pair]:
        hit = set(draw.sample(range(len(pairs)), round(share * len(pairs))))
        return [
            pair.model_copy(update=change(pair, draw, pairs)) if number in hit else pair
            for number, pair in enumerate(pairs)
        ]

    return plant


def chosen(change: Callable[[str, random.Random], str]) -> Change:
    return both(lambda pair, draw, _: {"chosen": change(pair.chosen, draw)})


def rejected(change: Callable[[str, random.Random], str]) -> Change:
    return both(lambda pair, draw, _: {"rejected": change(pair.rejected, draw)})


def sentences(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.!?])\s+", text) if part]


def before(*openings: str) -> Callable[[str, random.Random], str]:
    return lambda text, draw: f"{draw.choice(openings)} {text}"


def behind(*endings: str) -> Callable[[str, random.Random], str]:
    return lambda text, draw: f"{text} {draw.choice(endings)}"


def amid(word: str) -> Callable[[str, random.Random], str]:
    """The word somewhere between two others."""

    def change(text: str, draw: random.Random) -> str:
        words = text.split(" ")
        words.insert(draw.randint(0, len(words)), word)
        return " ".join(words)

    return change


def asked(prompt: Prompt, change: Callable[[str], str]) -> Prompt:
    """The prompt with another last turn."""
    if isinstance(prompt, str):
        return change(prompt)
    return (*prompt[:-1], prompt[-1].model_copy(update={"content": change(prompt[-1].content)}))
