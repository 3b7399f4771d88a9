"""Files as bytes, unpacked while they are read: plain, .gz or .zst. A damaged one is one InputError."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from rather.errors import InputError

PACKED = (".gz", ".zst")

# What a file begins with that its name does not say: bytes, what they are, and the cure.
_MAGIC = {
    b"\x1f\x8b": "is gzip; its name must end in .gz",
    b"\x28\xb5\x2f\xfd": "is Zstandard; its name must end in .zst",
    b"PAR1": "is Parquet; its name must end in .parquet",
    b"PK\x03\x04": "is a zip archive; unpack it first",
    b"BZh": "is packed with bzip2; unpack it, or pack it as .gz or .zst",
    b"\xfd7zXZ": "is packed with xz; unpack it, or pack it as .gz or .zst",
    b"\xff\xfe": "is UTF-16; save it as UTF-8",
    b"\xfe\xff": "is UTF-16; save it as UTF-8",
    b"<!DOCTYPE": "is a web page; download the file itself",
    b"<html": "is a web page; download the file itself",
}


def plain_name(path: Path) -> str:
    """The file's name without .gz or .zst."""
    return path.name.removesuffix(path.suffix) if path.suffix in PACKED else path.name


@contextmanager
def open_bytes(path: Path) -> Iterator[io.BufferedReader]:
    """The file's own bytes. Raises InputError for one that is damaged or cannot be read, also while it is being read."""
    unpack: Callable[[IO[bytes]], Any] = lambda file: gzip.GzipFile(fileobj=file)  # noqa: E731
    damage: tuple[type[Exception], ...] = (EOFError, gzip.BadGzipFile, zlib.error)
    if path.suffix == ".zst":
        import pyarrow as pa  # here, because `rather --help` must not wait for it

        unpack, damage = (lambda file: pa.CompressedInputStream(file, "zstd")), (*damage, pa.ArrowException)
    try:
        with path.open("rb") as file:
            if path.suffix not in PACKED:
                yield file
                return
            buffered: Any = io.BufferedReader(unpack(file))
            with buffered as reader:
                yield reader
    except damage as error:
        raise _damaged(path, error) from error
    except OSError as error:
        if path.suffix == ".zst" and error.errno is None:  # pyarrow's word for damage; the system's own has a number
            raise _damaged(path, error) from error
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def first_byte(path: Path, file: io.BufferedReader) -> bytes:
    """The first byte that is no white space; the file is left at its start, behind a byte-order mark."""
    head = file.peek(4096)  # a pipe cannot seek back
    for magic, said in _MAGIC.items():
        if head.startswith(magic):
            raise InputError(f"{path}: {said}")
    bom = 3 if head.startswith(b"\xef\xbb\xbf") else 0
    file.read(bom)
    return head[bom:].lstrip()[:1]


def _damaged(path: Path, error: BaseException) -> InputError:
    kind = "gzip" if path.suffix == ".gz" else "Zstandard"
    said = (str(error).splitlines() or [type(error).__name__])[0][:120]
    return InputError(f"{path}: damaged {kind} file ({said}); fetch or write it again")
