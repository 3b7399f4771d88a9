"""Write tensors so that a full disk looks like one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor


def save_tensors(tensors: Mapping[str, Tensor], path: Path, *, metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file. Raises OSError where the disk does not take it."""
    with as_os_error(path):
        save_file(dict(tensors), path, metadata=None if metadata is None else dict(metadata))


@contextmanager
def as_os_error(path: Path) -> Iterator[None]:
    """Turn what safetensors and tokenizers raise for a full or read-only disk into the OSError that it stands for."""
    try:
        yield
    except Exception as error:  # tokenizers raises nothing more particular
        found = re.search(r"os error (\d+)", str(error))
        if found is None:
            raise
        number = int(found[1])
        raise OSError(number, os.strerror(number), str(path)) from error
