"""Where two answers differ: nothing of them is lost, and only what the other lacks is marked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rather.reporting.differences import differences


def test_words_are_marked_whole_and_chinese_by_character() -> None:
    found = differences("I am sure that it is blue.", "I am sure that it is green.")
    assert found == (
        [(False, "I am sure that it is "), (True, "blue"), (False, ".")],
        [(False, "I am sure that it is "), (True, "green"), (False, ".")],
    )
    assert differences("我叫小雅。", "我叫小明。") == (
        [(False, "我叫小"), (True, "雅"), (False, "。")],
        [(False, "我叫小"), (True, "明"), (False, "。")],
    )


def test_texts_with_little_in_common_are_not_marked() -> None:
    assert differences("yes", "no") is None
    assert differences("a", "  ") is None
    assert differences("", "") is None


@given(st.text(max_size=60), st.text(max_size=60))
def test_the_pieces_are_the_texts(one: str, other: str) -> None:
    found = differences(one, other)
    if found is not None:
        assert tuple("".join(text for _, text in pieces) for pieces in found) == (one, other)
        unmarked = ["".join(text for only, text in pieces if not only) for pieces in found]
        assert unmarked[0] == unmarked[1]
