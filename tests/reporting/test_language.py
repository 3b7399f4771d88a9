"""The page of an audit in another language: every sentence of every check, and no word of the data."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

import rather
from benchmarks.planted import DEFECTS, clean, sound
from rather.auditing import CHECKS, AuditInput
from rather.cli import main
from rather.errors import ConfigError
from rather.records import Bars, Finding, Map, Pair
from rather.reporting import report
from rather.reporting.language import ENGLISH, language

ZH = language("zh")

# Names that are the same in Chinese, and what stands in code or quotation marks, or names data.
_KEPT = re.compile(
    r'"[^"]*"|“[^”]*”|`[^`]*`|--[\w-]+|（[^（）]*）|\([^()]*\)|\b(?:AUC|CHES|HTML|Markdown|McNemar|Cohen|AC1|token|km)\b'
)


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("keep one of each", "每种只留一个"),
        ("3 of 9 pairs repeat another pair", "9 个偏好对中有 3 个重复了另一个"),
        # clause by clause, and what stands in brackets behind
        (
            "the median is 4.0 s; of 3 with fewer votes nothing can be said",
            "中位数为 4.0 秒；另有 3 个票数更少，无话可说",
        ),
        (
            "no unintended word tells the label (on 5 of 9 pairs, drawn by prompt)",
            "没有意料之外的词会泄露标签（在 9 对中按提示抽取的 5 对上）",
        ),
        # data is no sentence, whatever it says: "chosen" and "good" are words of the table
        (
            'words that tell the label: "chosen" (chosen in 100% of 9), "a; b" (rejected in 90% of 8)',
            '泄露标签的词："chosen"（9 个提示中 100% 在选中一边），"a; b"（8 个提示中 90% 在落选一边）',
        ),
        ('"good" stands in 12% of the prompts; 2 topics, as even as 1.9 equal ones: good, bad (60%)',
         "“good”出现在 12% 的提示里；2 个话题，均匀程度相当于 1.9 个相等的话题：good, bad (60%)"),
        ("prompts in Chinese 93%, Latin 7%; answers of 9 words (90 % of them 2 to 20)",
         "提示的文字：汉字 93 %，拉丁字母 7 %；回答 9 词（90 % 在 2 到 20 之间）"),
        ("a sentence that no table has; keep one of each", "a sentence that no table has；每种只留一个"),
    ],
)  # fmt: skip
def test_sentences_of_the_table_and_others(english: str, chinese: str):
    assert ZH.say(english) == chinese
    assert ENGLISH.say(english) == english


def sentences(finding: Finding) -> Iterator[str]:
    yield finding.check.replace("_", " ").capitalize()
    yield finding.message
    yield finding.cure
    yield from (key.replace("_", " ") for key in finding.evidence)
    for plot in finding.plots:
        yield from (getattr(plot, name) for name in ("title", "unit", "x", "y") if hasattr(plot, name))


@cache
def pairs_of(file: Path) -> tuple[Pair, ...]:
    return tuple(clean(sound(file), 0, 200))


@pytest.mark.parametrize("name", DEFECTS)
def test_every_sentence_of_a_found_defect_is_in_chinese(name: str, shared_data: Callable[[str], Path]):
    defect = DEFECTS[name]
    planted = defect.plant(list(pairs_of(shared_data("hh_helpful_test.jsonl.gz"))), defect.shares[-1], random.Random(0))
    given = planted if isinstance(planted, AuditInput) else AuditInput(records=planted)
    found = CHECKS[defect.check](given)
    assert found
    for sentence in filter(None, (sentence for finding in found for sentence in sentences(finding))):
        said = ZH.say(sentence)
        left = re.findall(r"[A-Za-z]{3,}", _KEPT.sub("", said))
        # Topics are named by words of the data, and scripts by their names.
        assert not left or defect.check in ("topic_balance", "coverage"), (sentence, said)


def test_names_of_features_are_translated_and_names_of_data_are_not():
    features = Bars(
        title="Which answer has more: tone", unit="share on the side of chosen", names=("apology",), values=(0.9,)
    )
    words = Bars(
        title="Words that tell the label", unit="share on the side of chosen", names=("apology", "x"), values=(0.9, 0.1)
    )
    assert ZH.plot(features).names == ("道歉",)  # pyright: ignore[reportAttributeAccessIssue]
    assert ZH.plot(words).names == ("apology", "x")  # pyright: ignore[reportAttributeAccessIssue]
    plane = Map(title="Prompts by topic", points=((0, 0),), groups=("good, bad",))
    assert ZH.plot(plane).groups == ("good, bad",)  # pyright: ignore[reportAttributeAccessIssue]
    assert ENGLISH.plot(words) is words


def test_the_page_is_in_chinese_and_its_numbers_are_those_of_the_english_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "对.jsonl"
    rows = [{"prompt": f"问题 {n}", "chosen": f"好 {n}", "rejected": f"好 {n}" if n < 3 else "坏"} for n in range(30)]
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    out = tmp_path / "out"
    assert main(["audit", str(file), "--out", str(out), "--lang", "zh"]) == 2
    chinese = (out / "audit.html").read_text(encoding="utf-8")
    english = report(out).read_text(encoding="utf-8")
    assert '<html lang="zh-CN">' in chinese
    assert "30 个偏好对中有 3 个两边文本相同。" in chinese
    assert "<h2>必须先改的</h2>" in chinese
    assert '<html lang="en">' in english
    assert "3 of 30 pairs have the same text on both sides." in english
    # What is left of English outside of code and data is no sentence.
    text = re.sub(
        r"<style>.*?</style>|<svg.*?</svg>|<code>.*?</code>|<details><summary>(?:audit|输入).*",
        "",
        chinese,
        flags=re.DOTALL,
    )
    assert not re.findall(r"\b(?:the|of|and|with)\b", re.sub(r"<[^>]*>", " ", text.replace(str(tmp_path), "")))


def test_a_language_that_is_not_there(tmp_path: Path):
    with pytest.raises(ConfigError, match="--lang fr: there is en and zh"):
        report(tmp_path, lang="fr")
    assert main(["audit", "pairs.jsonl", "--lang", "zh"]) == 2
    (tmp_path / "manifest.json").write_text('{"step": "train"}')
    with pytest.raises(ConfigError, match="only the page of an audit"):
        rather.report(tmp_path, lang="zh")
