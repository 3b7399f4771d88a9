"""What a user names as a source → its rows: a file, several by a glob, a step's folder, or a Hugging Face data set."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from pathlib import Path

from rather.errors import InputError, RowError
from rather.formats.hub import HUB, dataset_rows, is_saved_dataset
from rather.formats.rows import KINDS, read_rows
from rather.formats.values import Row
from rather.rundir import unfinished

STEPS = {"pairs.jsonl": ("pair", "pairs"), "judgments.jsonl": ("judge", "judgments")}
"""What a step leaves in its folder → the step, and what the file holds."""


def source_rows(source: str | Path, *, inside: tuple[str, ...] = ()) -> Iterator[tuple[str, Row | RowError]]:
    """Rows with their places (`file:line`), part after part. `inside` names the file to read of a step's folder.

    Raises InputError where nothing can be read from the source or one of its parts.
    """
    for part in parts_of(source, inside=inside):
        if isinstance(part, str):
            yield from dataset_rows(part)
        else:
            for number, row in read_rows(part):
                yield f"{part}:{number}", row


def parts_of(source: str | Path, *, inside: tuple[str, ...] = ()) -> list[Path | str]:
    """The files of a source in the order of their names; a data set of `datasets` stays one text that begins with "hf:"."""
    text, path = str(source), Path(source)
    if text.startswith(HUB):
        return [text]
    if path.is_dir():
        return [_in_folder(path, inside)]
    if path.exists() or not glob.has_magic(text):  # a name may hold brackets
        return [path]
    found = sorted(name for name in glob.glob(text, recursive=True) if Path(name).is_file())  # noqa: PTH207 (patterns may be absolute)
    if not found:
        raise InputError(f"{text}: no file matches this pattern")
    return [Path(name) for name in found]


def files_of(source: str | Path) -> list[Path]:
    """One file, or those that a glob names in the order of their names. Raises InputError where it names none."""
    text = str(source)
    if Path(source).exists() or not glob.has_magic(text):
        return [Path(source)]
    return [Path(part) for part in parts_of(text)]


def missing_in(folder: Path, name: str) -> str:
    """Why a folder has no such file of a step, and what would help."""
    step, holds = STEPS[name]
    if unfinished(folder) == step:
        return f"no {name} in this folder yet: its `rather {step}` was not finished; run the same command again"
    return f"no {name} in this folder; name a file of {holds} or the folder of `rather {step}`"


def _in_folder(path: Path, inside: tuple[str, ...]) -> Path | str:
    for name in inside:
        if (path / name).is_file():
            return path / name
    if is_saved_dataset(path):
        return f"{HUB}{path}"
    begun = next((name for name in inside if unfinished(path) == STEPS[name][0]), None)
    if begun is not None:
        raise InputError(f"{path}: {missing_in(path, begun)}")
    wanted = f"holds no {' or '.join(inside)}; " if inside else ""
    raise InputError(f'{path}: is a folder; {wanted}name {KINDS} inside it, or several as "{path}/*.jsonl"')
