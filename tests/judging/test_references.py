"""Metrics against references: the packages' own numbers on English, and sensible ones where there are no spaces."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer

from rather.judging import JUDGES
from rather.judging.references import spaced, words
from tests.judging.given import candidates

NAMES = ("bleu", "chrf", "rouge1", "rouge2", "rougeL")


def score(name: str, answer: str, reference: Any) -> float:
    [outcome] = JUDGES[name]().judge([candidates("Q", answer, columns=[{"reference": reference}])], signed=name)
    [rating] = outcome.judgments
    return rating.score


def demo(path: Path) -> list[tuple[str, str]]:
    return [(row["rejected"]["value"], row["chosen"]["value"]) for row in json.loads(path.read_text())]


def test_numbers_worked_by_hand() -> None:
    """4 of 5 words shared by 5 and 4 words: precision 4/5, recall 1; pairs 2 of 4 and 2 of 3; in order 4."""
    answer, reference = "the big cat sat down", "the cat sat down"
    assert score("rouge1", answer, reference) == pytest.approx(2 * 0.8 * 1 / 1.8)
    assert score("rouge2", answer, reference) == pytest.approx(2 * (2 / 4) * (2 / 3) / (2 / 4 + 2 / 3))
    assert score("rougeL", answer, reference) == pytest.approx(2 * 0.8 * 1 / 1.8)
    assert score("bleu", reference, reference) == pytest.approx(100)
    assert score("chrf", reference, reference) == 100
    assert score("rouge1", "nothing alike here", reference) == 0


def test_on_english_they_are_the_packages_own(shared_data: Callable[[str], Path]) -> None:
    pairs = demo(shared_data("dpo_en_demo.json"))
    rouge = RougeScorer(["rouge1", "rouge2", "rougeL"])
    for answer, reference in pairs:
        assert score("chrf", answer, reference) == sacrebleu.sentence_chrf(answer, [reference]).score
        theirs = rouge.score(reference, answer)
        latin = max([*answer, *reference]) < "\u0370"  # no letters of a script that rouge-score drops
        if latin:
            assert score("bleu", answer, reference) == sacrebleu.sentence_bleu(answer, [reference]).score
            for name in ("rouge1", "rouge2", "rougeL"):
                assert score(name, answer, reference) == theirs[name].fmeasure
    assert sum(max([*a, *b]) < "\u0370" for a, b in pairs) > 150


def test_chinese_is_finite_sensible_and_not_zero(shared_data: Callable[[str], Path]) -> None:
    """Answers to one prompt share characters, so none may score 0; the reference itself must score best."""
    pairs = [(a, b) for a, b in demo(shared_data("dpo_zh_demo.json")) if a.strip() and b.strip() and a != b][:60]
    for name in NAMES:
        best = 1.0 if name.startswith("rouge") else 100.0
        found = [score(name, answer, reference) for answer, reference in pairs]
        assert all(math.isfinite(value) and 0 <= value < best for value in found)
        chinese = [
            v
            for v, (a, b) in zip(found, pairs, strict=True)
            if len(set(a) & set(b) & set(map(chr, range(0x4E00, 0x9FFF)))) > 20
        ]
        assert len(chinese) > 30
        assert min(chinese) > 0
        assert all(score(name, reference, reference) == pytest.approx(best) for _, reference in pairs[:10])


def test_on_chinese_bleu_is_sacrebleus_own_for_chinese() -> None:
    answer, reference = "法国的首都是巴黎，它很美。", "巴黎是法国的首都，非常美丽。"
    assert score("bleu", answer, reference) == pytest.approx(
        sacrebleu.sentence_bleu(answer, [reference], tokenize="zh").score
    )
    assert RougeScorer(["rouge1"]).score(reference, answer)["rouge1"].fmeasure == 0  # what the default makes of it
    assert score("rouge1", answer, reference) == pytest.approx(2 * 9 / (11 + 12))


def test_words_of_every_script() -> None:
    assert words("It's café no. 12!") == ["it", "s", "caf", "no", "12"]
    assert words("我爱Python 3。") == ["我", "爱", "python", "3"]
    assert words("これはペンです") == list("これはペンです")
    assert words("Привет, мир") == ["привет", "мир"]
    assert words("नमस्ते दुनिया") == ["नमस्ते", "दुनिया"]
    assert words("안녕 세상") == ["안녕", "세상"]
    assert spaced("A dog's day.") == "A dog's day."


def test_several_references_and_the_rows_without() -> None:
    assert score("rouge1", "yes", ["no", "yes"]) == 1
    assert score("bleu", "one two three four", ["a b c d", "one two three four"]) == pytest.approx(100)
    group = candidates(
        "Q", "a", "b", "c", "d", columns=[{}, {"reference": "b"}, {"reference": " "}, {"reference": {"x": 1}}]
    )
    [outcome] = JUDGES["rouge1"]().judge([group], signed="rouge1")
    assert [rating.answers for rating in outcome.judgments] == [("b",)]
    assert [(r.place, r.reason) for r in outcome.refused] == [
        ("f:1", 'has no "reference"'), ("f:3", '"reference" is empty'), ("f:4", '"reference" holds an object, not text'),
    ]  # fmt: skip
