from __future__ import annotations

import pytest

from rather.auditing.findings import AuditInput
from rather.auditing.shortcuts.families import common_words
from rather.auditing.shortcuts.telling import intended_words, telling_words
from rather.auditing.shortcuts.vocabulary import vocabulary
from rather.records import Finding, Pair, Verdict


def with_words(
    total: int, words: dict[str, int], *, side: str = "chosen", both: dict[str, int] | None = None
) -> list[Pair]:
    """`total` pairs; each word stands on `side` of the first so many pairs, those in `both` on either side in turn."""
    pairs = []
    for n in range(total):
        texts = {"chosen": [f"w{n}"], "rejected": [f"v{n}"]}
        texts[side] += [word for word, count in words.items() if n < count]
        texts["chosen" if n % 2 else "rejected"] += [word for word, count in (both or {}).items() if n < count]
        pairs.append(Pair(prompt=f"q{n}", **{name: " ".join(said) for name, said in texts.items()}))
    return pairs


def telling(pairs: list[Pair], *intended: str) -> Finding:
    (finding,) = telling_words(AuditInput(records=pairs, intended=intended))
    return finding


class TestTellingWords:
    @pytest.mark.parametrize("side", ["chosen", "rejected"])
    @pytest.mark.parametrize(
        ("total", "count", "verdict"),
        [
            (10, 8, "warn"),  # decides 0.8 of the pairs
            (100, 79, "warn"),
            (60, 9, "warn"),  # 0.15
            (60, 8, "pass"),  # 0.13
        ],
    )
    def test_the_share_of_pairs_that_one_word_decides(self, side: str, total: int, count: int, verdict: Verdict):
        finding = telling(with_words(total, {"sure": count}, side=side))
        assert (finding.verdict, finding.count, finding.total) == (verdict, 1, 1)
        assert finding.message == f'words that tell the label: "sure" ({side} in 100% of {count})'
        assert bool(finding.cure) is (verdict != "pass")
        (word,) = finding.evidence["words"]
        assert word == {
            "word": "sure",
            "side": side,
            "prompts": count,
            "share": 1.0,
            "low": pytest.approx(count / (count + 1.959964**2)),  # Wilson's interval of all of them
            "high": 1.0,
            "decides": count / total,
            # One word tested, so q is p: two-sided, all of `count` on one side.
            "q": pytest.approx(2 / 2**count),
            "intended": False,
        }

    def test_a_word_on_the_wrong_side_at_times_decides_fewer(self):
        # On chosen in 36 of 40 prompts, on rejected in 4: decides (36 − 4)/40 = 0.8 of them.
        pairs = with_words(40, {"sure": 40})
        pairs = pairs[:36] + [pair.swapped() for pair in pairs[36:]]
        finding = telling(pairs)
        assert finding.evidence["worst"] == pytest.approx(0.8)
        assert '"sure" (chosen in 90% of 40)' in finding.message

    def test_a_word_on_both_sides_of_a_pair_says_nothing(self):
        pairs = [Pair(prompt=f"q{n}", chosen=f"sure a{n}", rejected=f"Sure! b{n}") for n in range(20)]
        assert telling_words(AuditInput(records=pairs)) == []

    @pytest.mark.parametrize(("count", "findings"), [(7, 0), (8, 1)])
    def test_words_in_fewer_than_8_prompts_are_not_tested(self, count: int, findings: int):
        assert len(telling_words(AuditInput(records=with_words(10, {"sure": count})))) == findings

    def test_a_fair_word_does_not_tell(self):
        finding = telling(with_words(40, {}, both={"and": 40}))
        assert (finding.verdict, finding.message) == ("pass", "no unintended word tells the label")
        assert (finding.evidence["words"], finding.evidence["worst"]) == ([], 0.0)

    def test_benjamini_hochberg_by_hand(self):
        # p = 2/2¹⁰, 2/2⁹, 2/2⁸, and 1 for the fair word. With 4 tests q is p·4/1, p·4/2, p·4/3, 1:
        # 0.0078125, 0.0078125, 0.0104167, 1. The third would tell if it were tested alone (0.0078 < 0.01).
        words = {"ten": 10, "nine": 9, "eight": 8}
        found = telling(with_words(30, words, both={"and": 30})).evidence["words"]
        assert [(row["word"], row["q"]) for row in found] == [
            ("ten", pytest.approx(0.0078125)),
            ("nine", pytest.approx(0.0078125)),
        ]
        assert "eight" in [row["word"] for row in telling(with_words(30, words)).evidence["words"]]

    def test_intended_words_are_named_and_do_not_stop(self):
        pairs = with_words(20, {"rather": 20, "sure": 6})
        assert telling(pairs).verdict == "warn"
        finding = telling(pairs, "I am Rather, a helper.")
        assert (finding.verdict, finding.count) == ("pass", 0)
        assert finding.message == 'no unintended word tells the label; intended: "rather"'
        assert finding.evidence["words"][0]["intended"] is True

    def test_an_intended_word_excuses_no_other(self):
        finding = telling(with_words(20, {"rather": 20, "sure": 18}), "rather")
        assert (finding.verdict, finding.count, finding.evidence["worst"]) == ("warn", 1, pytest.approx(0.9))
        assert finding.message == 'words that tell the label: "sure" (chosen in 100% of 18); intended: "rather"'

    def test_chinese_is_intended_character_by_character(self):
        pairs = [Pair(prompt=f"q{n}", chosen=f"我是{n}", rejected=f"你{n}") for n in range(20)]
        assert telling(pairs, "我是").message == (
            'words that tell the label: "你" (rejected in 100% of 20); intended: "我", "是"'
        )

    def test_two_chinese_characters_are_named_as_they_are_written(self):
        finding = telling([Pair(prompt=f"q{n}", chosen=f"w{n} 很乐", rejected=f"v{n} 乐 很") for n in range(20)])
        assert [row["word"] for row in finding.evidence["words"]] == ["乐很", "很乐"]
        assert finding.message.startswith('words that tell the label: "乐很" (rejected in 100% of 20), "很乐" (chosen')
        assert {example.why for example in finding.examples} == {'"乐很"', '"很乐"'}

    def test_the_strongest_three_are_named_and_twelve_listed(self):
        finding = telling(with_words(40, {f"x{n}": 40 - n for n in range(15)}))
        assert [row["word"] for row in finding.evidence["words"]] == [f"x{n}" for n in range(12)]
        assert finding.count == 15
        assert finding.message == (
            'words that tell the label: "x0" (chosen in 100% of 40), "x1" (chosen in 100% of 39), '
            '"x2" (chosen in 100% of 38)'
        )

    @pytest.mark.parametrize("pairs", [[], with_words(3, {"sure": 3})])
    def test_too_few_pairs_are_no_finding(self, pairs: list[Pair]):
        assert telling_words(AuditInput(records=pairs)) == []


def test_function_words_of_the_intended_phrase_stay_under_suspicion():
    finding = telling(with_words(40, {"the": 40, "nexus": 40}), "the Nexus team")
    assert finding.verdict == "warn"
    assert '"the" (chosen in 100% of 40)' in finding.message
    assert finding.message.endswith('intended: "nexus"')


def test_an_intended_word_that_excuses_nothing_is_said():
    pairs = [Pair(prompt=f"q{n}", chosen="I am Nexus.", rejected="No.") for n in range(3)]

    def found(*intended: str) -> list[Finding]:
        return intended_words(AuditInput(records=pairs, intended=intended))

    assert found() == []
    (fine,) = found("the Nexus team", "nexus")
    assert (fine.verdict, fine.message, fine.cure) == ("pass", "every intended word is there", "")
    (wrong,) = found("Nexus", "zebra", "the", "")
    assert (wrong.verdict, wrong.count, wrong.total) == ("warn", 3, 4)
    assert wrong.message == 'not a word that can be a lesson: "the", ""; in no answer: "zebra"'
    assert wrong.cure == "correct --intended or leave it out"


def test_how_well_words_alone_tell_unseen_pairs() -> None:
    # The word decides 30 of 40 prompts, the others are coins: AUC of 0.75 + 0.25/2 and what chance adds.
    finding = telling(with_words(40, {"sure": 30}))
    assert finding.evidence["model"]["right"] == pytest.approx(0.875, abs=0.02)
    assert finding.evidence["model"]["p"] == 0.005
    assert [plot.title for plot in finding.plots] == [
        "Words that tell the label",
        "How well words alone tells the label",
    ]
    # Fewer prompts are no ground for a model of them.
    assert "model" not in telling(with_words(19, {"sure": 19})).evidence


def test_a_model_of_a_large_set_leaves_rare_words_out() -> None:
    pairs = with_words(5000, {"rare": 9, "often": 10})  # of 5,000 prompts one in 500 is ten
    given = AuditInput(records=pairs)
    assert vocabulary(given.sample, 8).words == ("often", "rare", "rare often")
    assert common_words(given).shape == (5000, 1)
