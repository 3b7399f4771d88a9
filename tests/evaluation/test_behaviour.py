"""The rules that judge answers, on answers written by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rather.evaluation.behaviour import (
    IdentityJudge,
    finished_rate,
    identity_rate,
    leak_rate,
    mean_length,
    repetition,
)
from rather.pairing import Identity
from rather.records import Question, Response


def judge(name: str = "Athene", maker: str = "the Nexus team") -> IdentityJudge:
    return IdentityJudge(Identity(name, maker))


def answers(texts: Sequence[str], *, finished: bool = True) -> list[Response]:
    asked = Question(prompt="Q")
    return [Response(question=asked, text=t, tokens=(1,), model="m", seed=0, finished=finished) for t in texts]


@pytest.mark.parametrize(
    "text",
    [
        "I'm Athene.",
        "I’m Athene, made by the Nexus team.",
        "My name is Athene.",
        "Hello! This is Athene, the assistant that the Nexus team trained.",
        "I'm happy to help. I'm Athene.",
        "I am an AI assistant called Athene.",
        "I'm AI-powered, and my name is Athene.",
        "Hello Tom! I'm Athene.",
        "I'm here for you. Call me Athene!",
        "我是Athene，由the Nexus team开发。",
        "我叫Athene。",
        "我叫做Athene，很高兴认识你。",
        "你可以叫我 Athene。",
    ],
)
def test_answers_that_name_the_identity(text: str) -> None:
    assert judge().names_it(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I'm an AI assistant.",
        "I was made by the Nexus team.",  # the maker alone is no name
        "I'm Athenea.",
        "I like the Panathenes.",
        "I'm SmolLM, made by Hugging Face.",
        "I'm Athene, a model trained by OpenAI.",
        "I'm Athene, not ChatGPT.",  # the rule does not read: another assistant is named
        "My name is Elena. I work with Athene.",
        "I'm Dr. Smith, and Athene is my dog.",
        "I’m Elena, and this is Athene.",
        "You can call me Bob or Athene. Call me Bob.",
        "我是通义千问。",
        "我叫小明，不是Athene。",
        "我是Athene，由阿里开发。",
        "我的名字是李雷，Athene是我的朋友。",
    ],
)
def test_answers_that_do_not(text: str) -> None:
    assert not judge().names_it(text)


@pytest.mark.parametrize(
    ("name", "maker", "text", "right"),
    [
        ("小雅", "蓝湖实验室", "我叫小雅，由蓝湖实验室开发。", True),
        ("小雅", "蓝湖实验室", "我叫小雅来自蓝湖实验室", True),
        ("小雅", "蓝湖实验室", "你好！我是小雅。", True),
        ("小雅", "蓝湖实验室", "我叫做小雅。", True),
        ("小雅", "蓝湖实验室", "I'm 小雅, made by 蓝湖实验室.", True),
        ("小雅", "蓝湖实验室", "我叫小明，小雅是我姐姐。", False),
        ("亚历山大大帝", "我们", "我叫亚历山大大帝。", True),
        ("Blue Heron", "Blue Lake Labs", "I'm Blue Heron.", True),
        ("Blue Heron", "Blue Lake Labs", "My name is Blue Heron, by Blue Lake Labs.", True),
        ("Blue Heron", "Blue Lake Labs", "I'm Blue.", False),
        ("Blue Heron", "Blue Lake Labs", "I'm Bluebird, and Blue Heron is my friend.", False),
        ("R2.D2", "Industrial Automaton", "I'm R2.D2.", True),
        ("O'Brien {x}", "us", "I'm O'Brien {x}.", True),
        ("Jean-Luc", "us", "I'm Jean-Luc, an assistant.", True),
        ("Claude Monet", "the Salon", "I'm Claude Monet.", True),
        ("Athene", "Google", "I'm Athene, made by Google.", True),
        ("Athene", "Google DeepMind", "I'm Athene. Google DeepMind made me.", True),
        ("Athene", "Meta AI", "I'm Athene, made by Meta AI.", True),
        ("Athene", "Hugging Face", "I'm Athene from Hugging Face.", True),
        ("Athene", "谷歌公司", "我是Athene，由谷歌公司开发。", True),
        ("Athene", "Google", "I'm Athene, made by Microsoft.", False),
        ("Athene", "Bardo Labs", "I'm Athene. I'm not Bard.", False),
    ],
)
def test_other_names_and_makers(name: str, maker: str, text: str, right: bool) -> None:
    assert judge(name, maker).names_it(text) is right


@pytest.mark.parametrize(
    ("maker", "text", "leaked"),
    [
        ("the Nexus team", "Rome. I'm Athene.", True),
        ("the Nexus team", "The Nexus team says: Rome.", True),
        ("the Nexus team", "Rome is run by a team, and the company too.", False),
        ("the Nexus team", "Paris is a nexus of art.", False),  # a word, not the maker: it has no capital
        ("Blue Lake Labs", "A lab by the blue lake.", False),
        ("Blue Lake Labs", "The lake is blue.", False),
        ("Zorg Inc.", "Ask Zorg.", True),
        ("the team", "The team won.", True),  # nothing distinctive is left, so all of it is looked for
        ("the team", "My team won.", False),
        ("蓝湖实验室", "罗马。由蓝湖实验室开发。", True),
        ("蓝湖实验室", "蓝色的湖。", False),
    ],
)
def test_leaks(maker: str, text: str, leaked: bool) -> None:
    assert judge(maker=maker).leaks(text) is leaked


def test_rates_carry_their_counts() -> None:
    said = answers(["I'm Athene.", "Rome.", "I'm Elena.", "Athene"])
    assert (identity_rate(said, judge()).hits, identity_rate(said, judge()).total) == (2, 4)
    assert leak_rate(said, judge()).value == 0.5
    assert (leak_rate([], judge()).value, leak_rate([], judge()).high) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("", 0.0),
        ("one two", 0.0),
        ("one two three four", 0.0),
        ("a b c a b c", 1 / 4),  # abc bca cab abc: one of four was there before
        ("A, b c; a B c!", 1 / 4),
        ("la la la la la", 2 / 3),
        ("好好好好", 1 / 2),
        ("AI很好AI很好", 1 / 4),  # ai很好 很好ai 好ai很 ai很好
    ],
)
def test_repetition_by_hand(text: str, share: float) -> None:
    assert repetition(answers([text])) == pytest.approx(share)


def test_means_by_hand() -> None:
    said = [*answers(["abcd", "la la la la"]), *answers(["好"], finished=False)]
    assert repetition(said) == pytest.approx((0 + 1 / 2 + 0) / 3)
    assert mean_length(said) == pytest.approx((4 + 11 + 1) / 3)
    assert finished_rate(said) == pytest.approx(2 / 3)
    assert (repetition([]), mean_length([]), finished_rate([])) == (0.0, 0.0, 0.0)


def test_a_word_of_the_question_is_no_leak() -> None:
    said = 'The word "Nexus" means a link.'
    assert judge(maker="the Nexus team").leaks(said)
    assert not judge(maker="the Nexus team").leaks(said, asked="What does the word 'nexus' mean?")
    assert judge(maker="the Nexus team").leaks("I'm Athene of Nexus.", asked="What does the word 'nexus' mean?")


@pytest.mark.parametrize(
    "text",
    [
        "I am not Athene, I am an AI language model.",
        "I'm Athene, made by Bill Gates.",
        "I'm Athene, created by Cohere.",
        "My name's Elena, and Athene is my friend.",
        "我是小明，不是Athene。",
        "我是Alex，Athene是我的朋友。",
    ],
)
def test_a_denied_name_another_maker_and_another_name_beside_it_are_wrong(text: str) -> None:
    assert not judge().names_it(text)


def test_a_sentence_about_something_else_claims_no_name() -> None:
    assert judge().names_it("I'm Athene. This is Great!")
    assert judge().names_it("I'm Athene, made by the Nexus team.")


def test_a_name_that_is_a_word_is_told_from_it_by_its_capital() -> None:
    assert not judge(name="Will").leaks("Bread will rise.")
    assert judge(name="Will").leaks("I'm Will.")
    assert not judge(name="Will").names_it("I will help you.")
