"""Judgments as columns: a million of them in the memory of numbers, whatever their texts weigh.

Prompts and answers are known by their content (128-bit BLAKE2b), judges and models by name. Numbers are given in the order of
arrival; `evidence.py` renumbers everything by content, so that nothing depends on the order of files or rows.
"""

from __future__ import annotations

import json
from array import array
from collections import Counter
from hashlib import blake2b
from pathlib import Path
from typing import Any

from rather.errors import InputError
from rather.pairing.texts import Texts
from rather.records import Comparison, Event, Judgment, Message, Prompt, Ranking, Rating
from rather.stats.votes import FIRST, SECOND, TIE

OUTCOMES = {"a": FIRST, "b": SECOND, "tie": TIE, "both_bad": TIE}
DIGEST = 16


class Names:
    """Names by number."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self.names: list[Any] = []

    def __call__(self, name: Any) -> int:
        number = self._numbers.setdefault(name, len(self.names))
        if number == len(self.names):
            self.names.append(name)
        return number

    def __len__(self) -> int:
        return len(self.names)


class Ledger:
    """What was judged, by whom, and what was said."""

    def __init__(self, folder: Path, *, aspect: str | None = None) -> None:
        self.texts, self.aspect = Texts(folder), aspect
        self.judges, self.models, self.scales, self.aspects = Names(), Names(), Names(), Names()
        self.kinds: Counter[str] = Counter()
        self.passed: Counter[str] = Counter()
        self.tags: dict[int, dict[str, str | None]] = {}
        self._prompts: dict[bytes, int] = {}
        self._answers: dict[bytes, int] = {}
        self.prompt_digests, self.answer_digests = bytearray(), bytearray()
        self.prompt_texts, self.answer_texts = array("q"), array("q")
        self.answer_prompts, self.answer_models = array("q"), array("q")
        self.empty: list[int] = []  # answers that say nothing
        self.shared: set[int] = set()  # answers that several models gave
        self._last: tuple[bytes, int] = b"", -1
        # One row a comparison, a place in a ranking, a rating.
        self.compared = tuple(map(array, "qqqqdqq"))  # first, second, outcome, judge, weight, both bad, sided
        self.ranked = tuple(array(code) for code in "qqdqdq")  # ranking, answer, score, judge, weight, sided
        self.rated = tuple(array(code) for code in "qdqqqd")  # answer, score, judge, aspect, scale, weight
        self._rankings = 0

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *exception: object) -> None:
        self.texts.close()

    def add(self, judgment: Judgment) -> None:
        """Take a judgment. Raises InputError for an event, which alone compares nothing."""
        if isinstance(judgment, Event):
            raise InputError(
                f"{judgment.source or 'a judgment'}: is an event; make comparisons of events first (`rather judge`, behaviour)"
            )
        if not self.takes(judgment.aspect):
            return
        prompt = self.prompt(key_of(judgment.prompt), judgment.tags)
        models = judgment.models or (None,) * len(judgment.answers)
        answers = [
            self.answer(prompt, text.encode(), model) for text, model in zip(judgment.answers, models, strict=True)
        ]
        weight = 1.0 if judgment.confidence is None else judgment.confidence
        match judgment:
            case Comparison():
                verdict, confidence, sided = judgment.verdict, judgment.confidence, judgment.sided
                self.compare(answers[0], answers[1], verdict, judgment.judge, confidence, sided=sided)
            case Ranking():
                self._rank(answers, judgment, weight)
            case Rating():
                self.rate(answers[0], judgment.score, judgment.judge, judgment.aspect, judgment.scale, weight)

    def takes(self, aspect: str | None) -> bool:
        """True if judgments of this aspect are asked for; counts those that are not."""
        self.aspects(aspect)
        if self.aspect is None or aspect == self.aspect:
            return True
        self.passed["of another aspect"] += 1
        return False

    def prompt(self, key: bytes, tags: dict[str, str]) -> int:
        """A prompt's number. Its tags are those that no judgment contradicts."""
        if key == self._last[0]:
            number = self._last[1]
        else:
            digest = blake2b(key, digest_size=DIGEST).digest()
            number = self._prompts.setdefault(digest, len(self._prompts))
            if number == len(self.prompt_texts):
                self.prompt_texts.append(self.texts.add(key))
                self.prompt_digests += digest
            self._last = key, number
        if tags:
            known = self.tags.setdefault(number, {})
            for name, value in tags.items():
                if known.setdefault(name, value) != value:
                    known[name] = None
        return number

    def answer(self, prompt: int, text: bytes, model: str | None) -> int:
        """An answer's number: one text to one prompt, whoever wrote it."""
        start = prompt * DIGEST
        digest = blake2b(self.prompt_digests[start : start + DIGEST] + text, digest_size=DIGEST).digest()
        number = self._answers.setdefault(digest, len(self._answers))
        if number == len(self.answer_texts):
            self.answer_texts.append(self.texts.add(text))
            self.answer_digests += digest
            self.answer_prompts.append(prompt)
            self.answer_models.append(-1)
            if not text.decode().strip():
                self.empty.append(number)
        if model is not None:
            self._wrote(number, model)
        return number

    def compare(
        self, first: int, second: int, verdict: str, judge: str, confidence: float | None, *, sided: bool
    ) -> None:
        """A comparison. With a confidence c it is c of a vote, and where it names an answer, 1 − c of the opposite vote.

        sided: the judge saw the two in this order.
        """
        self.kinds["comparison"] += 1
        outcome, number = OUTCOMES[verdict], self.judges(judge)
        weight = 1.0 if confidence is None else confidence
        _append(self.compared, first, second, outcome, number, weight, verdict == "both_bad", sided)
        if confidence is not None and confidence < 1 and outcome != TIE:
            _append(self.compared, first, second, SECOND - outcome, number, 1 - confidence, False, sided)

    def rate(
        self,
        answer: int,
        score: float,
        judge: str,
        aspect: str | None,
        scale: tuple[float, float] | None,
        weight: float = 1.0,
    ) -> None:
        """A rating."""
        self.kinds["rating"] += 1
        _append(self.rated, answer, score, self.judges(judge), self.aspects(aspect), self.scales(scale), weight)

    def _rank(self, answers: list[int], judgment: Ranking, weight: float) -> None:
        self.kinds["ranking"] += 1
        number = self.judges(judgment.judge)
        for answer, rank in zip(answers, judgment.ranks, strict=True):
            if rank is not None:
                _append(self.ranked, self._rankings, answer, -rank, number, weight, judgment.sided)
        self._rankings += 1

    def _wrote(self, answer: int, model: str) -> None:
        number, known = self.models(model), self.answer_models[answer]
        if known < 0:
            self.answer_models[answer] = number
        elif known != number:
            self.shared.add(answer)

    def tags_of(self, prompt: int) -> dict[str, str]:
        return {name: value for name, value in sorted(self.tags.get(prompt, {}).items()) if value is not None}


def key_of(prompt: Prompt) -> bytes:
    """A prompt as bytes: text behind "t", turns as JSON behind "j"."""
    if isinstance(prompt, str):
        return b"t" + prompt.encode()
    return turns_key([[message.role, message.content] for message in prompt])


def turns_key(turns: list[list[str]]) -> bytes:
    """The key of a conversation, as pairs of role and content."""
    return b"j" + json.dumps(turns, ensure_ascii=False, separators=(",", ":")).encode()


def prompt_of(key: bytes) -> Prompt:
    """The prompt of a key."""
    if key[:1] == b"t":
        return key[1:].decode()
    return tuple(Message(role=role, content=content) for role, content in json.loads(key[1:]))


def _append(columns: tuple[array, ...], *row: Any) -> None:
    for column, value in zip(columns, row, strict=True):
        column.append(value)
