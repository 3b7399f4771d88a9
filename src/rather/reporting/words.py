"""How the page speaks of what was trained on (pairs, ranked lists, single answers, the pairs of a reward model) or of judgments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rather.records import NOUNS


@dataclass(frozen=True)
class Words:
    """many: what several examples are called; one: what a loss is counted by; better, worse: the sides that are told apart.

    right: what the accuracy is a share of. reward: what an answer's reward is, with its unit.
    """

    many: str
    one: str
    better: str
    worse: str
    right: str
    reward: str = "implicit reward, nats"

    @property
    def told_apart(self) -> str:
        return f"Does it tell {self.better} from {self.worse}?"

    @property
    def stays_likely(self) -> str:
        return f"Do the {self.better} answers stay likely?"

    @property
    def fall(self) -> str:
        return f"How far do the {self.worse} answers fall?"


_WORDS = {
    "pair": Words(NOUNS["pair"], "pair", "chosen", "rejected", "share of pairs won"),
    "list": Words(NOUNS["list"], "list", "best", "last", "share of a list's pairs in order"),
    "sample": Words(NOUNS["sample"], "answer", "good", "bad", "share with the right sign"),
    "judgment": Words("judgments", "judgment", "named", "other", "share of votes that agree"),
    "score": Words(NOUNS["pair"], "pair", "chosen", "rejected", "share of pairs won", "score"),
}


def words_of(kind: str) -> Words:
    """The words for records of a kind."""
    return _WORDS[kind]


def words_for(audit: Mapping[str, Any], manifest: Mapping[str, Any]) -> Words:
    """The words for a run: its audit knows the kind of its records, its manifest whether it trained a reward model."""
    if manifest.get("config", {}).get("objective") == "reward":
        return _WORDS["score"]
    return _WORDS[audit.get("kind", "pair")]
