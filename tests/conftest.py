"""What tests of several rooms share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# Slow machines run the same tests: the number of examples is bounded, not their time.
settings.register_profile("house", deadline=None, max_examples=50)
settings.load_profile("house")

# Two threads that wait for each other on a busy machine make a tiny model a hundred times slower. Children inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"

WriteFile = Callable[..., Path]


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
