"""A cleaned copy: what each operation does, worked by hand, and that all of it can be taken back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rather.auditing.fixing import OPERATIONS, fix, log_of, undo, undone, write_fixed
from rather.errors import ConfigError, InputError
from rather.formats import read_pairs, write_pairs
from rather.formats.native import write
from rather.records import Example, Pair, RankedList, Single


def said(prompt: str, chosen: str, rejected: str, **fields: float) -> Pair:
    return Pair.model_validate({"prompt": prompt, "chosen": chosen, "rejected": rejected, **fields})


def left(records: list[Example], *operations: str) -> list[tuple[object, ...]]:
    """(chosen, rejected, probability, weight) of what is left."""
    kept = fix(records, operations).records
    return [(pair.chosen, pair.rejected, pair.probability, pair.weight) for pair in kept if isinstance(pair, Pair)]


AB, BA, CD = said("q", "a", "b"), said("q", "b", "a"), said("q", "c", "d")
SAME, EMPTY = said("q", "x", " x "), said("q", "…", "y")


@pytest.mark.parametrize(
    ("operation", "records", "expected"),
    [
        ("drop-identical", [SAME, AB], [("a", "b", None, None)]),
        ("drop-empty", [AB, EMPTY], [("a", "b", None, None)]),
        ("drop-duplicates", [AB, AB, BA], [("a", "b", None, None), ("b", "a", None, None)]),
        ("drop-contradictions", [AB, BA, CD], [("c", "d", None, None)]),
        # three for a over b (one of weight 2), one against: 4 of 5
        (
            "merge",
            [AB, said("q", "a", "b", weight=2.0), BA, AB, CD],
            [("a", "b", 0.8, 5.0), ("c", "d", None, None)],
        ),
        # one for, two against: the sides are exchanged, ⅔ for b
        ("merge", [AB, BA, BA], [("b", "a", pytest.approx(2 / 3), 3.0)]),
        # 0.7 for a, and 0.6 for b, which is 0.4 for a: 0.55
        (
            "merge",
            [said("q", "a", "b", probability=0.7), said("q", "b", "a", probability=0.6)],
            [("a", "b", pytest.approx(0.55), 2.0)],
        ),
        ("exchange", [said("q", "a", "b", probability=0.2), AB], [("b", "a", 0.8, None), ("a", "b", None, None)]),
        ("soften", [AB, AB, BA], [("a", "b", pytest.approx(2 / 3), None)] * 2 + [("b", "a", pytest.approx(1 / 3), None)]),
        (
            "soften",
            [AB, said("q", "b", "c"), said("q", "c", "a"), said("q", "a", "d")],
            [("a", "b", 2 / 3, None), ("b", "c", 2 / 3, None), ("c", "a", 2 / 3, None), ("a", "d", None, None)],
        ),
    ],
)  # fmt: skip
def test_what_each_operation_does(operation: str, records: list[Example], expected: list[tuple[object, ...]]):
    assert left(records, operation) == expected


LONGER = [said(f"q{n}", "one two three", "one two") for n in range(3)]
SHORTER = [said("r", "one", "one more"), said("s", "two", "two more")]
MUCH = [said("t", "one two three four five six", "one")]


def test_lengths_are_balanced_at_each_size_of_the_difference():
    # a difference of one word: three longer, two shorter; of five words: one longer and none shorter
    kept = fix([*LONGER, *SHORTER, *MUCH], ["balance-drop"]).records
    assert len(kept) == 4
    assert [pair for pair in kept if pair in SHORTER] == SHORTER
    assert MUCH[0] not in kept
    weights = [pair.weight for pair in fix([*LONGER, *SHORTER, *MUCH], ["balance-weight"]).records]
    assert weights == [pytest.approx(2 / 3)] * 3 + [None] * 2 + [0.05]


def test_one_after_the_other_and_each_row_is_in_the_log():
    fixed = fix([AB.model_copy(update={"source": "p:1"}), SAME, AB, BA], ["drop-identical", "merge"])
    log = [(change.row, change.place, change.operation, change.after is None) for change in fixed.changes]
    assert log == [
        (1, SAME.id, "drop-identical", True), (0, "p:1", "merge", False), (2, AB.id, "merge", True), (3, BA.id, "merge", True),
    ]  # fmt: skip
    assert fixed.lines() == [
        "fix: drop-identical: 1 dropped, 0 changed", "fix: merge: 2 dropped, 1 changed", "fix: 1 record is left",
    ]  # fmt: skip


texts = st.sampled_from(["a", "b", "c d", "e f g", "…", "h"])
made = st.builds(
    lambda prompt, chosen, rejected, probability, weight: Pair(
        prompt=prompt, chosen=chosen, rejected=rejected, probability=probability, weight=weight
    ),
    st.sampled_from("pq"), texts, texts, st.sampled_from([None, 0.2, 0.5, 1.0]), st.sampled_from([None, 0.5, 3.0]),
)  # fmt: skip


@given(st.lists(made, max_size=12), st.lists(st.sampled_from(sorted(OPERATIONS)), min_size=1, max_size=4))
def test_the_log_backwards_gives_the_input_back(records: list[Example], operations: list[str]):
    fixed = fix(records, operations)
    assert undone([write(pair) for pair in fixed.records if isinstance(pair, Pair)], fixed.changes) == [
        write(pair) for pair in records if isinstance(pair, Pair)
    ]


def test_files_there_and_back(tmp_path: Path):
    records = [AB, SAME, AB, BA, said("文", "好", "不好", margin=0.5)]
    given_file, out, back = tmp_path / "in.jsonl", tmp_path / "out.jsonl", tmp_path / "back.jsonl"
    write_pairs(given_file, records)
    log = write_fixed(fix(read_pairs(given_file).records), out)
    assert (log, log.name) == (log_of(out), "out.log.jsonl")
    assert [pair.id for pair in read_pairs(out).records] != [pair.id for pair in records]
    assert json.loads(log.read_text().splitlines()[0])["place"] == f"{given_file}:2"
    assert undo(out, back) == 5
    assert back.read_bytes() == given_file.read_bytes()
    out.write_text(out.read_text().replace('"a"', '"z"'))
    with pytest.raises(InputError, match=r"row 0 is not as merge left it; the copy was changed since"):
        undo(out, back)
    log.unlink()
    with pytest.raises(InputError, match=r"is not the log of a cleaned copy"):
        undo(out, back)


def test_lists_and_single_answers_take_what_makes_sense_of_them():
    ranked = RankedList(prompt="q", ranked=("a", "b"))
    single = Single(prompt="q", completion="a", label=True)
    assert fix([ranked, ranked]).records == [ranked]
    assert fix([single, single]).records == [single]
    with pytest.raises(ConfigError, match="--fix-with merge: is for pairs, and these are ranked lists"):
        fix([ranked], ["merge"])
    with pytest.raises(ConfigError, match='no operation is called "drop"'):
        fix([AB], ["drop"])


def test_nothing_to_mend():
    assert fix([AB, CD]).changes == []
    assert fix([]).records == []
