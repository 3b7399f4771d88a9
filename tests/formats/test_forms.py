"""The forms of pairs and ranked lists that other programs write: told by the first row, read, written and read again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rather.errors import InputError, RowError
from rather.formats import READERS, TARGETS, iter_examples, read_pairs
from rather.records import Message, Pair, RankedList
from tests.conftest import WriteFile
from tests.formats.test_native import TEXT


def user(text: str) -> Message:
    return Message(role="user", content=text)


def said(text: str) -> Message:
    return Message(role="assistant", content=text)


SYSTEM = Message(role="system", content="Be brief.")
TURN = {"role": "user", "content": "Q"}
A, B = [{"role": "assistant", "content": "a"}], [{"role": "assistant", "content": "b"}]

NECTAR: dict[str, Any] = {
    "prompt": "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Why?\n\nAssistant: ",
    "answers": [
        {"answer": "worst", "model": "m3", "rank": 3.0},
        {"answer": "best", "model": "m1", "rank": 1.0},
        {"answer": "second", "model": "m2", "rank": 2.0},
    ],
}
SHP: dict[str, Any] = {
    "history": "Why?",
    "human_ref_A": "So.",
    "human_ref_B": "Because.",
    "labels": 0,
    "score_A": 3,
    "score_B": 9,
    "score_ratio": 3.0,
    "domain": "askscience_train",
}
OPENAI: dict[str, Any] = {
    "input": {
        "messages": [{"role": "developer", "content": "Be brief."}, TURN],
        "tools": [],
        "parallel_tool_calls": True,
    },
    "preferred_output": A,
    "non_preferred_output": B,
}
LLMBAR: dict[str, Any] = {"input": "Why?", "output_1": "So.", "output_2": "Because.", "label": 2}
ALPACA = {"instruction": "Add.", "input": "1, 2", "chosen": "3", "rejected": "4"}


@pytest.mark.parametrize(
    ("row", "form", "expected"),
    [
        (OPENAI, "openai", Pair(prompt=(SYSTEM, user("Q")), chosen="a", rejected="b")),
        (ALPACA, "alpaca", Pair(prompt=(user("Add.\n1, 2"),), chosen="3", rejected="4")),
        (
            {"instruction": "Q", "input": None, "output": ["a", "b"], "system": "Be brief.", "history": [["Hi", "Ho"]]},
            "alpaca",
            Pair(prompt=(SYSTEM, user("Hi"), said("Ho"), user("Q")), chosen="a", rejected="b"),
        ),
        (
            {"system": "", "question": "Q", "chosen": "a", "rejected": "b"},
            "alpaca",
            Pair(prompt=(user("Q"),), chosen="a", rejected="b"),
        ),
        (
            SHP,
            "shp",
            Pair(
                prompt=(user("Why?"),),
                chosen="Because.",
                rejected="So.",
                tags={"domain": "askscience_train", "score_ratio": "3.0"},
            ),
        ),
        (
            NECTAR,
            "nectar",
            RankedList(prompt=(user("Hi"), said("Hello"), user("Why?")), ranked=("best", "second", "worst")),
        ),
        (
            {"prompt": "Q", "chosen": [TURN, *A], "rejected": [TURN, *B], "messages": [TURN, *A]},
            "trl",
            Pair(prompt=(user("Q"),), chosen="a", rejected="b"),
        ),
        (
            {"prompt": [TURN], "chosen": A, "rejected": B, "tools": None},
            "trl",
            Pair(prompt=(user("Q"),), chosen="a", rejected="b"),
        ),
    ],
)
def test_a_published_row_is_told_by_its_columns_and_read(
    write_file: WriteFile, row: dict[str, Any], form: str, expected: Any
):
    reading = read_pairs(write_file([row]))
    assert (reading.format, reading.refused) == (form, [])
    assert [record.model_copy(update={"source": None}) for record in reading.records] == [expected]


def changed(row: dict[str, Any], **change: Any) -> dict[str, Any]:
    return {**row, **change}


def ranks(*places: Any) -> list[dict[str, Any]]:
    return [{"answer": f"text {n}", "rank": place} for n, place in enumerate(places)]


@pytest.mark.parametrize(
    ("good", "bad", "reason"),
    [
        (OPENAI, changed(OPENAI, input=[TURN]), '"input" is an array, not an object'),
        (OPENAI, changed(OPENAI, input={}), '"messages" is null'),
        (
            OPENAI,
            changed(OPENAI, input={"messages": [TURN], "tools": [{"type": "function"}]}),
            '"tools" has one without a name',
        ),
        (
            OPENAI,
            changed(OPENAI, input={"messages": [TURN], "temperature": 1}),
            '"input" has "temperature", which is not known',
        ),
        (OPENAI, changed(OPENAI, preferred_output=[]), '"preferred_output" is empty'),
        (
            OPENAI,
            changed(OPENAI, preferred_output=[*A, *B]),
            '"preferred_output" has 2 turns; it must be one assistant turn',
        ),
        (ALPACA, changed(ALPACA, question="Q"), 'has instruction and question of "instruction" and "question"'),
        (ALPACA, changed(ALPACA, instruction=None), 'has neither of "instruction" and "question"'),
        (ALPACA, changed(ALPACA, chosen=["3"]), '"chosen" is an array; beside an "instruction" it is text'),
        (
            ALPACA,
            {"instruction": "Q", "output": ["a", "b", "c"]},
            '"output" has 3 answers; a pair has two, the better one first',
        ),
        (ALPACA, changed(ALPACA, history=[["Hi"]]), '"history 1" has 1 texts; it must be a question and its answer'),
        (ALPACA, changed(ALPACA, rejected=" "), '"rejected" is empty'),
        (SHP, changed(SHP, labels=2), "\"labels\" is '2'; it must be 1 where A is better"),
        (SHP, changed(SHP, labels=1), '"labels" is 1, but the scores are 3 for A and 9 for B'),
        (SHP, changed(SHP, score_A=9), "both comments were scored 9, so neither is the better one"),
        (SHP, changed(SHP, score_A="many"), "\"score_A\" is 'many', not a number"),
        (SHP, changed(SHP, history=None), '"history" is null, not text'),
        (
            NECTAR,
            changed(NECTAR, answers=ranks(1, 2, 2)),
            "2 answers share rank 2, and a ranked list has no ties; `rather pair`",
        ),
        (NECTAR, changed(NECTAR, answers=ranks(1, 0)), '"answers 2" has the rank 0; ranks are whole numbers from 1'),
        (NECTAR, changed(NECTAR, answers=ranks(1, None)), 'has no "answers 2 rank"'),
        (NECTAR, changed(NECTAR, answers=ranks(1)), '"ranked" has 1 answer; a ranking needs two or more'),
        (NECTAR, changed(NECTAR, answers=["best", "worst"]), '"answers 1" is a string, not an object'),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_with_its_line(
    write_file: WriteFile, good: dict[str, Any], bad: dict[str, Any], reason: str
):
    path = write_file([good, bad, good])
    reading = read_pairs(path)
    assert len(reading.records) == 2
    (refusal,) = reading.refused
    assert refusal.place == f"{path}:2"
    assert refusal.reason.startswith(reason)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"chosen": [TURN, *A], "rejected": [{"role": "user", "content": "R"}, *B]}, "the two sides differ before"),
        (
            {"prompt": "R", "chosen": [TURN, *A], "rejected": [TURN, *B]},
            '"chosen" and "rejected" are whole conversations, and "prompt" is not what they begin with',
        ),
    ],
)
def test_trl_rows_that_would_be_another_conversation_are_refused(
    write_file: WriteFile, change: dict[str, Any], reason: str
):
    good = {"prompt": [TURN], "chosen": A, "rejected": B}
    (refusal,) = read_pairs(write_file([good, {**good, **change}])).refused
    assert refusal.reason.startswith(reason)


def test_a_tools_answer_is_carried_as_a_turn(write_file: WriteFile):
    turns = [TURN, {"role": "assistant", "content": "f(1)"}, {"role": "tool", "content": "2"}]
    (pair,) = read_pairs(write_file([{"prompt": turns, "chosen": A, "rejected": B, "tools": "[]"}])).pairs
    assert pair.prompt == (user("Q"), said("f(1)"), Message(role="tool", content="2"))


CHAT = Pair(prompt=(user("Hi"), said("Ho"), user("Q")), chosen="a", rejected="b")
EACH: dict[str, Any] = {
    "native": CHAT,
    "trl": CHAT,
    "hh": CHAT,
    "sharegpt": CHAT,
    "openai": CHAT,
    "alpaca": CHAT,
}
FIRST_ROWS = {
    "native": TARGETS["native"].write(CHAT),
    "hh": TARGETS["hh"].write(CHAT),
    "sharegpt": TARGETS["sharegpt"].write(CHAT),
    "openai": OPENAI,
    "shp": SHP,
    "alpaca": ALPACA,
    "nectar": NECTAR,
    "llmbar": LLMBAR,
    "rewardbench": {"prompt": "Q", "chosen": "a", "rejected": "b", "subset": "hep-go", "id": 30},
    "trl": TARGETS["trl"].write(CHAT),
    "ranked": {"prompt": "Q", "ranked": ["a", "b"]},
    "unpaired": {"prompt": "Q", "completion": "a", "label": True},
    "kto": {"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "a"}], "label": True},
}


@pytest.mark.parametrize("form", READERS)
def test_the_order_of_the_readers_gives_each_form_its_own_row(form: str):
    row = FIRST_ROWS[form]
    assert next(name for name, module in READERS.items() if module.matches(row)) == form
    # Where several would take the row, an earlier one says more of it: TRL's is the only catch-all.
    assert {name for name, module in READERS.items() if module.matches(row)} - {form, "trl"} == set()


TRIMMED = TEXT.map(str.strip).filter(bool) | st.sampled_from(["Human: no", "Assistant:"])


@st.composite
def dialogues(draw: st.DrawFn) -> Pair:
    """A pair that every form of pairs can hold: questions and answers in turn, perhaps behind a system turn."""
    texts = draw(st.lists(TRIMMED, min_size=1, max_size=5).filter(lambda texts: len(texts) % 2 == 1))
    turns = tuple((user, said)[place % 2](text) for place, text in enumerate(texts))
    return Pair(prompt=turns, chosen=draw(TRIMMED), rejected=draw(TRIMMED))


@pytest.mark.parametrize("form", EACH)
@given(pair=dialogues(), system=st.booleans())
def test_written_and_read_is_the_same(form: str, pair: Pair, system: bool):
    if system and form != "hh":
        pair = pair.model_copy(update={"prompt": (SYSTEM, *pair.prompt)})
    row = json.loads(json.dumps(TARGETS[form].row(form, pair)))
    assert READERS[form].parse(row) == pair
    assert next(name for name, module in READERS.items() if module.matches(row)) == form


TEXT_PAIR = Pair(prompt="Q", chosen="a", rejected="b")


@pytest.mark.parametrize(
    ("form", "pair", "reason"),
    [
        ("hh", TEXT_PAIR, "its prompt is plain text; --as-chat makes it a conversation"),
        ("sharegpt", TEXT_PAIR, "its prompt is plain text"),
        ("openai", TEXT_PAIR, "its prompt is plain text"),
        ("alpaca", TEXT_PAIR, "its prompt is plain text"),
        ("hh", CHAT.model_copy(update={"prompt": (SYSTEM, user("Q"))}), "has a system turn; a transcript has only"),
        ("hh", CHAT.model_copy(update={"prompt": (said("Ho"), user("Q"))}), "begins with an assistant turn"),
        ("hh", CHAT.model_copy(update={"chosen": " a"}), "a turn begins or ends with white space"),
        ("hh", CHAT.model_copy(update={"chosen": "a\n\nHuman: b"}), "a turn contains a mark of the transcript"),
        ("hh", CHAT.model_copy(update={"chosen": "a\n\nAssistant: b"}), "a turn contains a mark of the transcript"),
        (
            "sharegpt",
            CHAT.model_copy(update={"prompt": (user("Q"), said("f"), Message(role="tool", content="2"))}),
            "has a turn of tools",
        ),
        (
            "alpaca",
            CHAT.model_copy(update={"prompt": (user("Q"), user("R"))}),
            "its turns are not questions and answers in turn",
        ),
        ("hh", CHAT.model_copy(update={"probability": 0.5}), "has a probability of 0.5, which hh cannot hold"),
        ("trl", CHAT.model_copy(update={"probability": 0.5}), "has a probability of 0.5, which trl cannot hold"),
        (
            "trl",
            CHAT.model_copy(update={"weight": 2.0}),
            "has a weight of 2, which trl cannot hold; write it as native",
        ),
        (
            "openai",
            CHAT.model_copy(update={"margin": 2.0}),
            "has a margin of 2, which openai cannot hold; write it as",
        ),
    ],
)
def test_a_pair_that_a_form_cannot_hold_is_refused(form: str, pair: Pair, reason: str):
    with pytest.raises(RowError) as caught:
        TARGETS[form].row(form, pair)
    assert caught.value.reason.startswith(reason)


def test_what_says_nothing_more_is_no_obstacle():
    pair = CHAT.model_copy(update={"probability": 1.0, "margin": 0.0, "weight": 1.0})
    assert READERS["hh"].parse(TARGETS["hh"].row("hh", pair)) == CHAT


def test_a_stream_says_what_it_has_seen(write_file: WriteFile):
    path = write_file([changed(SHP, upvotes=3), changed(SHP, labels=7), SHP])
    stream = iter_examples(path)
    assert (stream.format, stream.rows) == ("", 0)
    kinds = [type(record).__name__ for record in stream]
    assert kinds == ["Pair", "Refusal", "Pair"]
    assert (stream.format, stream.rows, dict(stream.unread_columns)) == ("shp", 3, {"upvotes": 1})


def test_rows_of_another_form_are_refused_one_by_one(write_file: WriteFile):
    reading = read_pairs(write_file([SHP, ALPACA, SHP]))
    assert len(reading.pairs) == 2
    assert [refusal.reason for refusal in reading.refused] == ['has no "history"']


def test_a_csv_of_pairs_is_read_and_a_missing_header_is_said(write_file: WriteFile, tmp_path: Path):
    path = write_file('\ufeffprompt,chosen,rejected\n"Why, ""so""?",a,b\n,a,b\n', "pairs.csv")
    reading = read_pairs(path)
    assert [pair.prompt for pair in reading.pairs] == ['Why, "so"?']
    assert [refusal.place for refusal in reading.refused] == [f"{path}:3"]
    with pytest.raises(InputError, match=r'headless.csv:2: has no "chosen" \(it has Why\?, a, b\)'):
        read_pairs(write_file("Why?,a,b\nWho?,a,b\n", "headless.csv"))


class TestLLMBar:
    @pytest.mark.parametrize(("label", "chosen"), [(1, "So."), (2, "Because."), ("2", "Because.")])
    def test_the_label_is_the_number_of_the_better_output(self, write_file: WriteFile, label: int | str, chosen: str):
        reading = read_pairs(write_file([{**LLMBAR, "label": label}], "Natural.jsonl"))
        (pair,) = reading.pairs
        assert (reading.format, pair.chosen, pair.prompt) == ("llmbar", chosen, (user("Why?"),))

    @pytest.mark.parametrize("label", [0, 3, True, None, "first"])
    def test_another_label_is_refused(self, write_file: WriteFile, label: Any):
        (refusal,) = read_pairs(write_file([LLMBAR, {**LLMBAR, "label": label}])).refused
        assert refusal.reason.endswith("it must be 1 or 2, the number of the better output")

    def test_the_published_files(self, shared_data: Callable[[str], Path]):
        counts = {name: read_pairs(shared_data(f"llmbar/{name}.json")) for name in ("Natural", "GPTInst", "GPTOut")}
        assert {name: (r.format, len(r.pairs), len(r.refused)) for name, r in counts.items()} == {
            "Natural": ("llmbar", 100, 0), "GPTInst": ("llmbar", 92, 0), "GPTOut": ("llmbar", 47, 0),
        }  # fmt: skip
