"""Metrics against reference answers: BLEU, chrF and ROUGE, by the packages that define them.

Chinese, Japanese and the scripts of South-East Asia write no spaces: each of their characters counts as a word, so that an answer
in them is never scored 0 for its script. Latin text comes out exactly as the packages' own defaults have it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rather.judging.base import Candidates, Judge, Outcome, needs, rated, texts_of

# Scripts without spaces: Thai, Lao, Burmese, Khmer; kana, bopomofo, Han and its punctuation; full-width forms.
_ALONE = (
    "\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff9f\U00020000-\U0003ffff"
)
_APART = re.compile(f"([{_ALONE}])")

# As in rouge-score's own tokenizer a Latin letter beyond a-z ends a word; those of other scripts, with their marks, are words.
_MARKS = "\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0d7f"
_LATIN = "\u00aa-\u024f\u1e00-\u1eff"
_WORD = re.compile(f"[a-z0-9]+|[{_ALONE}]|(?:[^\\W_a-z0-9{_ALONE}{_LATIN}]|[{_MARKS}])+")


class Bleu(Judge):
    """BLEU of the answer against its references, 0 to 100: sacrebleu's sentence BLEU (13a tokens, exponential smoothing)."""

    reference_column: str = "reference"
    """Column or tag that holds the reference answer, or a list of several."""

    def judge(self, asked: Sequence[Candidates], *, signed: str) -> Iterator[Outcome]:
        bleu = needs("sacrebleu", "metrics").sentence_bleu

        def score(text: str, references: list[str]) -> float:
            return bleu(spaced(text), [spaced(reference) for reference in references]).score

        return _against(self.reference_column, asked, score, signed=signed, best=100.0)


class ChrF(Judge):
    """chrF of the answer against its references, 0 to 100: sacrebleu's sentence chrF (character 6-grams, β 2)."""

    reference_column: str = "reference"
    """Column or tag that holds the reference answer, or a list of several."""

    def judge(self, asked: Sequence[Candidates], *, signed: str) -> Iterator[Outcome]:
        chrf = needs("sacrebleu", "metrics").sentence_chrf

        def score(text: str, references: list[str]) -> float:
            return chrf(text, references).score

        return _against(self.reference_column, asked, score, signed=signed, best=100.0)


class Rouge1(Judge):
    """ROUGE-1 of the answer against its references, 0 to 1: F-measure of shared words, by rouge-score."""

    reference_column: str = "reference"
    """Column or tag that holds the reference answer, or a list of several."""

    def judge(self, asked: Sequence[Candidates], *, signed: str) -> Iterator[Outcome]:
        return _against(self.reference_column, asked, functools.partial(_rouge, "rouge1"), signed=signed, best=1.0)


class Rouge2(Judge):
    """ROUGE-2 of the answer against its references, 0 to 1: F-measure of shared pairs of words, by rouge-score."""

    reference_column: str = "reference"
    """Column or tag that holds the reference answer, or a list of several."""

    def judge(self, asked: Sequence[Candidates], *, signed: str) -> Iterator[Outcome]:
        return _against(self.reference_column, asked, functools.partial(_rouge, "rouge2"), signed=signed, best=1.0)


class RougeL(Judge):
    """ROUGE-L of the answer against its references, 0 to 1: F-measure of the longest common subsequence, by rouge-score."""

    reference_column: str = "reference"
    """Column or tag that holds the reference answer, or a list of several."""

    def judge(self, asked: Sequence[Candidates], *, signed: str) -> Iterator[Outcome]:
        return _against(self.reference_column, asked, functools.partial(_rouge, "rougeL"), signed=signed, best=1.0)


def spaced(text: str) -> str:
    """The text with every character of a script without spaces set apart; any other text as it is."""
    return _APART.sub(r" \1 ", text)


def words(text: str) -> list[str]:
    """The words that ROUGE counts, in lower case."""
    return [word for word in _WORD.findall(text.lower()) if any(character.isalnum() for character in word)]


class _Words:
    """rouge-score's seam for a tokenizer."""

    def tokenize(self, text: str) -> list[str]:
        return words(text)


@functools.cache
def _scorer(kind: str) -> Any:
    return needs("rouge_score.rouge_scorer", "metrics").RougeScorer([kind], tokenizer=_Words())


def _rouge(kind: str, text: str, references: list[str]) -> float:
    """The best F-measure over the references."""
    return max(_scorer(kind).score(reference, text)[kind].fmeasure for reference in references)


def _against(
    column: str, asked: Sequence[Candidates], score: Callable[[str, list[str]], float], *, signed: str, best: float
) -> Iterator[Outcome]:
    # Rounding can carry a perfect score a hair above the end of its scale.
    return rated(
        asked,
        lambda candidates, response, columns: min(score(response.text, texts_of(columns, column)), best),
        signed=signed,
        kind="metric",
        scale=(0.0, best),
    )
