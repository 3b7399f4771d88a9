"""Judgments in other forms than the native one: there and back, tables, and what a form has no place for."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rather.errors import InputError
from rather.formats import convert, iter_judgments, judgment_rows, read_pairs, write_jsonl
from rather.records import Comparison, Event, Judgment, Message, Pair, RankedList, Ranking, Rating
from tests.conftest import WriteFile
from tests.formats.test_native import TEXT, TURNS, reuse_folder

Q = (Message(role="user", content="Q"),)
AT = st.none() | st.floats(0, 1e10)
NAMES = TEXT.filter(lambda text: text == text.strip())
TRIMMED = TEXT.map(str.strip).filter(bool)
QUESTIONS = TRIMMED.map(lambda text: (Message(role="user", content=text),))
TWO = st.lists(TEXT, min_size=2, max_size=2, unique=True).map(tuple)


def ratings(prompts: st.SearchStrategy[Any]) -> st.SearchStrategy[Rating]:
    return st.builds(
        Rating, prompt=prompts, answers=st.tuples(TEXT), judge=NAMES, at=AT, aspect=st.none() | NAMES,
        score=st.floats(0, 5), scale=st.sampled_from([None, (0.0, 5.0)]), models=st.none() | st.tuples(NAMES),
    )  # fmt: skip


@st.composite
def events(draw: st.DrawFn, prompts: st.SearchStrategy[Any]) -> Event:
    name = draw(st.sampled_from(["shown", "like", "dislike", "bookmark", "copy", "edit", "regenerate", "dwell"]))
    said: dict[str, Any] = {"edit": {"text": draw(TEXT)}, "dwell": {"value": draw(st.floats(0, 1e6))}}.get(name, {})
    place = draw(st.none() | st.integers(1, 99))
    return Event(
        prompt=draw(prompts), answers=(draw(TEXT),), judge=draw(NAMES), event=name, position=place, at=draw(AT), **said
    )


@st.composite
def rankings(draw: st.DrawFn) -> Ranking:
    texts = tuple(draw(st.lists(TEXT, min_size=2, max_size=4, unique=True)))
    ranks = tuple(draw(st.integers(1, 9)) for _ in texts)
    models = tuple(draw(st.none() | NAMES) for _ in texts)
    return Ranking(
        prompt=draw(QUESTIONS),
        answers=texts,
        ranks=ranks,
        models=models,
        judge="gpt-4",
        by="model",
        tags={"order": "unknown"},
    )


@st.composite
def annotations(draw: st.DrawFn) -> Comparison:
    verdict = draw(st.sampled_from(["a", "b", "tie"]))
    sure = None if verdict == "tie" else draw(st.none() | st.integers(129, 255).map(lambda part: part / 256))
    return Comparison(
        prompt=draw(QUESTIONS), answers=draw(TWO), models=draw(st.none() | st.tuples(NAMES, NAMES)), judge=draw(NAMES),
        by="model", verdict=verdict, confidence=sure, tags={"order": "unknown"},
    )  # fmt: skip


VOTES = st.builds(
    Comparison, prompt=TURNS.map(tuple), answers=TWO, models=st.tuples(NAMES, NAMES), judge=NAMES, at=AT,
    verdict=st.sampled_from(["a", "b", "tie", "both_bad"]), tags=st.sampled_from([{}, {"language": "en"}]),
)  # fmt: skip
EACH: dict[str, st.SearchStrategy[Any]] = {
    "ratings": ratings(TURNS.map(tuple)) | ratings(TEXT),
    "events": events(TURNS.map(tuple)),
    "nectar": rankings(),
    "alpacaeval": annotations(),
    "arena": VOTES,
}


def there_and_back(folder: Path, form: str, name: str, written: list[Judgment]) -> None:
    """Native → the form → the same judgments, and nothing is said to have no place there."""
    write_jsonl(folder / "in.jsonl", judgment_rows(written))
    (folder / name).unlink(missing_ok=True)
    done = convert(folder / "in.jsonl", folder / name, to=form)
    assert (done.written, done.refusals, done.unkept) == (len(written), 0, {})
    back = iter_judgments(folder / name)
    assert [record.model_copy(update={"source": None}) for record in back] == written  # pyright: ignore[reportAttributeAccessIssue]
    assert (back.format, back.unread_columns) == (form, {})


@pytest.mark.parametrize("form", EACH)
@reuse_folder
@given(data=st.data(), name=st.sampled_from(["out.jsonl", "out.json.gz"]))
def test_written_and_read_is_the_same(tmp_path: Path, form: str, data: st.DataObject, name: str):
    there_and_back(tmp_path, form, name, data.draw(st.lists(EACH[form], min_size=1, max_size=3)))


@pytest.mark.parametrize("form", EACH)
@reuse_folder
@given(data=st.data())
def test_through_parquet_it_is_the_same(tmp_path: Path, form: str, data: st.DataObject):
    rows = (
        ratings(TURNS.map(tuple)) if form == "ratings" else EACH[form]
    )  # text and conversations are two types of a column
    there_and_back(tmp_path, form, "out.parquet", data.draw(st.lists(rows, min_size=1, max_size=3)))


@pytest.mark.parametrize("name", ["out.csv", "out.tsv", "out.csv.zst"])
@reuse_folder
@given(data=st.data())
def test_a_table_holds_what_is_text(tmp_path: Path, name: str, data: st.DataObject):
    there_and_back(tmp_path, "ratings", name, data.draw(st.lists(ratings(TEXT), min_size=1, max_size=3)))
    there_and_back(tmp_path, "events", name, data.draw(st.lists(events(TEXT), min_size=1, max_size=3)))


@reuse_folder
@given(
    texts=st.lists(TEXT, min_size=3, max_size=3, unique=True), margin=st.none() | st.floats(0, 9), label=st.booleans()
)
def test_pairs_and_single_answers_in_a_table(tmp_path: Path, texts: list[str], margin: float | None, label: bool):
    prompt, better, worse = texts
    pair = Pair(prompt=prompt, chosen=better, rejected=worse, margin=margin)
    for name, to in (("pairs.csv", "trl"), ("singles.csv", "trl-unpaired")):
        (tmp_path / name).unlink(missing_ok=True)
        given = (
            {"margin": margin, "chosen": better, "rejected": worse}
            if to == "trl"
            else {"completion": better, "label": label}
        )
        write_jsonl(tmp_path / "in.jsonl", [{"prompt": prompt, **given}])
        convert(tmp_path / "in.jsonl", tmp_path / name, to=to)
    assert [record.id for record in read_pairs(tmp_path / "pairs.csv").pairs] == [pair.id]
    (single,) = read_pairs(tmp_path / "singles.csv").records
    assert (single.prompt, single.named, single.good) == (prompt, (("completion", better),), (better,) * label)


def test_a_ranked_list_is_written_as_nectars(write_file: WriteFile, tmp_path: Path):
    convert(write_file([{"prompt": "Q", "ranked": ["b", "a"]}]), tmp_path / "nectar.jsonl", to="nectar", as_chat=True)
    (record,) = read_pairs(tmp_path / "nectar.jsonl").records
    assert record == RankedList(prompt=Q, ranked=("b", "a"), source=record.source)


def test_a_table_says_by_its_header_what_any_row_has(write_file: WriteFile, tmp_path: Path):
    rows = [
        {"prompt": "Q", "response": 'a,\n"b"', "score": 3},
        {"prompt": "Q", "response": "c", "score": 4.5, "time": 0},
    ]
    convert(write_file(rows, "in.jsonl"), tmp_path / "out.csv", to="ratings")
    assert (tmp_path / "out.csv").read_bytes() == (
        b'prompt,response,score,rater,time\r\nQ,"a,\n""b""",3.0,ratings,\r\nQ,c,4.5,ratings,0.0\r\n'
    )
    with (tmp_path / "out.csv").open(newline="") as file:
        assert [row["response"] for row in csv.DictReader(file)] == ['a,\n"b"', "c"]


A, B = Message(role="assistant", content="A"), Message(role="user", content="B")
RATED: dict[str, Any] = {"prompt": Q, "answers": ("a",), "judge": "anna"}
COMPARED: dict[str, Any] = {"prompt": Q, "answers": ("a", "b"), "judge": "anna"}


@pytest.mark.parametrize(
    ("form", "name", "record", "reason"),
    [
        (
            "ratings",
            "o.csv",
            Rating(**RATED, score=1),
            '"prompt" is an array, which no cell of a table can hold; name a .jsonl',
        ),
        (
            "ratings",
            "o.csv",
            Rating(**{**RATED, "prompt": "Q", "answers": ("",)}, score=1),
            '"response" is empty, which no cell',
        ),
        ("ratings", "o.jsonl", Comparison(**COMPARED, verdict="a"), "is a comparison, and ratings holds ratings"),
        ("nectar", "o.jsonl", Ranking(**COMPARED, ranks=(1, 2)), None),
        (
            "nectar",
            "o.jsonl",
            Ranking(**{**COMPARED, "answers": ("a", "b", "c")}, ranks=(1, 2, None)),
            "leaves answers without a rank",
        ),
        (
            "nectar",
            "o.jsonl",
            Ranking(**{**COMPARED, "prompt": "Q"}, ranks=(1, 2)),
            "its prompt is plain text; --as-chat",
        ),
        (
            "alpacaeval",
            "o.jsonl",
            Comparison(**{**COMPARED, "prompt": "Q"}, verdict="a"),
            "its prompt is plain text; --as-chat",
        ),
        (
            "alpacaeval",
            "o.jsonl",
            Comparison(**{**COMPARED, "prompt": (*Q, A, B)}, verdict="a"),
            "its prompt is a conversation of",
        ),
        (
            "alpacaeval",
            "o.jsonl",
            Comparison(**COMPARED, verdict="both_bad"),
            "says that both are bad, for which AlpacaEval has",
        ),
        (
            "alpacaeval",
            "o.jsonl",
            Comparison(**COMPARED, verdict="a", confidence=0.5),
            "says a with a confidence of 0.5; in",
        ),
        ("arena", "o.jsonl", Comparison(**COMPARED, verdict="a"), "does not say which models wrote the answers"),
        (
            "arena",
            "o.jsonl",
            Comparison(**{**COMPARED, "prompt": "Q"}, verdict="a"),
            "its prompt is plain text; --as-chat",
        ),
    ],
)
def test_what_a_form_cannot_hold_is_refused(tmp_path: Path, form: str, name: str, record: Judgment, reason: str | None):
    write_jsonl(tmp_path / "in.jsonl", judgment_rows([record]))
    if reason is None:
        assert convert(tmp_path / "in.jsonl", tmp_path / name, to=form).written == 1
        return
    with pytest.raises(InputError) as caught:
        convert(tmp_path / "in.jsonl", tmp_path / name, to=form)
    assert str(caught.value).startswith(f"{tmp_path / 'in.jsonl'}:1: {reason}")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in.jsonl"]


def test_what_has_no_place_is_counted_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    vote = Comparison(
        **COMPARED, models=("m", "n"), verdict="a", confidence=0.75, seconds=2.0, aspect="tone", tags={"k": "v"}
    )
    write_jsonl(
        tmp_path / "in.jsonl",
        judgment_rows([vote, vote.model_copy(update={"by": "model", "aspect": None, "tags": {}})]),
    )
    convert(tmp_path / "in.jsonl", tmp_path / "ae.jsonl", to="alpacaeval")
    convert(tmp_path / "in.jsonl", tmp_path / "arena.jsonl", to="arena")
    write_jsonl(tmp_path / "in.jsonl", judgment_rows([vote.model_copy(update={"tags": {"order": "both"}})]))
    convert(tmp_path / "in.jsonl", tmp_path / "again.jsonl", to="arena")
    assert capsys.readouterr().err.splitlines() == [
        "note: alpacaeval has no place for aspect (of 1 records), by (of 1 records), seconds (of 2 records), tags (of 1 records), "
        "the order shown (of 2 records)",
        "note: arena has no place for aspect (of 1 records), by (of 1 records), confidence (of 2 records), seconds (of 2 records), "
        "tags (of 1 records)",
        "note: arena has no place for aspect (of 1 records), confidence (of 1 records), seconds (of 1 records), that the order "
        "shown is not known (of 1 records)",
    ]
