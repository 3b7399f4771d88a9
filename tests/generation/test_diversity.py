"""How much answers differ: figures worked by hand, and sacrebleu's beside ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU

from rather.generation.diversity import Diversity, distinct, duplicates, self_bleu, words_of

WORDS = st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f"]), max_size=12)


def test_words_are_lower_case_and_every_chinese_character_is_one() -> None:
    assert words_of("Don't say ChatGPT-4, 我是AI。") == ("don", "t", "say", "chatgpt", "4", "我", "是", "ai")


def test_distinct_by_hand() -> None:
    answers = [("a", "b", "a"), ("a", "b")]
    assert distinct(answers, 1) == 2 / 5  # a b a a b
    assert distinct(answers, 2) == 2 / 3  # ab ba ab
    assert distinct(answers, 3) == 1.0  # aba
    assert distinct(answers, 4) is None


def test_self_bleu_of_equal_answers_is_100_and_of_others_0() -> None:
    assert self_bleu([tuple("abcde")] * 3) == pytest.approx(100)
    assert self_bleu([tuple("abcde"), tuple("vwxyz")]) == 0


@given(st.lists(WORDS, min_size=2, max_size=5))
def test_self_bleu_is_sacrebleu_s(answers: list[list[str]]) -> None:
    metric = BLEU(tokenize="none", effective_order=True)
    expected = [
        metric.sentence_score(" ".join(own), [" ".join(other) for j, other in enumerate(answers) if j != i]).score
        for i, own in enumerate(answers)
    ]
    assert self_bleu(answers) == pytest.approx(sum(expected) / len(expected), abs=1e-9)


def test_duplicates_are_counted_once_each() -> None:
    near = "the quick brown fox jumps over the lazy dog again and again today"
    texts = ["one two", "one two", "three", near, near + "!", near + " now"]
    # " now" adds one trigram to the 11 of the other: 11 ÷ 12 is above 0.8. "!" is no word.
    assert duplicates(texts, [words_of(text) for text in texts]) == (1, 2)


def test_questions_count_the_same_and_single_answers_measure_nothing() -> None:
    found = Diversity()
    found.add(["only one"])
    assert found.figures()["self_bleu"] is None
    found.add(["a b", "a b"])
    found.add(["a b", "c d", "e f"])
    figures = found.figures()
    assert (figures["questions"], figures["answers"], figures["exact_duplicates"]) == (2, 6, 1)
    assert figures["distinct_1"] == pytest.approx((2 / 4 + 6 / 6) / 2)
    assert figures["self_bleu"] == pytest.approx(50)
