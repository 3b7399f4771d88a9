"""Whose answers are answers, and what stands in for those that are none."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from rather.demos.questions import in_english, questions
from rather.demos.standin import TRIAL, answers_or_stand_ins, is_answer, speaks
from rather.records import Message, Question, Response


def said(question: str, text: str, *, finished: bool = True) -> Response:
    return Response(
        question=Question(prompt=(Message(role="user", content=question),)), text=text, model="m", finished=finished
    )


@pytest.mark.parametrize(
    ("question", "text", "good"),
    [
        ("What is 2+2?", "It is 4.", True),
        ("中国的首都是哪里？", "中国的首都是北京。", True),
        ("中国的首都是哪里？", "中国的首都是哪里？://中国的首都是哪里？", False),  # said again
        ("请写一句关于春天的话。", "春天！春天！春天！春天！春天！", False),  # round in circles
        ("What is 2+2?", "！！！", False),
    ],
)
def test_an_echo_or_a_circle_is_no_answer(question: str, text: str, good: bool) -> None:
    assert is_answer(said(question, text)) is good


def test_half_a_sentence_is_no_answer() -> None:
    assert not is_answer(said("Why?", "Because of the", finished=False))
    assert is_answer(said("Why?", "Because. And of the", finished=False))


def test_who_answers_seven_of_ten_speaks() -> None:
    good, bad = said("q?", "It is 4."), said("q?", "q?")
    assert speaks([good] * 7 + [bad] * 3)
    assert not speaks([good] * 6 + [bad] * 4)


CHINESE = [said(f"{n}是多少？", "").question for n in range(TRIAL + 2)]
ENGLISH = {question.text: f"How much is {n}?" for n, question in enumerate(CHINESE)}


def model(chinese: str) -> tuple[list[str], Callable[[Sequence[Question]], list[Response]]]:
    """What was asked, and a model that says `chinese` to what is asked in Chinese."""
    asked: list[str] = []

    def ask(questions: Sequence[Question]) -> list[Response]:
        asked.extend(question.text for question in questions)
        return [said(q.text, f"To {q.text} yes." if q.text.startswith("How") else chinese) for q in questions]

    return asked, ask


def test_english_answers_stand_in_under_the_questions_own_words() -> None:
    asked, ask = model("是是是是是是是是")
    mended = answers_or_stand_ins(CHINESE, ENGLISH, ask)
    assert asked == [question.text for question in CHINESE[:TRIAL]] + list(ENGLISH.values())
    assert [answer.question.text for answer in mended] == list(ENGLISH)
    assert {answer.question.tags["leak"] for answer in mended} == {"stand_in"}
    assert mended[3].text == "To How much is 3? yes."


def test_a_model_that_speaks_is_asked_everything_in_its_language_alone() -> None:
    asked, ask = model("我不知道。")
    own = answers_or_stand_ins(CHINESE, ENGLISH, ask)
    assert asked == [question.text for question in CHINESE]
    assert [answer.text for answer in own] == ["我不知道。"] * len(CHINESE)


def test_every_chinese_ordinary_question_of_training_has_its_english() -> None:
    chinese = [q.text for q in questions("general", "train") if q.tags["language"] == "zh"]
    assert list(in_english()) == chinese
