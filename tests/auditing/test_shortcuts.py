from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rather.auditing.findings import AuditInput
from rather.auditing.shortcuts import (
    intended_words,
    length_difference,
    telling_words,
    words_of,
)
from rather.records import Finding, Pair, Verdict


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The cat's 2nd hat_box.", ["the", "cat", "s", "2nd", "hat", "box"]),
        ("你好, world", ["你", "好", "world"]),
        ("カナ 한글", ["カ", "ナ", "한", "글"]),
        ("Ünïcödé", ["ünïcödé"]),
        ("…?! _", []),
    ],
)
def test_words_of(text: str, words: list[str]):
    assert words_of(text) == words


def by_length(longer: int, shorter: int, equal: int = 0) -> list[Pair]:
    """Pairs whose chosen answer is longer (by 2 words), shorter (by 1), or as long."""
    sizes = [(3, 1)] * longer + [(1, 2)] * shorter + [(1, 1)] * equal
    return [Pair(prompt=f"q{n}", chosen="a " * left, rejected="b " * right) for n, (left, right) in enumerate(sizes)]


def length(longer: int, shorter: int, equal: int = 0) -> Finding:
    (finding,) = length_difference(AuditInput(records=by_length(longer, shorter, equal)))
    return finding


class TestLengthDifference:
    @pytest.mark.parametrize(
        ("longer", "shorter", "p"),
        [
            # Two-sided sign test: P(as far from n/2 or farther).
            (7, 0, 2 / 2**7),  # 0.0156
            (8, 0, 2 / 2**8),  # 0.0078
            (0, 8, 2 / 2**8),
            (9, 1, 2 * (1 + 10) / 2**10),  # 0.0215
            (5, 5, 1.0),
            # 10 or more of 12, and 2 or fewer: 2·(66 + 12 + 1)/4096 = 0.0386
            (10, 2, 158 / 4096),
        ],
    )
    def test_p_by_hand(self, longer: int, shorter: int, p: float):
        assert length(longer, shorter).evidence["p"] == pytest.approx(p, rel=1e-9)

    @pytest.mark.parametrize(
        ("longer", "shorter", "low", "high"),
        [
            # Wilson, z = 1.959964: all of n gives (n/(n + z²), 1) = 10/13.841459
            (10, 0, 0.722467, 1.0),
            # 80 of 100: (0.8 + z²/200 ± z·√(0.16/100 + z²/40000)) / (1 + z²/100)
            #          = (0.819207 ± 0.080717) / 1.038415
            (80, 20, 0.711171, 0.866633),
        ],
    )
    def test_interval_by_hand(self, longer: int, shorter: int, low: float, high: float):
        evidence = length(longer, shorter).evidence
        assert (evidence["low"], evidence["high"]) == (pytest.approx(low, abs=2e-6), pytest.approx(high, abs=2e-6))

    @pytest.mark.parametrize(
        ("longer", "shorter", "verdict"),
        [
            (65, 35, "pass"),  # sure (p = 0.0035), but not far enough from one half
            (66, 34, "warn"),
            (35, 65, "pass"),
            (34, 66, "warn"),
            (7, 0, "pass"),  # far, but not sure (p = 0.016)
            (8, 0, "warn"),
        ],
    )
    def test_it_must_be_sure_and_far_from_one_half(self, longer: int, shorter: int, verdict: Verdict):
        finding = length(longer, shorter)
        assert (finding.verdict, finding.count, finding.total) == (verdict, longer, longer + shorter)
        side = "longer" if longer > shorter else "shorter"
        cure = f"balance the lengths, or the model learns to answer {side}"
        assert finding.cure == (cure if verdict == "warn" else "")

    def test_pairs_of_equal_length_have_no_say(self):
        finding = length(8, 0, equal=100)
        assert (finding.verdict, finding.total, finding.evidence["share_longer"]) == ("warn", 8, 1.0)
        # Wilson: 8/(8 + 3.841459) = 0.6756; the median is over all pairs, also the equal ones
        assert finding.message == (
            "chosen is the longer answer in 100% of the 8 pairs of unequal length (95 % interval 68% to 100%; "
            "median difference +0 words)"
        )

    @pytest.mark.parametrize("equal", [0, 3])
    def test_nothing_to_compare_is_no_finding(self, equal: int):
        assert length_difference(AuditInput(records=by_length(0, 0, equal))) == []


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


WORDS = st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=4).map(" ".join)


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=40))
def test_swapping_every_pair_swaps_the_sides_and_keeps_the_verdicts(texts: list[tuple[str, str]]):
    pairs = [Pair(prompt=f"q{n}", chosen=left, rejected=right) for n, (left, right) in enumerate(texts)]
    forth, back = AuditInput(records=pairs), AuditInput(records=[pair.swapped() for pair in pairs])
    for one, other in zip(length_difference(forth), length_difference(back), strict=True):
        assert one.verdict == other.verdict
        assert one.count + other.count == one.total == other.total
        assert one.evidence["p"] == pytest.approx(other.evidence["p"])
    for one, other in zip(telling_words(forth), telling_words(back), strict=True):
        assert one.verdict == other.verdict
        exchanged = {"chosen": "rejected", "rejected": "chosen"}
        assert [(row["word"], row["side"]) for row in one.evidence["words"]] == [
            (row["word"], exchanged[row["side"]]) for row in other.evidence["words"]
        ]


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
