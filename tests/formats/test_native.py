from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rather.errors import InputError, RowError
from rather.formats import native, read_pairs, write_pairs
from rather.records import Message, Pair

PAIR = Pair(
    prompt=(Message(role="user", content="你是谁？"),), chosen="I am R.", rejected="I am S.", tags={"kind": "identity"}
)

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20).filter(
    str.strip
)
TURNS = st.lists(st.builds(Message, role=st.sampled_from(["system", "user"]), content=TEXT), min_size=1, max_size=3)
TAGS = st.dictionaries(st.sampled_from(["kind", "language", "a b", "ü"]), TEXT, max_size=3)


def pairs(prompts: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Pair]]:
    pair = st.builds(
        Pair,
        prompt=prompts,
        chosen=TEXT,
        rejected=TEXT,
        probability=st.none() | st.floats(0, 1),
        margin=st.none() | st.floats(0, 1e9),
        weight=st.none() | st.floats(1e-9, 1e9),
        tags=TAGS,
    )
    return st.lists(pair, min_size=1, max_size=4)


# The folder is the same in every example, and every example writes its file anew.
reuse_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def round_trip(path: Path, written: list[Pair]) -> None:
    write_pairs(path, written)
    reading = read_pairs(path)
    assert (reading.format, reading.refused, reading.unread_columns) == ("native", [], {})
    assert [pair.id for pair in reading.pairs] == [pair.id for pair in written]
    assert [pair.model_copy(update={"source": None}) for pair in reading.pairs] == written
    assert [pair.source for pair in reading.pairs] == [f"{path}:{n}" for n in range(1, len(written) + 1)]
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@reuse_folder
@given(written=pairs(TEXT | TURNS.map(tuple)))
def test_jsonl_and_back_is_the_same(tmp_path: Path, written: list[Pair]):
    round_trip(tmp_path / "pairs.jsonl", written)


@reuse_folder
@given(written=pairs(TURNS.map(tuple)) | pairs(TEXT))
def test_parquet_and_back_is_the_same(tmp_path: Path, written: list[Pair]):
    round_trip(tmp_path / "pairs.parquet", written)


@pytest.mark.parametrize("name", ["pairs.jsonl", "pairs.parquet"])
def test_pairs_without_tags_and_back(tmp_path: Path, name: str):
    round_trip(tmp_path / name, [PAIR.model_copy(update={"tags": {}})])


def test_the_row_that_is_written(tmp_path: Path):
    write_pairs(tmp_path / "pairs.jsonl", [PAIR])
    line = (tmp_path / "pairs.jsonl").read_text("utf-8")
    assert line == (
        f'{{"id": "{PAIR.id}", "prompt": [{{"role": "user", "content": "你是谁？"}}], '
        '"chosen": "I am R.", "rejected": "I am S.", "tags": {"kind": "identity"}}\n'
    )


def test_parquet_of_text_beside_conversations_is_refused(tmp_path: Path):
    text = Pair(prompt="The sky is", chosen=" blue.", rejected=" black.")
    with pytest.raises(InputError, match=r"cannot hold text prompts beside conversations; name a \.jsonl file$"):
        write_pairs(tmp_path / "pairs.parquet", [PAIR, text])
    assert list(tmp_path.iterdir()) == []


def test_a_failing_parquet_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(_writer: object, _table: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "pairs.parquet").write_bytes(b"old")
    monkeypatch.setattr(pq.ParquetWriter, "write_table", fail)
    with pytest.raises(OSError, match="No space left"):
        write_pairs(tmp_path / "pairs.parquet", [PAIR])
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == {"pairs.parquet": b"old"}


@pytest.mark.parametrize("name", ["pairs.parquet.gz", "pairs.xlsx", "pairs", "pairs.txt.gz"])
def test_a_name_that_tells_no_container_is_refused(tmp_path: Path, name: str):
    with pytest.raises(
        InputError, match=r"is written by its name's ending; name a \.jsonl, \.json, \.csv or \.tsv file"
    ):
        write_pairs(tmp_path / name, [PAIR])
    assert list(tmp_path.iterdir()) == []


@reuse_folder
@given(written=pairs(TEXT | TURNS.map(tuple)), name=st.sampled_from(["p.json", "p.jsonl.gz", "p.json.zst"]))
def test_other_containers_and_back_is_the_same(tmp_path: Path, written: list[Pair], name: str):
    write_pairs(tmp_path / name, written)
    assert [pair.model_copy(update={"source": None}) for pair in read_pairs(tmp_path / name).pairs] == written


def without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def test_id_and_tags_may_be_missing_or_null():
    row = native.write(PAIR)
    assert native.parse(without(row, "id")) == PAIR
    assert native.parse({**row, "id": None}) == PAIR
    for bare in (without(row, "tags"), {**row, "tags": None}, {**row, "tags": {"kind": None}}):
        assert native.parse(bare) == PAIR.model_copy(update={"tags": {}})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"chosen": "I am T."},
            f'"id" is {PAIR.id}, but the content has {PAIR.model_copy(update={"chosen": "I am T."}).id}: '
            'the row was edited; remove its "id"',
        ),
        (
            {"note": "x"},
            'has an unknown field "note"; known are chosen, id, margin, probability, prompt, rejected, tags, weight',
        ),
        ({"tags": "identity"}, '"tags" is a string, not an object'),
        ({"tags": []}, '"tags" is an array, not an object'),
        ({"tags": {"kind": 3}}, '"tags.kind" is 3, not text'),
        ({"prompt": None}, '"prompt" is null'),
        ({"chosen": None}, '"chosen" is null'),
        ({"rejected": " "}, '"rejected" is empty'),
        ({"margin": -1}, '"margin" is below 0: by it rejected is the better answer; exchange the sides'),
        ({"weight": "much"}, "\"weight\" is 'much', not a number"),
    ],
)
def test_a_row_that_cannot_be_used_says_which_field_and_why(change: dict[str, Any], said: str):
    with pytest.raises(RowError) as caught:
        native.parse({**native.write(PAIR), **change})
    assert caught.value.reason == said


def test_a_later_row_without_prompt_is_refused_and_without_tags_is_read(tmp_path: Path):
    row = without(native.write(PAIR), "id")
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(json.dumps(r) for r in [row, without(row, "prompt"), without(row, "tags")]))
    reading = read_pairs(path)
    assert [pair.source for pair in reading.pairs] == [f"{path}:1", f"{path}:3"]
    assert [(refusal.place, refusal.reason) for refusal in reading.refused] == [(f"{path}:2", 'has no "prompt"')]


def test_a_table_holds_text_alone(tmp_path: Path):
    pair = Pair(prompt="Q", chosen="a", rejected="b", weight=3.0)
    write_pairs(tmp_path / "pairs.csv", [pair])
    assert (tmp_path / "pairs.csv").read_text() == f"id,prompt,chosen,rejected,weight,tags\n{pair.id},Q,a,b,3.0,\n"
    (again,) = read_pairs(tmp_path / "pairs.csv").pairs
    assert again.model_copy(update={"source": None}) == pair
    tagged = pair.model_copy(update={"tags": {"kind": "x"}})
    with pytest.raises(
        InputError, match=r'pairs\.csv: "tags" is an object, which no cell of a table can hold; name a \.jsonl'
    ):
        write_pairs(tmp_path / "pairs.csv", [tagged])
