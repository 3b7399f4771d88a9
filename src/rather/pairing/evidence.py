"""A ledger, renumbered by content: the same judgments give the same numbers, in whatever order they were read.

Answers are numbered by prompt and text (by their digests), so that those of one prompt stand together; judges and models by
name. Shapes: `A` answers, `Q` prompts, `J` judges, `V` votes, `S` scores.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rather.pairing.ledger import DIGEST, Ledger
from rather.stats.votes import TIE, Bools, Floats, Ints, Votes, votes_of_scores

Words = np.ndarray
"""64-bit words of digests."""


@dataclass(frozen=True)
class Scores:
    """Scores given to answers [S]; within a group (one judge at one prompt) they are on one scale.

    sided  True where a group's rows stand in the order in which its judge saw the answers
    """

    group: Ints
    item: Ints
    score: Floats
    judge: Ints
    weight: Floats
    scale: Ints
    sided: Bools


class Evidence:
    """What all judgments together say, as numbers."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        prompts, answers = _words(ledger.prompt_digests), _words(ledger.answer_digests)
        self.prompt_order = np.lexsort((prompts[:, 1], prompts[:, 0]))  # canonical → as it arrived
        prompt_rank = _inverse(self.prompt_order)
        prompt_of = prompt_rank[_column(ledger.answer_prompts)]
        self.answer_order = np.lexsort((answers[:, 1], answers[:, 0], prompt_of))
        self._answer_rank = _inverse(self.answer_order)
        self.prompt_A = prompt_of[self.answer_order]
        self.prompt_words, self.answer_words = prompts[self.prompt_order], answers[self.answer_order]
        self.judges, self._judge_rank = _by_name(ledger.judges.names)
        self.models, model_rank = _by_name(ledger.models.names)
        model_A = np.append(model_rank, -1)[_column(ledger.answer_models)][self.answer_order]
        self.empty_A = self._marked(ledger.empty)
        self.writer_A = np.where(self._marked(ledger.shared), -1, model_A)  # of an answer that one model alone gave
        self.kinds, self.scales = dict(ledger.kinds), ledger.scales.names

    @property
    def answers(self) -> int:
        return len(self.prompt_A)

    @property
    def prompts(self) -> int:
        return len(self.prompt_order)

    @cached_property
    def compared(self) -> Votes:
        """Votes that were given as comparisons, in the order shown."""
        first, second, outcome, judge, weight, _, sided = (_column(column) for column in self.ledger.compared)
        rank, judge = self._answer_rank, self._judge_rank[judge]
        return Votes(rank[first], rank[second], outcome, judge, weight, sided > 0, self.answers, len(self.judges))

    @cached_property
    def ratings(self) -> Scores:
        """Ratings; what a judge said several times of one answer and aspect is one rating, its mean."""
        columns: tuple[Any, ...] = tuple(_column(column) for column in self.ledger.rated)
        item, score, judge, aspect, scale, weight = columns
        item, judge = self._answer_rank[item], self._judge_rank[judge]
        voice = judge * max(len(self.ledger.aspects), 1) + aspect
        voices = int(voice.max(initial=-1)) + 1
        order = np.lexsort((weight, score, voice, item))
        item, score, judge, voice, weight, scale = (c[order] for c in (item, score, judge, voice, weight, scale))
        new = np.r_[True, (item[1:] != item[:-1]) | (voice[1:] != voice[:-1])] if len(item) else np.zeros(0, bool)
        if not new.all():
            one = np.cumsum(new) - 1
            weights = np.bincount(one, weight)
            score = np.bincount(one, score * weight) / np.where(weights > 0, weights, 1)
            item, judge, voice, scale = item[new], judge[new], voice[new], scale[new]
            weight = weights
        group = np.unique(self.prompt_A[item] * voices + voice, return_inverse=True)[1]
        score, weight = np.asarray(score, np.float64), np.asarray(weight, np.float64)
        return Scores(group, item, score, judge, weight, scale, np.zeros(len(item), bool))

    @cached_property
    def rankings(self) -> Scores:
        """Places in rankings, as scores; rows of one ranking in the order shown."""
        group, item, score, judge, weight, sided = (_column(column) for column in self.ledger.ranked)
        item, judge = self._answer_rank[item], self._judge_rank[judge]
        return Scores(group, item, score, judge, weight, np.zeros(len(group), np.int64), sided > 0)

    @cached_property
    def votes(self) -> Votes:
        """Everything as comparisons of two answers."""
        return Votes.joined([self.side_by_side, self._as_votes(self.ratings)])

    @cached_property
    def side_by_side(self) -> Votes:
        """What was said of answers that were shown together: comparisons and rankings."""
        return Votes.joined([self.compared, self._as_votes(self.rankings)])

    @cached_property
    def lists(self) -> Scores:
        """Everything as rankings: a judge's ratings of a prompt rank its answers, a comparison ranks two."""
        compared, ranked, rated = self.compared, self.rankings, self.ratings
        count = len(compared)
        turn = np.stack([1 - compared.outcome, compared.outcome - 1], axis=1).ravel().astype(np.float64)
        pairs = Scores(
            np.repeat(np.arange(count), 2), np.stack([compared.first, compared.second], axis=1).ravel(), turn,
            np.repeat(compared.judge, 2), np.repeat(compared.weight, 2), np.zeros(2 * count, np.int64),
            np.repeat(compared.sided, 2),
        )  # fmt: skip
        parts, group, past = (pairs, ranked, rated), [], 0
        for part in parts:
            group.append(part.group + past)
            past += int(part.group.max(initial=-1)) + 1
        rest = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("item", "score", "judge", "weight", "scale", "sided")
        }
        return Scores(np.concatenate(group), **rest)

    @cached_property
    def bad_A(self) -> Bools:
        """True of answers in most of whose ties both answers were called bad."""
        first, second, outcome, _, weight, both_bad, _ = (_column(column) for column in self.ledger.compared)
        tied = outcome == TIE
        weight = np.where(tied, np.where(both_bad == 1, 1.0, -1.0) * weight, 0.0)
        surplus = np.bincount(first, weight, self.answers) + np.bincount(second, weight, self.answers)
        return surplus[self.answer_order] > 0

    def lots(self, seed: int) -> tuple[Words, Words]:
        """A number drawn for each prompt and each answer, by content and seed alone."""
        return _mixed(self.prompt_words[:, 0], seed), _mixed(self.answer_words[:, 0], seed)

    def _marked(self, answers: Iterable[int]) -> Bools:
        """True of these answers, by their numbers in the ledger [A]."""
        marked = np.zeros(self.answers, bool)
        marked[self._answer_rank[list(answers)]] = True
        return marked

    def _as_votes(self, scores: Scores) -> Votes:
        said = scores.group, scores.item, scores.score, scores.judge
        return votes_of_scores(
            *said, weight=scores.weight, sided=scores.sided, items=self.answers, judges=len(self.judges)
        )


def _column(values: Any) -> np.ndarray:
    return (
        np.frombuffer(values, np.float64 if values.typecode == "d" else np.int64)
        if len(values)
        else np.zeros(0, np.float64 if values.typecode == "d" else np.int64)
    )


def _words(digests: bytearray) -> Words:
    return np.frombuffer(bytes(digests), ">u8").astype(np.uint64).reshape(-1, DIGEST // 8)


def _inverse(order: Ints) -> Ints:
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank


def _by_name(names: list[str]) -> tuple[list[str], Ints]:
    """Names in order, and the place of each of the given there."""
    order = sorted(range(len(names)), key=names.__getitem__)
    return [names[number] for number in order], _inverse(np.array(order, np.int64))


def _mixed(words: Words, seed: int) -> Words:
    """SplitMix64 of content and seed (Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        x = words + np.uint64((seed * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) % 2**64)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
