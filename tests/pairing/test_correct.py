"""Correction by rules: what is a word, what is found again, what makes no pair."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rather.errors import ConfigError
from rather.pairing.correct import Rule, Rules, correct, edited, read_rules
from rather.records import Message, Question, Response
from tests.conftest import WriteFile

QUESTION = Question(prompt=(Message(role="user", content="Who are you?"),), tags={"kind": "identity"})


def rules(*rows: tuple[str | tuple[str, ...], str], ignore_case: bool = False) -> Rules:
    return Rules([Rule.build({"find": list(f) if isinstance(f, tuple) else f, "replace": r, "ignore_case": ignore_case})
                  for f, r in rows])  # fmt: skip


def says(text: str, *, finished: bool = True) -> Response:
    return Response(question=QUESTION, text=text, model="m", finished=finished)


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("I am GPT, not GPTs or xGPT.", "I am Athene, not GPTs or xGPT."),
        ("我是GPT，你好", "我是Athene，你好"),
        ("GPT-4 and GPT", "Athene 4 and Athene"),  # the longer one wins
        ("(GPT)", "(Athene)"),
        ("gpt", "gpt"),
        ("GPTé, GPTe\u0301, GPT\u0301", "GPTé, GPTe\u0301, GPT\u0301"),
        ("通义千问是我", "雅典娜是我"),
        ("Hugging\n  Face made me", "Nexus made me"),
    ],
)
def test_whole_words_are_replaced(text: str, becomes: str) -> None:
    made = rules(("GPT", "Athene"), ("GPT-4", "Athene 4"), ("通义千问", "雅典娜"), ("Hugging Face", "Nexus"))
    assert made.apply(text) == becomes


def test_case_is_ignored_only_if_asked() -> None:
    assert rules(("gpt", "Athene"), ignore_case=True).apply("GPT gpt Gpt") == "Athene Athene Athene"


@pytest.mark.parametrize(
    "rows",
    [
        [("AI", "AI assistant")],  # grows with every pass
        [("a", "b"), ("b", "a")],  # undo each other
        [("a", "b"), ("b", "c")],  # needs two passes
        [("a", "a")] * 2,
    ],
)
def test_rules_that_find_again_what_they_put_there_are_refused(rows: list[tuple[str, str]]) -> None:
    with pytest.raises(ConfigError, match=r"second pass|twice"):
        rules(*rows)


@given(st.text(alphabet="ab cé是.", max_size=30))
def test_what_makes_a_pair_is_not_changed_by_a_second_pass(text: str) -> None:
    made = rules(("a", "c"), ("b a", ""))
    for pair in correct([says(text)], made).pairs:
        assert made.apply(pair.chosen) == pair.chosen != pair.rejected


def test_every_answer_makes_a_pair_or_is_counted() -> None:
    answers = [
        says("I am GPT."),
        says("I am nobody."),
        says("I am GPT. And so I", finished=False),
        says("GPT without an end", finished=False),
        says("GPT"),
    ]
    made = correct(answers, rules(("GPT", "")))
    assert [(pair.chosen, pair.rejected, pair.tags) for pair in made.pairs] == [
        ("I am .", "I am GPT.", QUESTION.tags),
    ] * 2
    assert made.skipped == {"no rule changes it": 1, "no whole sentence": 1, "nothing is left": 1}


def test_edits_that_change_nothing_make_no_pair() -> None:
    answers = [(says("A."), "B.", True), (says("A."), "A. ", True), (says("A."), "", True), (says("A."), "C", False)]
    made = edited(answers)
    assert [(pair.chosen, pair.rejected) for pair in made.pairs] == [("B.", "A.")]
    assert made.skipped == {"the edit changes nothing": 1, "the edit is empty": 1, "the edit was cut off": 1}


def test_rules_are_read_from_toml(write_file: WriteFile) -> None:
    file = write_file('[[rule]]\nfind = ["GPT", "Bard"]\nreplace = "Athene"\nignore_case = true\n', "rules.toml")
    assert read_rules(file).apply("gpt BARD bards") == "Athene Athene bards"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "holds no rule"),
        ("rule = 3", "holds no rule"),
        ("rules = []", 'unknown key "rules"'),
        ('[[rule]]\nfind = "a"', "rule 1: replace"),
        ('[[rule]]\nfind = ""\nreplace = "b"', "rule 1: find"),
        ('[[rule]]\nfind = "a"\nreplce = "b"', 'did you mean "replace"'),
        ("[[rule]\n", "is not TOML"),
    ],
)
def test_a_wrong_file_of_rules_is_named(write_file: WriteFile, content: str, said: str) -> None:
    file = write_file(content, "rules.toml")
    with pytest.raises(ConfigError) as caught:
        read_rules(file)
    assert said in str(caught.value)
    assert str(file) in str(caught.value)


def test_no_file_of_rules(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_rules(tmp_path / "none.toml")
