from __future__ import annotations

import pytest

from rather.auditing.material.words import as_written, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The cat's 2nd hat_box.", ["the", "cat", "s", "2nd", "hat", "box"]),
        ("你好, world", ["你", "好", "world"]),
        ("カナ 한글", ["カ", "ナ", "한", "글"]),
        ("Ünïcödé", ["ünïcödé"]),
        (
            "\uf91d\uf9dc ꀀꀁ",
            ["\uf91d", "\uf9dc", "ꀀꀁ"],
        ),  # a compatibility character is one by itself, a Yi word is not
        ("…?! _", []),
    ],
)
def test_words_of(text: str, words: list[str]):
    assert words_of(text) == words


@pytest.mark.parametrize(
    ("words", "written"),
    [("很 乐", "很乐"), ("do not", "do not"), ("第 2", "第 2"), ("한 국", "한 국"), ("か な", "かな")],
)
def test_two_words_as_they_stand_in_a_text(words: str, written: str) -> None:
    assert as_written(words) == written
