"""What the audit says of ranked lists and of single answers."""

from __future__ import annotations

import pytest

from rather.auditing import CHECKS, SKIPPED, audit
from rather.records import Example, Pair, RankedList, Single


def lists(count: int) -> list[RankedList]:
    return [RankedList(prompt=f"q{n}", ranked=(f"yes {n}", f"perhaps {n}", f"no {n}")) for n in range(count)]


def singles(count: int) -> list[Single]:
    return [Single(prompt=f"q{n}", completion=f"text {n}", label=n % 2 == 0) for n in range(count)]


def count_of(records: list[Example], check: str) -> int:
    return next(finding.count for finding in audit(records).findings if finding.check == check)


def test_nothing_wrong_passes_in_words_of_its_own() -> None:
    assert audit(lists(4)).lines()[-1] == "audit: verdict pass on 4 ranked lists"
    said = audit(singles(4)).lines()
    assert said[-1] == "audit: verdict pass on 4 single answers"
    assert said[-2] == "audit: note: `rather pair FILE --out DIR` makes pairs where one prompt has good and bad answers"
    assert said[-3] == (
        "audit: skipped, for it compares two answers to one prompt: identical_sides, identical_after_truncation, "
        "cut_unevenly, shared_beginning, displacement_risk, cycles, length_difference, format_difference, tone_difference, "
        "telling_words, intended_words, source_difference, position_difference, shortcuts_together, coverage, "
        "learning_curve, likely_mislabels"
    )
    assert audit(singles(4)).as_json()["skipped"] == list(SKIPPED["sample"])
    assert {name for names in SKIPPED.values() for name in names} <= set(CHECKS)


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"ranked": ("a1", "b1", "a1 ")}, "identical_sides"),
        ({"ranked": ("a1", "…", "b1")}, "empty_sides"),
    ],
)
def test_one_bad_list_of_four(change: dict[str, tuple[str, ...]], check: str) -> None:
    records: list[Example] = [*lists(4)[:3], lists(4)[3].model_copy(update=change)]
    assert count_of(records, check) == 1


def test_a_list_in_another_order_is_a_contradiction_and_in_the_same_a_duplicate() -> None:
    other = lists(1)[0].model_copy(update={"ranked": ("no 0", "perhaps 0", "yes 0")})
    assert count_of([*lists(3), other], "contradictions") == 2
    assert count_of([*lists(3), *lists(1)], "contradictions") == 0
    assert count_of([*lists(3), *lists(1)], "duplicates") == 1


def test_good_and_bad_of_one_answer_is_a_contradiction() -> None:
    other = singles(1)[0].model_copy(update={"label": False})
    assert count_of([*singles(3), other], "contradictions") == 2
    assert count_of([*singles(3), *singles(1)], "duplicates") == 1


def test_one_is_counted_as_one() -> None:
    assert audit(singles(1)).lines()[-1].endswith("on 1 single answer")
    assert audit(lists(1)).lines()[-1].endswith("on 1 ranked list")
    pair = Pair(prompt="q", chosen="yes", rejected="no")
    assert audit([pair]).lines()[-1].endswith("on 1 pair")
    assert audit([pair, pair]).lines()[-1].endswith("on 2 pairs")


def test_a_single_answer_has_no_two_languages() -> None:
    (found,) = (finding for finding in audit(singles(30)).findings if finding.check == "other_language")
    assert "another language than the prompt" in found.message


def test_one_text_for_every_question_is_seen_on_its_side() -> None:
    records: list[Example] = [Single(prompt=f"q{n}", completion="No.", label=False) for n in range(30)]
    found = [finding for finding in audit(records).findings if finding.check == "constant_answer"]
    assert [(finding.verdict, finding.count) for finding in found] == [("pass", 0), ("stop", 30)]
    assert "the same bad answer" in found[1].message


def test_the_best_and_the_last_of_a_list_tell_its_shortcuts() -> None:
    records: list[Example] = [
        RankedList(prompt=f"q{n}", ranked=(f"sure {n} of it", f"middle {n}", f"no {n}")) for n in range(40)
    ]
    verdicts = {finding.check: finding.verdict for finding in audit(records).findings}
    assert (verdicts["length_difference"], verdicts["telling_words"]) == ("warn", "warn")
