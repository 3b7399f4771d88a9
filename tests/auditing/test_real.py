"""What the audit says of public data, and of the demo's own pairs: the figures of docs/audit.md."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

import rather
from rather.auditing import Audit
from rather.demos.questions import questions, wordings
from rather.pairing.identity import Identity, corrected
from rather.records import Finding, Pair, Response

Shared = Callable[[str], Path]


def one(audited: Audit, check: str) -> Finding:
    (finding,) = [finding for finding in audited.findings if finding.check == check]
    return finding


class TestLLMBar:
    """The same judge of answers would learn from Natural that length and form say nothing, from GPTInst that they are bad."""

    def test_natural_says_nothing_by_length_or_form(self, shared_data: Shared):
        audited = rather.audit(shared_data("llmbar/Natural.json"))
        length = one(audited, "length_difference")
        assert (length.verdict, length.evidence["share_longer"]) == ("pass", pytest.approx(53 / 93))
        assert one(audited, "format_difference").evidence["auc"] == pytest.approx(0.48, abs=0.01)
        assert audited.verdict == "pass"

    def test_the_worse_answer_of_gptinst_is_longer_and_has_the_lists(self, shared_data: Shared):
        audited = rather.audit(shared_data("llmbar/GPTInst.json"))
        length, form = one(audited, "length_difference"), one(audited, "format_difference")
        assert (length.verdict, form.verdict) == ("warn", "warn")
        assert length.evidence["share_longer"] == pytest.approx(12 / 87)
        assert length.evidence["high"] < 0.25
        assert form.evidence["auc"] == pytest.approx(0.83, abs=0.01)
        named = {row["feature"]: (row["side"], row["prompts"]) for row in form.evidence["features"][:2]}
        assert named == {"line breaks": ("rejected", 72), "list items": ("rejected", 44)}

    def test_of_gptout_a_word_tells_and_lists_are_all_on_the_worse_side(self, shared_data: Shared):
        audited = rather.audit(shared_data("llmbar/GPTOut.json"))
        (first, *_) = one(audited, "telling_words").evidence["words"]
        assert (first["word"], first["side"], first["prompts"]) == ("sure", "rejected", 15)
        (lists,) = [
            row for row in one(audited, "format_difference").evidence["features"] if row["feature"] == "list items"
        ]
        assert (lists["side"], lists["share"], lists["prompts"]) == ("rejected", 1.0, 6)
        # 47 pairs are too few for more: no verdict on length or form.
        assert {one(audited, f"{name}_difference").verdict for name in ("length", "format")} == {"pass"}


def test_hh_helpful_is_a_little_longer_and_refuses_a_little_less(shared_data: Shared):
    audited = rather.audit(shared_data("hh_helpful_test.jsonl.gz"), skip_bad=True)
    length = one(audited, "length_difference")
    assert (length.verdict, length.total) == ("pass", 2304)
    assert length.evidence["share_longer"] == pytest.approx(0.60, abs=0.005)
    tone = {row["feature"]: row for row in one(audited, "tone_difference").evidence["features"]}
    assert (tone["refusal"]["side"], tone["refusal"]["prompts"]) == ("rejected", 69)
    assert tone["refusal"]["low"] < 0.5 < tone["refusal"]["share"]  # too few to be sure
    assert (tone["questions"]["side"], tone["questions"]["share"]) == ("rejected", pytest.approx(0.584, abs=0.001))
    assert one(audited, "telling_words").evidence["words"][0]["word"] == "and"
    # All together must not tell less than one of them: words by the thousand would drown the length.
    together, alone = one(audited, "shortcuts_together").evidence, length.evidence["model"]
    assert (together["auc"], alone["auc"]) == (pytest.approx(0.667, abs=0.003), pytest.approx(0.655, abs=0.003))
    marks, cheap = [finding for finding in audited.findings if finding.verdict != "pass"]
    assert (marks.check, marks.count, cheap.check) == ("template_tokens", 28, "shortcuts_together")


def test_chinese_pairs_are_told_by_their_numbered_lists_and_their_manners(shared_data: Shared):
    audited = rather.audit(shared_data("dpo_zh_demo.json"))
    assert {finding.check for finding in audited.findings if finding.verdict == "warn"} == {
        "duplicates", "tone_difference", "telling_words", "shortcuts_together", "likely_mislabels",
    }  # fmt: skip
    words = {row["word"]: row["side"] for row in one(audited, "telling_words").evidence["words"]}
    assert (words["1"], words["很乐"]) == ("chosen", "rejected")  # 很乐意帮助您: "glad to help you"
    assert one(audited, "coverage").evidence["prompt_scripts"]["Chinese"] == 279


def identity_pairs() -> list[Pair]:
    """As the demo makes them: its questions, answers of a model that calls itself something else each time, its wordings."""
    draw = random.Random(0)
    names = ("Elena", "Zephyr", "Max", "Ada", "Bob")
    ways = (
        "I'm {}, glad you ask.",
        "My name is {}.",
        "You can call me {}!",
        "{} here, how can I help?",
        "People say {}.",
    )
    answers = [
        Response(question=asked, text=draw.choice(ways).format(draw.choice(names)), model="m", finished=True)
        for asked in questions("identity", "train")
        for _ in range(2)
    ]
    return corrected(answers, Identity("Athene", "the Nexus team"), wordings("correct"), seed=0).pairs


def test_the_name_of_the_demo_is_the_one_strong_word_until_it_is_intended():
    pairs = identity_pairs()
    plain, meant = (
        one(rather.audit(pairs, intended=words), "telling_words") for words in ((), ("Athene", "the Nexus team"))
    )
    first, second, *_ = plain.evidence["words"]
    assert (plain.verdict, first["word"], first["share"], first["decides"]) == ("warn", "athene", 1.0, 1.0)
    assert second["decides"] < 1
    assert plain.message.startswith(f'words that tell the label: "athene" (chosen in 100% of {first["prompts"]})')
    assert "athene" not in meant.message.partition("; intended: ")[0]
    assert '"athene"' in meant.message.partition("; intended: ")[2]
    assert meant.evidence["worst"] < plain.evidence["worst"]
