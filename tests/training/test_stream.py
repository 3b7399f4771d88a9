"""Pairs that stand in a file and not in memory: the same run, to the last bit."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from rather.errors import ConfigError, InputError, RunDirError
from rather.formats import load_examples
from rather.model import Renderer, load_tokenizer
from rather.training import kept, shelf
from rather.training.prepare import tokenise_examples
from rather.training.run import train
from rather.training.shelf import counts_of, records_of, shelved, shortest
from tests.distributed.cases import DATA, PAIRS
from tests.tiny import make_model

OPTIONS: dict[str, Any] = {"lr": 1e-3, "epochs": 2, "batch_pairs": 4, "warmup": 0.0, "allow": {"all": "a test"}}
CHATS = [{**row, "prompt": [{"role": "user", "content": row["prompt"]}], "tags": {"from": "here"}} for row in PAIRS]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RATHER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def written(folder: Path, rows: list[Any], name: str = "pairs.jsonl") -> Path:
    file = folder / name
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def same(ours: Path, theirs: Path) -> None:
    """Weights and all that was measured but the speed, to the last bit."""
    one, two = (load_file(run / "model" / "model.safetensors") for run in (ours, theirs))
    assert all(torch.equal(one[key], two[key]) for key in one)
    rows, others = (
        [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()] for run in (ours, theirs)
    )
    assert [row | {"pairs_per_s": 0} for row in rows] == [row | {"pairs_per_s": 0} for row in others]


@pytest.mark.parametrize(
    ("data", "options"),
    [
        ("weighted", {}),
        ("lists", {"loss": "plackett_luce"}),
        ("singles", {"loss": "bco_unpaired"}),
        ("pairs", {"objective": "reward"}),
    ],
    ids=["pairs", "lists", "singles", "reward"],
)
def test_a_streamed_run_is_the_same_run(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str, options: dict[str, Any]
) -> None:
    file = written(tmp_path, DATA[data])
    for out, stream in (("memory", False), ("disk", True)):
        cached = tmp_path / out / "cache"
        monkeypatch.setenv("RATHER_CACHE", str(cached))  # else the second would find the first one's reference
        train(file, model=str(tiny), out=tmp_path / out / "run", stream=stream, **OPTIONS, **options)
    same(tmp_path / "memory" / "run", tmp_path / "disk" / "run")


@pytest.mark.parametrize(
    ("rows", "room"), [(CHATS, 60), (DATA["lists"], 50), (DATA["singles"], 50)], ids=["pairs", "lists", "singles"]
)
def test_what_comes_out_is_what_went_in(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[Any], room: int
) -> None:
    monkeypatch.setattr(shelf, "_BATCH", 4)
    renderer = Renderer(load_tokenizer(str(tiny)), max_length=room)  # so that some are cut
    file = written(tmp_path, rows)
    in_memory, unfit = tokenise_examples(load_examples(file)[0], renderer)
    assert len(in_memory) > 4
    assert any(item.rejected_truncated or item.chosen_truncated for item in in_memory)
    for _ in range(2):
        found = shelved(file, renderer, model=str(tiny), limit=None, as_chat=False)
        on_disk = found.token_pairs
        assert list(on_disk) == in_memory
        assert [on_disk[index] for index in reversed(range(len(on_disk)))] == in_memory[::-1]
        assert on_disk[-2:] == in_memory[-2:]
        assert list(records_of(on_disk)) == [item.record for item in in_memory]
        assert counts_of(on_disk).tolist() == [item.tokens for item in in_memory]
        assert shortest(on_disk) == shortest(in_memory)
        assert (found.unfit, found.refused, found.rows) == (unfit, [], len(rows))


def test_shards_are_tokenised_once_and_again_when_they_change(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, part in enumerate((PAIRS[:5], PAIRS[5:])):
        pq.write_table(pa.Table.from_pylist(part), tmp_path / f"part-{number}.parquet")
    shards = str(tmp_path / "part-*.parquet")
    train(shards, model=str(tiny), out=tmp_path / "a", stream=True, **OPTIONS)
    train(shards, model=str(tiny), out=tmp_path / "b", stream=True, **OPTIONS)
    assert "tokens: 11 pairs from the cache" in capsys.readouterr().err
    same(tmp_path / "a", tmp_path / "b")
    train(written(tmp_path, PAIRS), model=str(tiny), out=tmp_path / "c", **OPTIONS)
    same(tmp_path / "a", tmp_path / "c")
    pq.write_table(pa.Table.from_pylist(PAIRS[5:9]), tmp_path / "part-1.parquet")
    capsys.readouterr()
    train(shards, model=str(tiny), out=tmp_path / "d", stream=True, **OPTIONS)
    assert "tokens: " not in capsys.readouterr().err
    assert json.loads((tmp_path / "d" / "manifest.json").read_text())["pairs"] == 9


def test_a_run_goes_on_streamed_or_not(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly: the order is that of the seed, wherever the pairs stand."""
    from rather.training import loop

    file = written(tmp_path, PAIRS)
    train(file, model=str(tiny), out=tmp_path / "whole", **OPTIONS)
    learn = loop.Learner.update

    def fails_at(steps: int) -> None:
        left = iter(range(steps))

        def update(*args: Any, **kwargs: Any) -> Any:
            if next(left, None) is None:
                raise KeyboardInterrupt
            return learn(*args, **kwargs)

        monkeypatch.setattr(loop.Learner, "update", update)

    for stream, steps in ((True, 2), (False, 2), (True, 9)):
        fails_at(steps)
        try:
            train(file, model=str(tiny), out=tmp_path / "parts", stream=stream, save_every=1, **OPTIONS)
        except KeyboardInterrupt:
            assert steps == 2
    same(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize("name", ["pairs.arrow", "read.json"])
def test_a_harmed_entry_is_made_again(
    tiny: Path, tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    file, renderer = written(tmp_path, PAIRS), Renderer(load_tokenizer(str(tiny)))
    good = list(shelved(file, renderer, model=str(tiny), limit=None, as_chat=False).token_pairs)
    (harmed,) = (cache / "tokens").glob(f"*/{name}")
    harmed.write_bytes(harmed.read_bytes()[:-9])
    assert list(shelved(file, renderer, model=str(tiny), limit=None, as_chat=False).token_pairs) == good
    assert "the pairs are tokenised again" in capsys.readouterr().err


def test_what_cannot_be_streamed(tiny: Path, tmp_path: Path) -> None:
    records = load_examples(written(tmp_path, PAIRS))[0]
    with pytest.raises(ConfigError, match=r"^--stream reads files of pairs: name one, or several as a glob$"):
        train(records, model=str(tiny), out=tmp_path / "out", stream=True)
    with pytest.raises(ConfigError, match="--stream does not go with --loss kto"):
        train(written(tmp_path, DATA["singles"]), model=str(tiny), out=tmp_path / "out", stream=True, loss="kto")
    bad = written(tmp_path, [*PAIRS, {"prompt": "?", "chosen": " a"}])
    with pytest.raises(InputError, match=r'pairs\.jsonl:12: has no "rejected"; remove the row or pass --skip-bad'):
        train(bad, model=str(tiny), out=tmp_path / "out", stream=True)
    assert not (tmp_path / "out").exists()


def test_no_room_for_tokens_or_reference(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    file = written(tmp_path, PAIRS)
    with monkeypatch.context() as patched:
        patched.setattr(shelf, "_columns", full)
        with pytest.raises(RunDirError, match=r"tokenised pairs cannot be kept in .*/cache/tokens: no space left; set"):
            train(file, model=str(tiny), out=tmp_path / "out", stream=True, **OPTIONS)
    assert not list((tmp_path / "cache" / "tokens").glob("[!.]*/*")), "nothing half-written"
    monkeypatch.setattr(kept, "bytes", full, raising=False)
    with pytest.raises(RunDirError, match=r"the reference needs 0\.00 GB in .*/cache/references: no space left; free"):
        train(file, model=str(tiny), out=tmp_path / "out", stream=True, **OPTIONS)
    assert not list((tmp_path / "cache" / "references").glob("*"))


def test_a_cache_that_nobody_may_write(tiny: Path, tmp_path: Path, cache: Path) -> None:
    cache.write_text("a file, and no folder")
    with pytest.raises(RunDirError, match=r"tokenised pairs cannot be kept in .*/cache/tokens: Not a directory; set"):
        train(written(tmp_path, PAIRS), model=str(tiny), out=tmp_path / "out", stream=True, **OPTIONS)


def test_models_of_other_tokens_do_not_share(tiny: Path, tmp_path: Path, cache: Path) -> None:
    other = make_model(tmp_path / "other", template=None)
    file = written(tmp_path, PAIRS)
    for model in (tiny, other):
        renderer = Renderer(load_tokenizer(str(model)))
        shelved(file, renderer, model=str(model), limit=None, as_chat=False)
    assert len(list((cache / "tokens").glob("*/read.json"))) == 2
