"""What a user names: files, globs, folders of steps, and data sets of `datasets`."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rather.errors import ConfigError, InputError
from rather.formats import iter_judgments, read_pairs
from tests.conftest import WriteFile
from tests.formats.hubs import COMMIT, hub

ROWS = [{"prompt": f"Q{n}", "chosen": "a", "rejected": "b"} for n in range(5)]


def lines(rows: list[Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def prompts(source: str | Path) -> list[tuple[Any, str | None]]:
    return [(pair.prompt, pair.source) for pair in read_pairs(source).pairs]


@pytest.mark.parametrize("pattern", ["*.jsonl*", "part-[12].*", "**/part-*"])
def test_parts_are_one_source_in_the_order_of_their_names(tmp_path: Path, pattern: str):
    (tmp_path / "part-2.jsonl.gz").write_bytes(gzip.compress(lines(ROWS[2:4])))
    (tmp_path / "part-1.jsonl").write_bytes(lines(ROWS[:2]))
    assert prompts(f"{tmp_path}/{pattern}") == [
        ("Q0", f"{tmp_path}/part-1.jsonl:1"),
        ("Q1", f"{tmp_path}/part-1.jsonl:2"),
        ("Q2", f"{tmp_path}/part-2.jsonl.gz:1"),
        ("Q3", f"{tmp_path}/part-2.jsonl.gz:2"),
    ]
    assert prompts(Path(tmp_path / pattern)) == prompts(f"{tmp_path}/{pattern}")


def test_a_pattern_that_nothing_matches_and_a_name_that_only_looks_like_one(tmp_path: Path):
    with pytest.raises(InputError, match=r"\*\.gz: no file matches this pattern"):
        read_pairs(f"{tmp_path}/*.gz")
    (tmp_path / "pairs [1].jsonl").write_bytes(lines(ROWS[:1]))
    assert prompts(tmp_path / "pairs [1].jsonl") == [("Q0", f"{tmp_path}/pairs [1].jsonl:1")]


def test_a_part_of_another_form_is_refused_row_by_row(tmp_path: Path):
    (tmp_path / "1.jsonl").write_bytes(lines(ROWS[:1]))
    (tmp_path / "2.jsonl").write_bytes(lines([{"prompt": "Q", "completion": "a", "label": True}]))
    reading = read_pairs(f"{tmp_path}/*.jsonl")
    assert (reading.format, len(reading.pairs)) == ("trl", 1)
    assert [(r.place, r.reason) for r in reading.refused] == [(f"{tmp_path}/2.jsonl:1", 'has no "chosen"')]


def test_a_steps_folder_is_read_by_the_file_that_the_step_leaves(tmp_path: Path):
    (tmp_path / "pairs.jsonl").write_bytes(lines(ROWS[:1]))
    (tmp_path / "judgments.jsonl").write_bytes(lines([{"prompt": "Q", "answers": ["a"], "judge": "x", "score": 1}]))
    assert prompts(tmp_path) == [("Q0", f"{tmp_path}/pairs.jsonl:1")]
    assert [getattr(j, "score", None) for j in iter_judgments(tmp_path)] == [1]
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match=r"other: is a folder; holds no pairs\.jsonl; name a \.jsonl.*/\*\.jsonl"):
        read_pairs(tmp_path / "other")
    (tmp_path / "other" / "run.json").write_text('{"step": "pair", "config": {}, "inputs": {}}')
    with pytest.raises(
        InputError, match=r"no pairs\.jsonl in this folder yet: its `rather pair` was not finished; run the"
    ):
        read_pairs(tmp_path / "other")


class TestDataSets:
    """Real ones of `datasets`, made here and read from disk: no network is needed."""

    @pytest.fixture
    def saved(self, tmp_path: Path) -> Path:
        datasets = pytest.importorskip("datasets")
        datasets.disable_progress_bars()
        whole = datasets.Dataset.from_list(ROWS)
        datasets.DatasetDict({"train": whole, "test": whole.select([4])}).save_to_disk(tmp_path / "both")
        whole.save_to_disk(tmp_path / "one")
        (tmp_path / "files").mkdir()
        (tmp_path / "files" / "train.jsonl").write_bytes(lines(ROWS))
        return tmp_path

    @pytest.fixture
    def nobody(self, monkeypatch: pytest.MonkeyPatch) -> str:
        """The address of a hub that is not there: a port at which nobody listens."""
        datasets = pytest.importorskip("datasets")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{probe.getsockname()[1]}"
        monkeypatch.setattr(datasets.config, "HF_ENDPOINT", address)
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
        return address

    def test_a_saved_data_set_is_read_by_its_folder(self, saved: Path):
        assert prompts(saved / "one") == [(f"Q{n}", f"hf:{saved}/one:{n + 1}") for n in range(5)]
        assert prompts(f"hf:{saved}/both:test") == [("Q4", f"hf:{saved}/both:test:1")]

    def test_a_folder_of_files_is_streamed(self, saved: Path):
        assert [prompt for prompt, _ in prompts(f"hf:{saved}/files")] == [f"Q{n}" for n in range(5)]

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("hf:{}/both", r"both: has the splits train, test; name one, as hf:.*/both:train"),
            ("hf:{}/both:dev", r"has no split dev; it has train, test"),
            ("hf:{}/one:train", r"has no splits; leave :train out"),
            ("hf:", r"hf:: names no data set; write hf:org/name"),
        ],
    )
    def test_what_is_not_there_is_said(self, saved: Path, name: str, said: str):
        with pytest.raises(InputError, match=said):
            read_pairs(name.format(saved))

    def test_offline_is_one_line(self, monkeypatch: pytest.MonkeyPatch):
        datasets = pytest.importorskip("datasets")
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
        with pytest.raises(
            InputError, match=r"^hf:nobody/nothing:train: HF_HUB_OFFLINE is set, and `datasets` has no copy"
        ):
            read_pairs("hf:nobody/nothing:train")

    def test_without_a_network_it_is_said_at_once(self, nobody: str, capfd: pytest.CaptureFixture[str]):
        start = time.monotonic()
        with pytest.raises(InputError) as caught:
            read_pairs("hf:nobody/nothing:train")
        assert str(caught.value) == (
            f"hf:nobody/nothing:train: {nobody} cannot be reached, and `datasets` has no copy of it here; connect, or name a "
            "file or a folder"
        )
        assert time.monotonic() - start < 20  # six attempts with growing pauses take 24 s
        assert capfd.readouterr() == ("", "")

    def test_without_a_network_its_cache_is_read(
        self, nobody: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ):
        datasets = pytest.importorskip("datasets")
        from datasets.packaged_modules.json.json import Json

        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
        for split in ("train", "test"):
            (tmp_path / f"{split}.jsonl").write_bytes(lines(ROWS if split == "train" else ROWS[4:]))
        files = {split: str(tmp_path / f"{split}.jsonl") for split in ("train", "test")}
        built = Json(cache_dir=str(tmp_path / "cache"), dataset_name="name", hash="0" * 40, data_files=files)
        built.download_and_prepare()
        # Where `load_dataset("org/name")` leaves it while there is a network.
        shutil.move(built.cache_dir, tmp_path / "cache" / "org___name" / "default" / "0.0.0" / ("0" * 40))
        capfd.readouterr()
        assert prompts("hf:org/name:test") == [("Q4", "hf:org/name:test:1")]
        assert capfd.readouterr().err == (
            f"note: hf:org/name:test: {nobody} cannot be reached; the copy in the cache of `datasets` is read\n"
        )
        with pytest.raises(InputError, match=r"has the splits train, test; name one, as hf:org/name:train"):
            read_pairs("hf:org/name")

    def test_a_data_set_is_read_by_its_id(self, tmp_path: Path):
        """From a hub of the test's own, by a process that knows no other: listing, README, and files over HTTP."""
        pytest.importorskip("datasets")
        files = {
            "README.md": b"---\nlicense: mit\n---\n# Preferences\n",
            "train.jsonl": lines(ROWS),
            "test.jsonl": lines(ROWS[4:]),
        }
        with hub("org/name", files) as (address, heard):
            kept = {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}

            def rather(source: str) -> subprocess.CompletedProcess[str]:
                command = [
                    sys.executable,
                    "-m",
                    "rather",
                    "convert",
                    source,
                    str(tmp_path / "out.jsonl"),
                    "--to",
                    "trl",
                ]
                return subprocess.run(command, env={**os.environ, **kept}, capture_output=True, text=True, timeout=300)

            done = rather("hf:org/name:train")
            assert (done.returncode, done.stderr) == (0, "")
            assert [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()] == ROWS
            assert f"GET /datasets/org/name/resolve/{COMMIT}/train.jsonl" in heard
            assert f"GET /datasets/org/name/resolve/{COMMIT}/test.jsonl" not in heard
            (tmp_path / "out.jsonl").unlink()
            nobody = rather("hf:org/nobody")
            assert nobody.returncode == 2
            assert re.fullmatch(
                r"rather: hf:org/nobody: cannot be opened \(Dataset 'org/nobody' doesn't exist on .*\)\n", nobody.stderr
            )

    def test_without_the_extra(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setitem(sys.modules, "datasets", None)
        with pytest.raises(ConfigError, match=r"hf:a/b: needs datasets; pip install 'rather\[data\]'"):
            read_pairs("hf:a/b")


def test_an_unknown_form_is_a_config_error(write_file: WriteFile):
    with pytest.raises(ConfigError, match='no form is called "openia"; did you mean "openai"'):
        read_pairs(write_file(ROWS), format="openia")
