from __future__ import annotations

import gzip
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rather.errors import ConfigError, InputError
from rather.formats import (
    READERS,
    Reading,
    Refusal,
    load_pairs,
    read_pairs,
    require_clean,
    write_refused,
)
from rather.records import Message, Pair, Single
from tests.conftest import WriteFile

GOOD = {"prompt": "Q", "chosen": "a", "rejected": "b"}
TURNS = [{"from": "human", "value": "Q"}]
TRANSCRIPT = {"chosen": "\n\nHuman: Q\n\nAssistant: a", "rejected": "\n\nHuman: Q\n\nAssistant: b"}


def refusals(reading: Reading) -> list[tuple[int, str]]:
    """Line and reason of each refused row."""
    found = []
    for refusal in reading.refused:
        file, _, line = refusal.place.rpartition(":")
        assert file == str(reading.path)
        found.append((int(line), refusal.reason))
    return found


@pytest.mark.parametrize("name", READERS)
def test_every_reader_keeps_the_contract(name: str):
    module = READERS[name]
    assert set(module.REQUIRED) <= module.FIELDS
    assert module.matches({}) is False
    assert list(inspect.signature(module.parse).parameters) == ["row"]
    assert inspect.getdoc(module)


@pytest.mark.parametrize(
    ("row", "form"),
    [
        (GOOD, "trl"),
        ({**GOOD, "tags": {}}, "native"),
        (TRANSCRIPT, "hh"),
        ({**TRANSCRIPT, "score": 1}, "trl"),
        (
            {
                "conversations": TURNS,
                "chosen": {"from": "gpt", "value": "a"},
                "rejected": {"from": "gpt", "value": "b"},
            },
            "sharegpt",
        ),
        ({"chosen": "Q a", "rejected": "Q b", "tags": {}}, "trl"),
    ],
)
def test_the_first_row_tells_the_form(write_file: WriteFile, row: dict[str, Any], form: str):
    reading = read_pairs(write_file([row, row]))
    assert (reading.format, reading.rows, len(reading.pairs)) == (form, 2, 2)


def test_a_named_form_is_not_guessed(write_file: WriteFile):
    reading = read_pairs(write_file([TRANSCRIPT]), format="trl")
    assert reading.format == "trl"
    assert reading.pairs[0].prompt == "\n\nHuman: Q\n\nAssistant:"


def test_a_broken_first_row_does_not_hide_the_form(write_file: WriteFile):
    reading = read_pairs(write_file('{"prompt": \n' + json.dumps(TRANSCRIPT) + "\n"))
    assert (reading.format, reading.rows, len(reading.pairs)) == ("hh", 2, 1)
    assert [line for line, _ in refusals(reading)] == [1]


def test_bad_rows_are_listed_with_their_lines_and_the_others_read(write_file: WriteFile):
    rows = [
        json.dumps(GOOD),
        json.dumps({**GOOD, "chosen": None}),
        "",
        '{"prompt": "Q", "chosen": "a", "rejected"',
        json.dumps({"prompt": "Q", "chosen": "a", "rejectd": "b"}),
        '{"prompt": "Q", "chosen": "a", "chosen": "c", "rejected": "b"}',
        json.dumps(GOOD),
    ]
    reading = read_pairs(write_file("\r\n".join(rows)))
    assert [pair.source for pair in reading.pairs] == [f"{reading.path}:1", f"{reading.path}:7"]
    assert reading.rows == 6
    (null, broken, misspelt, twice) = refusals(reading)
    assert null == (2, '"chosen" is null')
    assert broken[0] == 4
    assert broken[1].startswith("is not JSON (Expecting ':' delimiter")
    assert misspelt == (5, 'has no "rejected"')
    assert twice == (6, 'has the key "chosen" twice')


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            {"prompt": "Q", "chosen": "a", "rejectd": "b"},
            'has no "rejected" (it has chosen, prompt, rejectd); a pair needs "prompt", "chosen" and "rejected"',
        ),
        ({}, 'has no "chosen" (it has no fields); a pair needs "prompt", "chosen" and "rejected"'),
        (
            dict.fromkeys("zyxwvutsrq", 1),
            'has no "chosen" (it has q, r, s, t, u, v, w, x); a pair needs "prompt", "chosen" and "rejected"',
        ),
    ],
)
def test_a_first_row_of_no_known_form_is_an_error_with_place_and_cure(
    write_file: WriteFile, row: dict[str, Any], said: str
):
    path = write_file([row, GOOD])
    with pytest.raises(InputError) as caught:
        read_pairs(path)
    others = ', a ranked list "prompt" and "ranked", a single answer "prompt", "completion" and "label"'
    assert str(caught.value) == f"{path}:1: {said}{others}"


@pytest.mark.parametrize("content", [b"", b"\n \n", b"[]", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_file_without_rows_is_an_error(write_file: WriteFile, content: bytes, packed: bool):
    path = write_file(gzip.compress(content), "pairs.jsonl.gz") if packed else write_file(content)
    with pytest.raises(InputError) as caught:
        read_pairs(path)
    assert str(caught.value) == f"{path}: is empty; it must hold at least one row"


@pytest.mark.parametrize(
    ("rows", "unread"),
    [
        ([GOOD, {**GOOD, "score": 1, "tag": "x"}, {**GOOD, "score": None}], {"score": 2, "tag": 1}),
        ([{**GOOD, "id": 7}], {"id": 1}),  # TRL's form has no id
        ([{"chosen": "Q a", "rejected": "Q b", "tags": {}}], {"tags": 1}),  # and no tags
        ([TRANSCRIPT, {**TRANSCRIPT, "score": 1}], {"score": 1}),
        ([{**GOOD, "score": 1, "chosen": None}, GOOD], {}),  # a refused row was not read at all
    ],
)
def test_columns_that_nothing_read_are_counted(write_file: WriteFile, rows: list[Any], unread: dict[str, int]):
    assert read_pairs(write_file(rows)).unread_columns == unread


@pytest.mark.parametrize(("limit", "rows", "refused"), [(1, 1, 0), (2, 3, 1), (3, 4, 1), (9, 5, 2)])
def test_limit_counts_usable_pairs_and_stops_there(write_file: WriteFile, limit: int, rows: int, refused: int):
    bad = {**GOOD, "chosen": ""}
    reading = read_pairs(write_file([GOOD, bad, GOOD, GOOD, bad]), limit=limit)
    assert (reading.rows, len(reading.pairs), len(reading.refused)) == (rows, min(limit, 3), refused)


def test_require_clean_names_the_first_bad_row_and_the_cure(write_file: WriteFile):
    reading = read_pairs(write_file([GOOD, {**GOOD, "chosen": None}, {**GOOD, "rejected": ""}]))
    with pytest.raises(InputError) as caught:
        require_clean(reading.refused, reading.rows)
    assert str(caught.value) == (f'{reading.path}:2: "chosen" is null; remove the row or pass --skip-bad (2 of 3 rows)')
    assert require_clean([], 3) is None


def test_skipping_bad_rows_is_no_cure_where_all_are_bad(write_file: WriteFile):
    reading = read_pairs(write_file([{**GOOD, "chosen": None}] * 2))
    with pytest.raises(InputError, match=r'"chosen" is null; no row can be used \(2 of 2 rows\)$'):
        require_clean(reading.refused, reading.rows)


class TestLoadPairs:
    CHAT = Pair(prompt=(Message(role="user", content="Q"),), chosen="a", rejected="b")
    TEXT = Pair(prompt="Q", chosen="a", rejected="b")

    def test_of_a_file_says_which_columns_nothing_read(self, write_file: WriteFile, capsys: pytest.CaptureFixture[str]):
        path = write_file([{**GOOD, "score": 1, "extra": 2}, {**GOOD, "chosen": None}, GOOD])
        pairs, refused, rows = load_pairs(path)
        assert ([pair.source for pair in pairs], rows) == ([f"{path}:1", f"{path}:3"], 3)
        assert [refusal.place for refusal in refused] == [f"{path}:2"]
        captured = capsys.readouterr()
        assert (captured.out, captured.err) == ("", f"note: {path}: columns not used: extra, score\n")

    def test_of_records_counts_them_all_and_takes_the_first(self):
        assert load_pairs([self.TEXT, self.CHAT, self.TEXT], limit=2) == ([self.TEXT, self.CHAT], [], 3)

    def test_as_chat_makes_user_turns_of_text_and_leaves_conversations(self):
        assert load_pairs([self.TEXT, self.CHAT], as_chat=True)[0] == [self.CHAT, self.CHAT]

    def test_as_chat_of_conversations_alone_is_an_error(self):
        with pytest.raises(ConfigError, match="--as-chat does nothing: every pair is a conversation already"):
            load_pairs([self.CHAT], as_chat=True)


def test_the_list_of_refused_rows_is_written_even_if_empty(tmp_path: Path):
    write_refused(tmp_path / "refused.jsonl", [])
    assert (tmp_path / "refused.jsonl").read_bytes() == b""
    write_refused(tmp_path / "refused.jsonl", [Refusal("a.jsonl:2", '"chosen" is null')])
    assert json.loads((tmp_path / "refused.jsonl").read_text()) == {"place": "a.jsonl:2", "reason": '"chosen" is null'}


@pytest.mark.parametrize("row", [{"conversations": []}, {"conversations": [], "chosen": {}, "system": ""}])
def test_conversations_with_one_answer_are_called_by_their_name(write_file: WriteFile, row: dict[str, Any]):
    with pytest.raises(InputError) as caught:
        read_pairs(write_file([row]))
    assert f"is in ShareGPT form with one answer (it has {', '.join(sorted(row))}); a pair needs two" in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            {"conversations": [], "kto_tag": True},
            'a labelled conversation (it has conversations, kto_tag); rename "kto_tag" to "label"',
        ),
        (
            {"messages": []},
            'is one conversation that nobody has judged (it has messages); with a "label", true for a good',
        ),
    ],
)
def test_a_conversation_that_is_no_example_says_what_would_make_it_one(
    write_file: WriteFile, row: dict[str, Any], said: str
):
    with pytest.raises(InputError) as caught:
        read_pairs(write_file([row]))
    assert said in str(caught.value)


def test_unpaired_rows_are_no_pairs(shared_data: Callable[[str], Path]):
    reading = read_pairs(shared_data("kto_en_demo.json"))
    assert (reading.format, reading.rows, len(reading.records), reading.refused) == ("kto", 300, 300, [])
    assert sum(record.label for record in reading.records if isinstance(record, Single)) == 150
    with pytest.raises(InputError, match=r"kto_en_demo\.json: holds single answers; here pairs are needed"):
        load_pairs(shared_data("kto_en_demo.json"))
