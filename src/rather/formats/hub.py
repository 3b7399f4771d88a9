"""Hugging Face data sets through `datasets`, streamed: "hf:org/name", with ":split" and "/config" where there are several.

A folder that `datasets` saved (`save_to_disk`) is read from disk without a network, and so is a data set that it has in its cache
where the hub cannot be reached. No code of a data set is ever run.
"""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

from rather.errors import ConfigError, InputError
from rather.formats.values import Row
from rather.progress import say

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
        return _of_the_hub(datasets, source, name)
    except (OSError, RuntimeError, ValueError) as error:  # not found, offline, with a script, of several configs
        raise InputError(f"{source}: cannot be opened ({_said(error)})") from error


def _of_the_hub(datasets: Any, source: str, name: str) -> Any:
    organisation, _, rest = name.partition("/")
    repository, _, config = rest.partition("/")
    name = f"{organisation}/{repository}" if repository else organisation
    address = datasets.config.HF_ENDPOINT
    said = "HF_HUB_OFFLINE is set" if datasets.config.HF_HUB_OFFLINE else f"{address} cannot be reached"
    if not datasets.config.HF_HUB_OFFLINE and _reachable(address):
        return _stream(datasets, name, config or None)
    with _offline(datasets):  # its own attempts would take half a minute, with lines of a log for each
        try:
            found = _stream(datasets, name, config or None)
        except OSError as error:
            raise InputError(
                f"{source}: {said}, and `datasets` has no copy of it here; connect, or name a file or a folder"
            ) from error
    say(f"note: {source}: {said}; the copy in the cache of `datasets` is read")
    return found


def _reachable(address: str) -> bool:
    """False where no connection can be made. Whatever else goes wrong, `datasets` says itself."""
    try:
        urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=10).close()
    except urllib.error.HTTPError:
        return True
    except urllib.error.URLError as error:
        return not isinstance(error.reason, OSError) or isinstance(error.reason, ssl.SSLError)
    except TimeoutError:
        return False
    except (OSError, HTTPException, ValueError):  # hung up on us; no address
        return True
    return True


@contextmanager
def _offline(datasets: Any) -> Iterator[None]:
    """`datasets` asks its cache alone, and does not say so in words of its own."""
    before, level = datasets.config.HF_HUB_OFFLINE, datasets.logging.get_verbosity()
    datasets.config.HF_HUB_OFFLINE = True
    datasets.logging.set_verbosity_error()
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before
        datasets.logging.set_verbosity(level)


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
