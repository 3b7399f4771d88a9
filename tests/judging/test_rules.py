"""Rules: what each makes of answers, near misses among them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rather.errors import ConfigError
from rather.judging import JUDGES
from rather.judging.rules import bare, final_number, language_of, refuses
from rather.records import Message
from tests.judging.given import candidates


def scores(
    name: str, *answers: str, prompt: Any = "Q", columns: list[dict[str, Any]] | None = None, **options: Any
) -> list[float]:
    [outcome] = JUDGES[name].build(options).judge([candidates(prompt, *answers, columns=columns)], signed=name)
    assert not outcome.refused
    return [rating.score for rating in outcome.judgments]


def test_length() -> None:
    assert scores("length", " four ", "长度") == [4, 2]
    assert scores("length", "it's two", "长度 ok", length_unit="words") == [2, 3]
    assert scores("length", "12345", "12345678", length_target=6) == [-1, -2]
    assert scores("length", "aaa", "a", length_target=0) == [-3, -1]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The quick brown fox jumps over the lazy dog, as it always does.", "en"),
        ("我在用 Python 写一个很简单的程序。", "zh"),
        ("これはとても簡単な文章です。", "ja"),
        ("이것은 한국어 문장입니다.", "ko"),
        ("Le chat est assis sur le tapis et il regarde par la fenêtre.", "fr"),
        ("The word 你好 means hello in the Chinese language, and is used every day.", "en"),
        ("42", None),
        ("OK.", None),
    ],
)
def test_the_language_of_a_text(text: str, code: str | None) -> None:
    assert language_of(text) == code


def test_language_match() -> None:
    prompt = (Message(role="user", content="请用一句话介绍一下北京这座城市。"),)
    answers = ("北京是中国的首都。", "Beijing is the capital city of China, and a very old one.", "42")
    [outcome] = JUDGES["language"]().judge([candidates(prompt, *answers)], signed="language")
    assert [rating.score for rating in outcome.judgments] == [1, 0]
    assert outcome.judgments[1].tags == {"language": "en"}
    assert outcome.counts == {"abstained: the answer is too short to tell its language": 1}
    assert scores("language", *answers[:2], prompt=prompt, language="en") == [0, 1]


def test_a_pattern_and_a_schema(tmp_path: Path) -> None:
    assert scores("format", "Answer: 4", "4", pattern="^Answer: ") == [1, 0]
    schema = tmp_path / "s.json"
    schema.write_text(json.dumps({"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}}))
    [outcome] = (
        JUDGES["format"]
        .build({"json_schema": str(schema)})
        .judge([candidates("Q", '{"city": "Paris"}', '{"city": 4}', "Paris")], signed="format")
    )
    assert [rating.score for rating in outcome.judgments] == [1, 0, 0]
    assert [rating.tags.get("because") for rating in outcome.judgments] == [
        None, "the answer.city is a number, not string", "is not JSON",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="format needs --pattern or --json-schema"):
        JUDGES["format"].build({})
    with pytest.raises(ConfigError, match=r"--pattern \(: is no regular expression"):
        JUDGES["format"].build({"pattern": "("})


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("So it is 1,234.5 in all.", 1234.5),
        ("2 + 2 = 4", 4),
        ("#### 72\nthat was 3 steps", 72),
        (r"Thus \boxed{-3} as 5 says", -3),
        ("The answer is 1/4.", 0.25),
        ("一共３６个", 36),
        ("−7 degrees", -7),
        ("1e3", 1000),
        ("none", None),
        ("3/0", None),
    ],
)
def test_the_number_that_a_text_ends_on(text: str, number: float | None) -> None:
    assert final_number(text) == number


def test_right_answers() -> None:
    answers = ("Paris.", " PARIS", "It is Paris", "London")
    assert scores("exact", *answers, columns=[{"answer": "Paris"}] * 4) == [1, 1, 0, 0]
    assert scores("exact", *answers, columns=[{"answer": ["paris", "london"]}] * 4) == [1, 1, 0, 1]
    assert bare("“巴黎。”") == "巴黎"
    assert scores(
        "numeric", "so 12", "so 12.5", "so", columns=[{"answer": 12}, {"answer": "#### 12"}, {"answer": "12"}]
    ) == [1, 0, 0]
    assert scores("numeric", "3.14", columns=[{"answer": 3.14159}], tolerance=0.01) == [1]


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I cannot assist with this request.",
        "As an AI language model, I am unable to provide medical advice.",
        "Unfortunately, I won't be able to do that because I can't.",
        "I must decline to answer.",
        "抱歉，我无法提供这方面的信息。",
        "作为一个人工智能语言模型，我不能回答这个问题。",
        "对不起，这个我不能说。",
    ],
)
def test_what_is_a_refusal(text: str) -> None:
    assert refuses(text)


@pytest.mark.parametrize(
    "text",
    [
        "I can't believe how good this is! Here is the recipe.",
        "I'm sorry for your loss. Here is what to do next.",
        "You cannot help everyone, but you can start here.",
        "The AI said it could not see the image.",
        "抱歉让你久等了，答案是四。",
        "我不知道你在哪里，但是天气不错。",
        "当然可以，我来帮助你。",
        "Boil the egg for six minutes. " * 12 + "I can't help it, I love eggs.",
    ],
)
def test_what_is_none(text: str) -> None:
    assert not refuses(text)


def test_refusals_are_bad_or_good() -> None:
    answers = ("I can't help with that.", "Of course: boil it.")
    assert scores("refusal", *answers) == [0, 1]
    assert scores("refusal", *answers, refusals="good") == [1, 0]
