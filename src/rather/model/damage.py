"""Which file of a model folder is broken: asked once loading it has failed, so that nobody has to guess."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

INDEX = "model.safetensors.index.json"

# Of the JSON files in a folder those that loading reads; others may hold what they like.
_READ = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    INDEX,
)


def broken_file(folder: Path) -> str | None:
    """What is wrong with the first file that cannot be what its name says, as in "config.json is empty"; None if none is."""
    for name in _READ:
        wrong = broken_json(folder / name)
        if wrong:
            return wrong
    for file in sorted(folder.glob("*.jinja")):
        try:
            file.read_text(encoding="utf-8")
        except ValueError:
            return f"{file.name} is not UTF-8"
    return _broken_weights(folder)


def broken_json(file: Path) -> str | None:
    """What keeps a file from being a JSON object; None if nothing does, or it is absent."""
    if not file.is_file():
        return None
    text = file.read_bytes()
    if not text.strip():
        return f"{file.name} is empty"
    try:
        value = json.loads(text.decode("utf-8"))
    except UnicodeDecodeError:
        return f"{file.name} is not UTF-8"
    except json.JSONDecodeError as error:
        return f"{file.name} is not JSON ({error.msg}, line {error.lineno} column {error.colno})"
    except (RecursionError, ValueError):
        return f"{file.name} is not JSON"
    return None if isinstance(value, dict) else f"{file.name} is not a JSON object"


def _broken_weights(folder: Path) -> str | None:
    index = folder / INDEX
    if index.is_file():
        shards = json.loads(index.read_text(encoding="utf-8")).get("weight_map")
        if not isinstance(shards, dict):
            return f'{INDEX} has no "weight_map"'
        absent = sorted({str(name) for name in shards.values() if not (folder / str(name)).is_file()})
        if absent and not (folder / "model.safetensors").is_file():
            return f"{absent[0]}, which {INDEX} names, is missing"
    for file in sorted(folder.glob("*.safetensors")):
        wrong = _broken_tensors(file)
        if wrong:
            return wrong
    return None


def _broken_tensors(file: Path) -> str | None:
    size = file.stat().st_size
    if not size:
        return f"{file.name} is empty"
    try:
        with safe_open(file, framework="numpy"):
            return None
    except SafetensorError as error:
        expected = _expected_size(file)
        if expected is not None and size < expected:
            return f"{file.name} is cut off: {size:,} of {expected:,} bytes are there"
        return f"{file.name} is not safetensors ({error})"


def _expected_size(file: Path) -> int | None:
    """Bytes that the header says the file has; None where there is no header to read."""
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if not 2 <= length <= 100_000_000:  # the most that the format allows
            return None
        text = opened.read(length)
    try:
        header = json.loads(text)
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        return 8 + length + max(ends)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError):
        return None
