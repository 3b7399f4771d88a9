"""Reference log-probabilities as files: safetensors of one tensor with a hash of it, whole or not there."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from rather.errors import RatherError, RunDirError
from rather.model.tensors import save_tensors
from rather.progress import say
from rather.rundir import FULL

# Entries beyond this many bytes are dropped, the oldest first.
CACHE_BYTES = 2 << 30

_NAME = "logps"
_BLOCK = 1 << 20


class MappedEntry:
    """An entry that is written where it will stand, and read from there: `values` [C] float32, zeros at first, are a file's.

    Raises RunDirError where the disk has no room, before anything is computed: a map that cannot grow kills its process.
    """

    def __init__(self, file: Path, key: str, tokens: int) -> None:
        self._file, self._key = file, key
        self._scratch = file.with_suffix(f".{os.getpid()}.part")  # two runs may write the same entry at once
        self._header = _header(key, "0" * 64, tokens)
        size = len(self._header) + 4 * tokens
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            _sweep(file)
            with self._scratch.open("wb") as out:
                for start in range(0, size, _BLOCK):
                    out.write(bytes(min(_BLOCK, size - start)))
        except OSError as error:
            self._scratch.unlink(missing_ok=True)
            why = "no space left" if error.errno in FULL else error.strerror or str(error)
            raise RunDirError(
                f"the reference needs {size / 1e9:.2f} GB in {file.parent}: {why}; free some, or set RATHER_CACHE to another disk"
            ) from error
        whole = torch.from_file(str(self._scratch), shared=True, size=size, dtype=torch.uint8)
        self.values = whole[len(self._header) :].view(torch.float32)

    def keep(self) -> None:
        """Give it its name, for later runs."""
        with self._scratch.open("r+b") as out:
            out.write(_header(self._key, _checksum(self.values), len(self.values)))
            os.fsync(out.fileno())
        self._scratch.replace(self._file)
        _prune(self._file.parent, keep=self._file)

    def __del__(self) -> None:
        self._scratch.unlink(missing_ok=True)


def _sweep(file: Path) -> None:
    """Remove what killed processes of this machine have left of this entry."""
    for part in file.parent.glob(f"{file.stem}.*.part"):
        try:
            os.kill(int(part.suffixes[-2][1:]), 0)
        except ProcessLookupError:
            part.unlink(missing_ok=True)


def _header(key: str, checksum: str, tokens: int) -> bytes:
    """What a safetensors file begins with: its length, and JSON filled up with blanks to whole eights."""
    told = {
        "__metadata__": {"key": key, "sha256": checksum},
        _NAME: {"dtype": "F32", "shape": [tokens], "data_offsets": [0, 4 * tokens]},
    }
    text = json.dumps(told).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def keep(file: Path, key: str, logp_C: Tensor) -> None:
    """A cache that cannot be written costs the next run time and this one nothing."""
    values = logp_C.cpu()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        scratch = file.with_suffix(f".{os.getpid()}.part")  # two runs may write the same entry at once
        save_tensors({_NAME: values}, scratch, metadata={"key": key, "sha256": _checksum(values)})
        scratch.replace(file)
        _prune(file.parent, keep=file)
    except (OSError, RatherError) as error:
        say(f"note: the reference is not kept for later runs: {error}")


def read(file: Path, key: str, tokens: int) -> Tensor | None:
    """The values of an entry, from its file as they are needed; None where there is none that can be believed."""
    if not file.is_file():
        return None
    try:
        with safe_open(file, framework="pt") as stored:
            known, values = stored.metadata() or {}, stored.get_tensor(_NAME)
    except (SafetensorError, OSError) as error:
        say(f"note: {file} is damaged ({error}); the reference is computed again")
        return None
    if known.get("key") != key or known.get("sha256") != _checksum(values) or values.shape != (tokens,):
        say(f"note: {file} is not what its name says; the reference is computed again")
        return None
    return values


def _checksum(values: Tensor) -> str:
    return hashlib.sha256(values.contiguous().numpy().data).hexdigest()


def _prune(folder: Path, *, keep: Path) -> None:
    total = 0
    for entry in sorted(folder.glob("*.safetensors"), key=lambda entry: entry.stat().st_mtime, reverse=True):
        total += entry.stat().st_size
        if total > CACHE_BYTES and entry != keep:
            entry.unlink(missing_ok=True)
