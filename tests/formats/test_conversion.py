"""`rather convert`: what is written, what is refused, and that nothing is left where it fails."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rather.errors import ConfigError, InputError, RatherError, RunDirError
from rather.formats import TARGETS, convert, iter_judgments, read_pairs
from rather.records import Comparison
from tests.conftest import WriteFile
from tests.formats.test_forms import ALPACA, EACH, NECTAR, OPENAI, SHP, ranks

TEXT = {"prompt": "Q", "chosen": "a", "rejected": "b"}
TIE = {**TEXT, "prompt": [{"role": "user", "content": "Q"}], "probability": 0.5}


@pytest.mark.parametrize("form", EACH)
@pytest.mark.parametrize("name", ["out.jsonl", "out.json", "out.jsonl.gz", "out.json.zst", "out.parquet"])
def test_every_form_of_pairs_from_every_other(write_file: WriteFile, tmp_path: Path, form: str, name: str):
    source = write_file([OPENAI, OPENAI], "in.jsonl")
    row = {**ALPACA, "history": [["Hi", "Ho"]]}
    if form == "hh":  # its two speakers leave no place for a system turn
        source = write_file([row, row], "in.jsonl")
    done = convert(source, tmp_path / name, to=form)
    assert (done.written, done.refusals, done.refused) == (2, 0, None)
    again = read_pairs(tmp_path / name)
    assert again.format == form
    assert [pair.id for pair in again.pairs] == [pair.id for pair in read_pairs(source).pairs]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted(["in.jsonl", name])


def test_lists_answers_and_judgments_stay_what_they_are(write_file: WriteFile, tmp_path: Path):
    single = {"prompt": "Q", "completion": "a", "label": True}
    convert(write_file([NECTAR]), tmp_path / "lists.parquet", to="native")
    assert read_pairs(tmp_path / "lists.parquet").format == "ranked"
    convert(write_file([single]), tmp_path / "singles.jsonl", to="trl-unpaired", as_chat=True)
    assert json.loads((tmp_path / "singles.jsonl").read_text()) == {
        "prompt": [{"role": "user", "content": "Q"}],
        "completion": [{"role": "assistant", "content": "a"}],
        "label": True,
    }
    convert(write_file([{**NECTAR, "answers": ranks(1, 1, 2)}]), tmp_path / "judged.parquet", to="judgments")
    assert [getattr(j, "ranks", None) for j in iter_judgments(tmp_path / "judged.parquet")] == [(1, 1, 2)]
    done = convert(write_file("prompt,response,score\nQ,a,3\n", "r.csv"), tmp_path / "ratings.jsonl", to="native")
    assert done.format == "ratings"


def test_refused_rows_are_counted_and_listed_beside(
    write_file: WriteFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    source = write_file([SHP, {**SHP, "labels": 7}, "x", {**SHP, "upvotes": 1}], "in.jsonl")
    with pytest.raises(InputError, match=r"in\.jsonl:2: \"labels\" is '7'.*; remove the row or pass --skip-bad$"):
        convert(source, tmp_path / "out.jsonl", to="hh")
    assert [entry.name for entry in tmp_path.iterdir()] == ["in.jsonl"]
    done = convert(source, tmp_path / "out.jsonl", to="hh", skip_bad=True)
    assert (done.format, done.written, done.refusals, done.unkept) == ("shp", 2, 2, {"tags": 2})
    assert done.refused is not None
    assert [json.loads(line) for line in done.refused.read_text().splitlines()] == [
        {"place": f"{source}:2", "reason": "\"labels\" is '7'; it must be 1 where A is better and 0 where B is"},
        {"place": f"{source}:3", "reason": "is a string, not an object"},
    ]
    assert capsys.readouterr().err.splitlines() == [
        "note: columns not used: upvotes",
        "note: hh has no place for tags (of 2 records)",
        f"note: 2 rows refused; listed in {done.refused}",
    ]


@pytest.mark.parametrize(
    ("rows", "options", "error", "said"),
    [
        ([TIE], {"to": "hh"}, InputError, r":1: has a probability of 0\.5, which hh cannot hold; .*`rather pair`"),
        ([TEXT], {"to": "openai"}, InputError, r":1: its prompt is plain text; --as-chat makes it a conversation"),
        ([{**NECTAR, "answers": ranks(1, 1)}], {"to": "native"}, InputError, "ranked list has no ties; `rather pair`"),
        ([NECTAR], {"to": "trl"}, InputError, "holds ranked lists, and trl holds pairs; `rather pair` makes the one"),
        (
            [TEXT],
            {"to": "trl-unpaired"},
            InputError,
            "holds pairs, and trl-unpaired holds single answers; `rather pair`",
        ),
        (
            [{"prompt": "Q", "response": "a", "score": 1}],
            {"to": "hh"},
            InputError,
            "holds judgments, and hh holds pairs; `rather pair` makes the one of the other",
        ),
        ([TEXT], {"to": "judgments"}, InputError, "holds pairs, and judgments holds judgments$"),
        ([{**TEXT, "chosen": ""}], {"to": "hh", "skip_bad": True}, InputError, "no usable row; 1 were refused"),
        ([OPENAI], {"to": "hh", "as_chat": True, "skip_bad": True}, ConfigError, "--as-chat does nothing"),
        ([TEXT], {"to": "opnai"}, ConfigError, 'no form to write is called "opnai"; did you mean "openai"'),
        ([TEXT], {"to": "native", "limit": 0}, ConfigError, "--limit 0: must be 1 or more"),
        ([TEXT], {"to": "native", "judge": "x"}, ConfigError, "--judge does nothing without --answers"),
        ([{"a": 1}], {"to": "native"}, InputError, 'has no "chosen"'),
    ],
)
def test_what_cannot_be_converted_leaves_nothing(
    write_file: WriteFile,
    tmp_path: Path,
    rows: list[Any],
    options: dict[str, Any],
    error: type[RatherError],
    said: str,
):
    source = write_file(rows, "in.jsonl")
    with pytest.raises(error, match=said):
        convert(source, tmp_path / "out.jsonl", **options)
    assert [entry.name for entry in tmp_path.iterdir()] == ["in.jsonl"]


def test_a_file_that_is_there_or_cannot_be_is_said(write_file: WriteFile, tmp_path: Path):
    source = write_file([TEXT], "in.jsonl")
    with pytest.raises(RunDirError, match=r"in\.jsonl is there already"):
        convert(source, source, to="native")
    with pytest.raises(RatherError, match=r"nowhere/out\.jsonl: there is no folder .*nowhere; make it first"):
        convert(source, tmp_path / "nowhere" / "out.jsonl", to="native")


def test_limit_counts_what_is_written(write_file: WriteFile, tmp_path: Path):
    source = write_file([TEXT, {**TEXT, "chosen": ""}, TEXT, TEXT])
    done = convert(source, tmp_path / "out.jsonl", to="native", limit=2, skip_bad=True)
    assert (done.written, done.refusals) == (2, 1)


def test_votes_are_joined_with_their_answers(shared_data: Callable[[str], Path], tmp_path: Path):
    votes, pairs = shared_data("llmfao_crowd_votes.csv"), shared_data("llmfao_pairs.jsonl.gz")
    out = tmp_path / "votes.jsonl.gz"
    done = convert(votes, out, to="native", answers=pairs, skip_bad=True)
    assert (done.format, done.written, done.refusals) == ("votes", 8931, 0)
    assert sum(1 for _ in iter_judgments(out)) == 8931


def test_a_model_that_voted_is_marked_as_one(write_file: WriteFile, tmp_path: Path):
    votes = write_file("id,winner\n0,left\n", "votes.csv")
    pairs = write_file([{"id": 0, "text": "Why?", "result_x": "So.", "result_y": "Because."}], "pairs.jsonl")
    convert(votes, tmp_path / "out.jsonl", to="judgments", answers=pairs, judge="gpt-4", by="model")
    (said,) = iter_judgments(tmp_path / "out.jsonl")
    assert isinstance(said, Comparison)
    assert (said.judge, said.by) == ("gpt-4", "model")
    with pytest.raises(ConfigError, match="--by does nothing without --answers"):
        convert(pairs, tmp_path / "again.jsonl", to="judgments", by="model")


def test_published_transcripts_come_back_the_same(shared_data: Callable[[str], Path], tmp_path: Path):
    source = shared_data("hh_helpful_test.jsonl.gz")
    done = convert(source, tmp_path / "trl.parquet", to="trl", skip_bad=True)
    assert (done.written, done.refusals) == (2346, 6)
    convert(tmp_path / "trl.parquet", tmp_path / "hh.jsonl", to="hh")
    before, after = read_pairs(source).pairs, read_pairs(tmp_path / "hh.jsonl").pairs
    assert [pair.id for pair in after] == [pair.id for pair in before]


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_says_what_it_is(name: str):
    assert TARGETS[name].about
    assert TARGETS[name].takes


PEAK = """
import sys
from pathlib import Path
from rather.formats import convert, iter_examples
if sys.argv[2] == "read":
    assert sum(1 for _ in iter_examples(sys.argv[1])) == int(sys.argv[3])
else:
    convert(sys.argv[1], sys.argv[2], to="native")
print(next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")).split()[1])
"""

# What getrusage calls the peak of a child includes the memory that its parent had when it was started.
needs_proc = pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs Linux's /proc")


def peak_mb(*arguments: str) -> float:
    """The most memory that a fresh process has had, in MB."""
    done = subprocess.run([sys.executable, "-c", PEAK, *arguments], check=True, capture_output=True, text=True)
    return int(done.stdout) / 1024


@needs_proc
@pytest.mark.parametrize("name", ["big.json", "big.jsonl"])
def test_memory_does_not_grow_with_the_file(write_file: WriteFile, name: str):
    """200,000 rows (110 MB) take no more memory than 2,000; as a list of records they would take 600 MB."""
    line = json.dumps({**TEXT, "prompt": "Q" * 500})

    def rows(count: int) -> str:
        return "[" + ",\n".join([line] * count) + "]" if name == "big.json" else f"{line}\n" * count

    small = peak_mb(str(write_file(rows(2_000), f"small-{name}")), "read", "2000")
    assert peak_mb(str(write_file(rows(200_000), name)), "read", "200000") < small + 15


@needs_proc
@pytest.mark.parametrize("out", ["out.jsonl.zst", "out.parquet"])
def test_a_conversion_takes_no_more_memory_for_more_rows(write_file: WriteFile, tmp_path: Path, out: str):
    line = json.dumps({**TEXT, "prompt": "Q" * 2_000}) + "\n"
    small = peak_mb(str(write_file(line * 2_000, "small.jsonl")), str(tmp_path / f"small-{out}"))
    assert peak_mb(str(write_file(line * 30_000, "big.jsonl")), str(tmp_path / out)) < small + 25
