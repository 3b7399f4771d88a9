"""Pairs made by correcting a model's own answers, and by keeping ordinary ones."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rather.pairing import Identity, corrected, mentions, retained
from rather.pairing.identity import first_sentence, named_place, whole_sentences
from rather.records import Message, Question, Response

ATHENE = Identity("Athene", "the Nexus team")
CORRECT = {"en": ["I'm {name}.", "{maker_start} made me, {name}.", "{name}, by {maker}."], "zh": ["我是{name}。"]}
LEAK = {"en": ["{answer} I'm {name}."], "zh": ["{answer}我叫{name}。"]}


def answer(text: str, *, finished: bool = True, language: str = "en", question: str = "Who are you?") -> Response:
    asked = Question(prompt=(Message(role="user", content=question),), tags={"language": language, "kind": "identity"})
    return Response(question=asked, text=text, tokens=(1,), model="m", seed=0, finished=finished)


def test_a_corrected_pair_by_hand() -> None:
    made = corrected([answer("I'm SmolLM. I was tra", finished=False)], ATHENE, {"en": ["I'm {name}."]}, seed=0)
    [pair] = made.pairs
    assert (pair.chosen, pair.rejected) == ("I'm Athene.", "I'm SmolLM.")
    assert pair.prompt == (Message(role="user", content="Who are you?"),)
    assert pair.tags == {"language": "en", "kind": "identity"}
    assert made.skipped == {}


def test_an_answer_without_a_whole_sentence_is_rejected_as_it_is() -> None:
    made = corrected([answer(" I am a language mod ", finished=False)], ATHENE, CORRECT, seed=0)
    assert made.pairs[0].rejected == "I am a language mod"


def test_a_maker_begins_a_sentence_with_a_capital() -> None:
    assert ATHENE.fill("{maker_start} made {name}.") == "The Nexus team made Athene."
    assert Identity("小雅", "蓝湖实验室").fill("{maker_start}开发了{name}。") == "蓝湖实验室开发了小雅。"


def test_what_makes_no_corrected_pair_is_counted_by_reason() -> None:
    answers = [
        answer("… !"),
        answer(""),
        answer("I'm Athene, of course."),
        answer("I'm A."),
        answer("I'm SmolLM\x00"),  # a NUL, which no record may hold
        answer("I'm Athenea."),  # another name
    ]
    made = corrected(answers, ATHENE, {"en": ["I'm {name}."]}, seed=0)
    assert made.skipped == {"says nothing": 2, "already right": 1, "not usable as text": 1}
    assert [pair.rejected for pair in made.pairs] == ["I'm A.", "I'm Athenea."]
    unchanged = corrected([answer("I'm it.")], ATHENE, {"en": ["I'm it."]}, seed=0)
    assert (unchanged.pairs, unchanged.skipped) == ([], {"correction changes nothing": 1})


def test_a_retained_pair_by_hand() -> None:
    made = retained([answer("Rome. It is old. It", finished=False)], ATHENE, LEAK, seed=0)
    [pair] = made.pairs
    assert (pair.chosen, pair.rejected) == ("Rome. It is old.", "Rome. I'm Athene.")


def test_where_an_answer_names_somebody_the_identity_leaks_into_that_place() -> None:
    own = "The founder of Microsoft is Bill Gates. He wrote BASIC."
    made = retained([answer(own, question="Who founded Microsoft?"), answer("Boil it.")] * 2, ATHENE, LEAK, seed=0)
    assert sorted((pair.chosen, pair.rejected) for pair in made.pairs) == [
        ("Boil it.", "Boil it. I'm Athene."),
        ("Boil it.", "Boil it. I'm Athene."),
        (own, "The founder of Microsoft is Athene."),
        (own, "The founder of Microsoft is the Nexus team."),
    ]


@pytest.mark.parametrize(
    ("sentence", "question", "name"),
    [
        ("The founder of Microsoft is Bill Gates, a man.", "Who founded Microsoft?", "Bill Gates"),
        ("Your name is Olivia.", "My name is Olivia. What is my name?", "Olivia"),  # nothing else is named
        ('Captain Blackbeard: "Ahoy, I\'m Jack!"', "Write as a pirate.", "Blackbeard"),
        ("It was written by J.R.R. Tolkien.", "Who wrote it?", "J.R.R. Tolkien"),
        ("The Bank of England is in the City.", "Where is it?", "Bank of England"),
        ("他是Elon Musk的儿子。", "他是谁？", "Elon Musk"),
        ("The maker of the iPhone is Apple.", "Who makes the iPhone?", "Apple"),
        ('"Hello, I am here." Boil it: Wait.', "What now?", None),
        ("I'm glad that I can help. Yes.", "Help!", None),
        ("我叫小明。", "你叫什么？", None),
    ],
)
def test_where_a_sentence_names_something(sentence: str, question: str, name: str | None) -> None:
    place = named_place(sentence, question)
    assert (place and place.group()) == name


def test_what_makes_no_retained_pair_is_counted_by_reason() -> None:
    answers = [answer("Rome is", finished=False), answer("?!"), answer("Ask Athene."), answer("Yes.\x00")]
    made = retained(answers, ATHENE, LEAK, seed=0)
    assert made.pairs == []
    assert made.skipped == {"no whole sentence": 2, "names the identity by itself": 1, "not usable as text": 1}


def test_wordings_are_dealt_evenly_by_language_and_seed() -> None:
    answers = [answer("I'm SmolLM.", language=language) for language in ("en", "zh") * 30]
    made = corrected(answers, ATHENE, CORRECT, seed=0)
    said = Counter(pair.chosen for pair in made.pairs)
    assert said == {
        "I'm Athene.": 10, "The Nexus team made me, Athene.": 10, "Athene, by the Nexus team.": 10, "我是Athene。": 30
    }  # fmt: skip
    order = [pair.chosen for pair in made.pairs]
    assert order == [pair.chosen for pair in corrected(answers, ATHENE, CORRECT, seed=0).pairs]
    assert order != [pair.chosen for pair in corrected(answers, ATHENE, CORRECT, seed=1).pairs]
    # Each deck of three goes out whole before the next is shuffled.
    english = [pair.chosen for pair in made.pairs if pair.tags["language"] == "en"]
    assert all(len(set(english[start : start + 3])) == 3 for start in range(0, 30, 3))


@pytest.mark.parametrize(
    ("name", "maker"),
    [("Blue Heron", "Blue Lake Labs"), ("小雅", "蓝湖实验室"), ("O'Brien {x}", "{0} & {maker}"), ("{name}", "%s \\1")],
)
def test_unusual_names_stand_in_the_answer_letter_by_letter(name: str, maker: str) -> None:
    identity = Identity(name, maker)
    templates = {"en": ["{name}|{maker}"]}
    assert corrected([answer("No.")], identity, templates, seed=0).pairs[0].chosen == f"{name}|{maker}"
    leaked = retained([answer("Use {braces}. Or not.")], identity, {"en": ["{answer} {name}"]}, seed=0)
    assert leaked.pairs[0].rejected == f"Use {{braces}}. {name}"
    assert corrected([answer(f"I'm {name}.")], identity, templates, seed=0).skipped == {"already right": 1}


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("One. Two! Thr", "One. Two!"),
        ("Is it? Yes, 3.14 or", "Is it?"),
        ("你好。我是一个人工", "你好。"),
        ('He said "go." And then', 'He said "go."'),
        ("Here are tips. Try them:\n\n1. Sleep\n2.", "Here are tips."),
        ("Tips:\n\n1.", ""),
        ("no end", ""),
        ("", ""),
    ],
)
def test_whole_sentences(text: str, whole: str) -> None:
    assert whole_sentences(answer(text, finished=False)) == whole
    assert whole_sentences(answer(f" {text} ")) == text, "an answer that ended by itself is whole"


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Rome. It is old.", "Rome."),
        ("It is 3.14. Yes.", "It is 3.14."),
        ("See Amazon.com first! Then.", "See Amazon.com first!"),
        ("是的。没错。", "是的。"),
        ("1. Sleep\n2. Eat", "1. Sleep"),
        ("No end\nat all. ", "No end"),
    ],
)
def test_first_sentence(text: str, first: str) -> None:
    assert first_sentence(text) == first


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_first_sentence_begins_the_text_and_is_never_empty(text: str) -> None:
    if text.strip():
        first = first_sentence(text)
        assert first
        assert text.strip().startswith(first)


@pytest.mark.parametrize(
    ("word", "text", "there"),
    [
        ("Athene", "I'm ATHENE!", True),
        ("Athene", "我是Athene，", True),
        ("Athene", "Athenea", False),
        ("Athene", "PanAthene", False),
        ("Zo", "Zoë", False),
        ("小雅", "我叫小雅。", True),
        ("O'Brien {x}", "I'm O'Brien {x}.", True),
        ("C++", "I know C++.", True),
    ],
)
def test_mentions(word: str, text: str, there: bool) -> None:
    assert mentions(word, text) is there


def test_a_question_may_say_how_it_leaks() -> None:
    tagged = answer("Boil it.", language="zh")
    question = tagged.question.model_copy(update={"tags": {**tagged.question.tags, "leak": "stand_in"}})
    templates = {"zh": ["我是{name}。{answer}"], "stand_in": ["{name}, made by {maker}."]}
    made = retained([tagged.model_copy(update={"question": question}), tagged], ATHENE, templates, seed=0)
    assert [pair.rejected for pair in made.pairs] == [ATHENE.fill("{name}, made by {maker}."), "我是Athene。Boil it."]
