"""Defects that appear once pairs are tokenised: here a word is a token, and a conversation has so many at most."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from zlib import crc32

from benchmarks.planting import Defect, Plant, asked, both
from rather.auditing import AuditInput
from rather.records import Message, Pair

AT_MOST = 1024
END = 1


@dataclass(frozen=True)
class Sample:
    """A prompt with one answer."""

    tokens: tuple[int, ...]
    prompt_tokens: int


@dataclass(frozen=True)
class Tokens:
    """A pair as a model would see it, cut at `AT_MOST`; the prompt leaves room for one token of the answers at least."""

    pair: Pair

    @cached_property
    def _whole(self) -> tuple[tuple[int, list[int]], ...]:
        prompt = self.pair.prompt
        turns = [Message(role="user", content=prompt)] if isinstance(prompt, str) else prompt
        given = [token for turn in turns for token in _words(turn.content)][: AT_MOST - 1]
        return tuple((len(given), [*given, *_words(text), END]) for text in self.pair.answers)

    @property
    def samples(self) -> tuple[Sample, ...]:
        return tuple(Sample(tuple(tokens[:AT_MOST]), given) for given, tokens in self._whole)

    @property
    def chosen_truncated(self) -> bool:
        return len(self._whole[0][1]) > AT_MOST

    @property
    def rejected_truncated(self) -> bool:
        return len(self._whole[1][1]) > AT_MOST

    @property
    def same_tokens(self) -> bool:
        return self.samples[0].tokens == self.samples[1].tokens


def tokenised(pairs: Sequence[Pair]) -> list[Tokens]:
    return [Tokens(pair) for pair in pairs]


def _words(text: str) -> list[int]:
    return [crc32(word.encode()) for word in re.findall(r"\w+|[^\w\s]", text)]


def _seen(plant: Plant) -> Plant:
    """What a plant made, tokenised."""

    def plant_tokens(pairs: list[Pair], share: float, draw: random.Random) -> AuditInput:
        planted = plant(pairs, share, draw)
        assert not isinstance(planted, AuditInput)
        kept = [pair for pair in planted if isinstance(pair, Pair)]
        return AuditInput(records=kept, tokenised=tokenised(kept))

    return plant_tokens


def _filled(pairs: Sequence[Pair], draw: random.Random) -> str:
    """Text that no conversation has room for."""
    words: list[str] = []
    while len(words) <= AT_MOST:
        words += draw.choice(pairs).chosen.split()
    return " ".join(words)


def _long(side: str) -> Plant:
    return _seen(both(lambda pair, draw, pairs: {side: _filled(pairs, draw)}))


def _differ_late(pair: Pair, draw: random.Random, pairs: Sequence[Pair]) -> dict[str, str]:
    filled = _filled(pairs, draw)
    return {"chosen": f"{filled} {pair.chosen}", "rejected": f"{filled} {pair.rejected} no"}


def _alike(part: Callable[[list[str], random.Random], list[str]]) -> Plant:
    """Rejected is a long chosen answer with some words changed."""

    def change(pair: Pair, draw: random.Random, pairs: Sequence[Pair]) -> dict[str, str]:
        words = f"{pair.chosen} {' '.join(draw.choice(pairs).chosen.split() * 3)}".split()[:60]
        return {"chosen": " ".join(words), "rejected": " ".join(part(words, draw))}

    return _seen(both(change))


def _end_changed(words: list[str], draw: random.Random) -> list[str]:
    cut = round(0.7 * len(words))
    return [*words[:cut], *(f"{word}ly" for word in words[cut:])]


def _word_changed(words: list[str], draw: random.Random) -> list[str]:
    place = draw.randrange(len(words))
    return [*words[:place], "otherwise", *words[place + 1 :]]


TOKENS: dict[str, Defect] = {
    "chosen cut": Defect(_long("chosen"), "cut_unevenly", (0.005, 0.04, 0.3)),
    "rejected cut": Defect(_long("rejected"), "cut_unevenly", (0.005, 0.04, 0.3), "only rejected"),
    "no end of turn": Defect(_long("chosen"), "missing_end_of_turn", (0.01, 0.06, 0.5), "a chosen answer"),
    "the same once cut": Defect(_seen(both(_differ_late)), "identical_after_truncation", (0.001, 0.01, 0.1)),
    "prompt fills the window": Defect(
        _seen(both(lambda pair, draw, pairs: {"prompt": asked(pair.prompt, lambda text: _filled(pairs, draw))})),
        "nothing_to_learn",
        (0.001, 0.01, 0.1),
    ),
    "answers begin alike": Defect(_alike(_end_changed), "shared_beginning", (0.1, 0.35, 0.7)),
    "answers nearly equal": Defect(_alike(_word_changed), "displacement_risk", (0.1, 0.35, 0.7)),
}
