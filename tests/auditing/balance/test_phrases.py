"""Words out of pairs of characters, and topics that are named by them."""

from __future__ import annotations

import pytest

from rather.auditing.balance.phrases import Words, apart, pairs_of
from rather.auditing.balance.topics import topics_of

SERVERS = [f"{how}服务器{what}" for how in ("重启", "租用", "搭建") for what in ("的费用", "要注意什么", "失败了")]


def test_pairs_of_characters_stop_at_marks_and_at_characters_of_no_subject() -> None:
    assert pairs_of("《红楼梦》中，服务器") == ["红楼", "楼梦", "服务", "务器"]
    assert pairs_of("你的猫 and 我") == []


@pytest.mark.parametrize(
    ("pair", "word"),
    [
        ("务器", "服务器"),
        ("服务", "服务器"),
        ("重启", "重启服务器"),  # in these texts it stands nowhere else
    ],
)
def test_a_pair_grows_to_what_the_texts_agree_on(pair: str, word: str) -> None:
    assert Words(SERVERS).around(pair) == word


def test_a_pair_that_stands_between_two_words_is_none_and_none_grows_across_it() -> None:
    sentences = [f"{which}语句子{n}" for which in ("英", "法") for n in range(4)]
    # "语句" stands in 8 texts, and "英语", "法语" and "句子" in more.
    words = Words([*sentences, *["英语"] * 5, *["法语"] * 5, "句子"])
    assert words.around("语句") == ""
    assert words.around("句子") == "句子"
    # Where nothing shows that these are words of their own, what always stands together is one.
    assert Words(sentences).around("句子") == "语句子"


def test_a_neighbour_in_fewer_than_three_texts_or_in_half_of_them_is_no_part() -> None:
    assert Words(["云服务器", "云服务器", "服务器"]).around("服务") == "服务器"
    assert Words(["服务员", "服务器", "服务台", "服务站"]).around("服务") == "服务"


def test_in_and_on_are_no_part_of_a_word() -> None:
    assert Words(["任务中"] * 4).around("任务") == "任务"
    assert Words(["集中"] * 4).around("集中") == "集中"


def test_nothing_is_named_twice() -> None:
    assert apart(["服务器", "服务", "", "费用", "费用表", "or", "order"]) == ["服务器", "费用", "or", "order"]


def test_a_topic_is_named_by_whole_words() -> None:
    cooking = [f"{how}红烧肉{what}" for how in ("热", "买", "炖") for what in ("的步骤", "要注意什么", "失败了")]
    topics = topics_of([f"{text} {n}" for n, text in enumerate(SERVERS * 4 + cooking * 3)], 2)
    assert topics is not None
    servers, meals = (name.split(", ") for name in topics.names)
    assert "服务器" in {word[-3:] for word in servers}
    assert "红烧肉" in {word[-3:] for word in meals}
    assert not {"务器", "服务", "烧肉", "红烧"} & {*servers, *meals}
