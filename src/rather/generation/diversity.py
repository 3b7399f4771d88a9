"""How much the answers to one question differ: distinct n-grams, self-BLEU, duplicates."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# Words, and every Chinese, Japanese or Korean character for itself.
_WORD = re.compile(r"[⺀-⿟々〇ぁ-鿿가-힣ｦ-ﾟ]|[^\W_⺀-鿿가-힣ｦ-ﾟ]+")
_NEAR = 0.8  # share of common word trigrams from which two answers say nearly the same
_LOOK_BACK = 200
_ORDERS = (1, 2, 3)
_BLEU_ORDER = 4

Gram = tuple[str, ...]


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, in lower case."""
    return tuple(_WORD.findall(text.lower()))


@dataclass
class Diversity:
    """Figures over questions; each question with two answers or more counts the same.

    distinct     of order n: different n-grams ÷ n-grams, in all the answers to a question together (Li et al. 2016,
                 arXiv 1510.03055)
    self_bleu    mean BLEU of each answer against the others, 0 … 100 (Zhu et al. 2018, arXiv 1802.01886)
    exact, near  answers that repeat an earlier one to their question: word for word, or with 0.8 of the word trigrams of both
    """

    questions: int = 0
    answers: int = 0
    exact: int = 0
    near: int = 0
    _distinct: dict[int, list[float]] = field(default_factory=lambda: {order: [] for order in _ORDERS})
    _self_bleu: list[float] = field(default_factory=list)

    def add(self, texts: Sequence[str]) -> None:
        """The answers to one question, repeated ones as often as they were given."""
        self.answers += len(texts)
        if len(texts) < 2:
            return
        self.questions += 1
        words = [words_of(text) for text in texts]
        for order, found in self._distinct.items():
            if (share := distinct(words, order)) is not None:
                found.append(share)
        self._self_bleu.append(self_bleu(words))
        exact, near = duplicates(texts, words)
        self.exact += exact
        self.near += near

    def figures(self) -> dict[str, float | int | None]:
        """What is told; None where nothing could be measured."""
        return {
            "questions": self.questions,
            "answers": self.answers,
            **{f"distinct_{order}": _mean(found) for order, found in self._distinct.items()},
            "self_bleu": _mean(self._self_bleu),
            "exact_duplicates": self.exact,
            "near_duplicates": self.near,
        }


def distinct(answers: Sequence[Sequence[str]], order: int) -> float | None:
    """Share of n-grams that are different ones; None if there is no n-gram."""
    grams = [gram for words in answers for gram in _grams(words, order)]
    return len(set(grams)) / len(grams) if grams else None


def self_bleu(answers: Sequence[Sequence[str]]) -> float:
    """Mean BLEU of each answer against the others, 0 … 100. Its time grows with the words, not with the pairs of answers."""
    counts = [[Counter(_grams(words, order)) for order in range(1, _BLEU_ORDER + 1)] for words in answers]
    most = [_two_most([found[order] for found in counts]) for order in range(_BLEU_ORDER)]
    lengths = sorted(map(len, answers))
    scores = [
        _bleu(found, most, len(words), _closest(lengths, len(words)))
        for found, words in zip(counts, answers, strict=True)
    ]
    return sum(scores) / len(scores)


def _two_most(counts: Sequence[Counter[Gram]]) -> dict[Gram, tuple[int, int]]:
    """How often an answer has each n-gram at most, and how often the next one: what the others have beside any answer."""
    most: dict[Gram, tuple[int, int]] = {}
    for found in counts:
        for gram, count in found.items():
            first, second = most.get(gram, (0, 0))
            most[gram] = (count, first) if count > first else (first, max(second, count))
    return most


def _closest(lengths: list[int], own: int) -> int:
    """The length nearest to `own` among the others, of two the shorter. lengths: of all, sorted."""
    place = bisect_left(lengths, own)  # own stands here
    near = lengths[max(place - 1, 0) : place] + lengths[place + 1 : place + 2]
    return min(near, key=lambda other: (abs(other - own), other))


def _bleu(
    hypothesis: Sequence[Counter[Gram]], most: Sequence[Mapping[Gram, tuple[int, int]]], own: int, other: int
) -> float:
    """Sentence BLEU with effective order and exponential smoothing, as sacrebleu has it (Papineni et al. 2002; Chen and
    Cherry 2014, method 3). own, other: lengths of the hypothesis and of the closest reference.
    """
    logs: list[float] = []
    smooth = 1.0
    matched = False
    for found, references in zip(hypothesis, most, strict=True):
        total = sum(found.values())
        if total == 0:
            break
        common = 0
        for gram, count in found.items():
            first, second = references[gram]
            common += min(count, first if count < first else second)
        if common:
            matched = True
            logs.append(math.log(100 * common / total))
        else:
            smooth *= 2
            logs.append(math.log(100 / (smooth * total)))
    if not matched:
        return 0.0
    brevity = 1.0 if own >= other else math.exp(1 - other / own)
    return brevity * math.exp(sum(logs) / len(logs))


def duplicates(texts: Sequence[str], words: Sequence[Sequence[str]]) -> tuple[int, int]:
    """How many answers repeat an earlier one exactly, and how many others nearly repeat one of the 200 before them."""
    exact = near = 0
    seen: set[str] = set()
    kept: deque[frozenset[Gram]] = deque(maxlen=_LOOK_BACK)
    for text, found in zip(texts, words, strict=True):
        if text in seen:
            exact += 1
            continue
        seen.add(text)
        grams = frozenset(_grams(found, 3) or [tuple(found)])
        near += any(len(grams & other) >= _NEAR * len(grams | other) for other in kept)
        kept.append(grams)
    return exact, near


def _grams(words: Sequence[str], order: int) -> list[Gram]:
    return [tuple(words[start : start + order]) for start in range(len(words) - order + 1)]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
