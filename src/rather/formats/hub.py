"""Hugging Face data sets through `datasets`, streamed: "hf:org/name", with ":split" and "/config" where there are several.

A folder that `datasets` saved (`save_to_disk`) is read from disk without a network. No code of a data set is ever run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rather.errors import ConfigError, InputError
from rather.formats.values import Row

HUB = "hf:"

_SAVED = ("state.json", "dataset_dict.json")


def is_saved_dataset(folder: Path) -> bool:
    """True for what `save_to_disk` leaves."""
    return any((folder / name).is_file() for name in _SAVED)


def dataset_rows(source: str) -> Iterator[tuple[str, Row]]:
    """The rows of a data set with their places (`hf:name:split:row`), one at a time."""
    name, split = _named(source)
    rows = iter(_only_split(source, _opened(source, name), split))
    number = 0
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"{source}: cannot be read behind row {number} ({_said(error)})") from error
        number += 1
        yield f"{source}:{number}", row


def _named(source: str) -> tuple[str, str | None]:
    name, colon, split = source.removeprefix(HUB).rpartition(":")
    if not colon or "/" in split:
        name, split = source.removeprefix(HUB), ""
    if not name.strip("/ "):
        raise InputError(f"{source}: names no data set; write hf:org/name, hf:org/name:split or hf:FOLDER")
    return name, split or None


def _opened(source: str, name: str) -> Any:
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise ConfigError(f"{source}: needs {error.name}; pip install 'rather[data]'") from error
    datasets.disable_progress_bars()
    try:
        folder = Path(name)
        if folder.is_dir():
            return datasets.load_from_disk(name) if is_saved_dataset(folder) else _stream(datasets, name, None)
        organisation, _, rest = name.partition("/")
        repository, _, config = rest.partition("/")
        return _stream(datasets, f"{organisation}/{repository}" if repository else organisation, config or None)
    except (OSError, RuntimeError, ValueError) as error:  # not found, offline, with a script, of several configs
        raise InputError(f"{source}: cannot be opened ({_said(error)})") from error


def _stream(datasets: Any, name: str, config: str | None) -> Any:
    return datasets.load_dataset(name, config, streaming=True)


def _only_split(source: str, found: Any, split: str | None) -> Any:
    if not isinstance(found, dict):
        if split is not None:
            raise InputError(f"{source}: has no splits; leave :{split} out")
        return found
    if split is None and len(found) > 1:
        raise InputError(f"{source}: has the splits {', '.join(found)}; name one, as {source}:{next(iter(found))}")
    if split is not None and split not in found:
        raise InputError(f"{source}: has no split {split}; it has {', '.join(found)}")
    return found[split or next(iter(found))]


def _said(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
