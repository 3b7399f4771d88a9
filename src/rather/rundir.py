"""Output folders: taken by one process at a time, written atomically, complete when their manifest is there.

    OUT/run.json        what this folder is for (written first): step, its configuration, hashes of its inputs
    OUT/…               whatever the step writes
    OUT/manifest.json   the same with versions, counts and names of outputs (written last): the step is done

The same command on a folder with a matching manifest has nothing to do; with a matching `run.json` it resumes; with
anything else inside it refuses, because somebody's work is there.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import resource
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import IO, Any

from rather.errors import RatherError, RunDirError
from rather.progress import say

MANIFEST = "manifest.json"
STARTED = "run.json"
LOCK = ".lock"
_SCRATCH = ".rather-"


class RunDir:
    """One step's output folder, held by this process. Use `open_run`."""

    def __init__(self, path: Path, identity: dict[str, Any], *, done: bool, resumed: bool) -> None:
        self.path = path
        self.identity = identity
        self.done = done
        self.resumed = resumed

    def finish(self, *, outputs: Sequence[str], **facts: Any) -> None:
        """Write the manifest: from here on the step counts as done, for as long as its `outputs` are there."""
        write_json(self.path / MANIFEST, {**self.identity, "outputs": list(outputs), **facts, "versions": versions()})
        self.done = True


@contextmanager
def open_run(path: Path, *, step: str, config: dict[str, Any], inputs: dict[str, str]) -> Iterator[RunDir]:
    """Take `path` for `step`. Raises RunDirError when it is in use, not writable, or holds something else.

    `config` and `inputs` (name → content hash) together say what the folder must contain.
    """
    identity = json.loads(json.dumps({"step": step, "config": config, "inputs": inputs}, default=str))
    with _disk_errors(path):
        require_usable(path)  # before locking: not even a lock file is left in somebody else's folder
        fresh = not path.exists()
        path.mkdir(parents=True, exist_ok=True)
        with _locked(path):
            known = _known(path)
            if known is not None:
                _must_match(path, known, identity)
            else:
                write_json(path / STARTED, identity)
            run = RunDir(path, identity, done=_is_done(path, known), resumed=known is not None)
            try:
                yield run
            except BaseException:
                _remove_if_bare(path, fresh)
                raise


def require_usable(path: Path) -> None:
    """Raise RunDirError now for a folder that `open_run` would refuse after all the work before it."""
    with _disk_errors(path):
        if path.exists() and not path.is_dir():
            raise RunDirError(f"{path} is a file; --out takes a folder")
        if path.exists() and _foreign(path):
            raise RunDirError(f"{path} holds files that no run of rather made; choose another --out")


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a finished folder. Raises RunDirError if there is none."""
    file = path / MANIFEST
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunDirError(f"{path} has no {MANIFEST}; it is not a finished run") from error
    except (OSError, ValueError) as error:
        raise RunDirError(f"{file} cannot be read: {error}; the run must be made again") from error


def unfinished(path: Path) -> str | None:
    """The step that was begun in a folder and is not done; None where there is none."""
    known = _known(path)
    return None if known is None or (path / MANIFEST).is_file() else known.get("step")


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader sees the old file or the new one, never a part."""
    with atomic_file(path) as file:
        json.dump(value, file, ensure_ascii=False, indent=2, default=str)
        file.write("\n")


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[str]]:
    """A text file that takes its name only once it is whole and on disk."""
    handle, scratch = tempfile.mkstemp(prefix=f"{_SCRATCH}{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            os.fchmod(file.fileno(), 0o644)
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(scratch).replace(path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A folder that takes its name only once it is whole; an older one of that name is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f"{_SCRATCH}{path.name}-", dir=path.parent))
    try:
        scratch.chmod(0o755)
        yield scratch
        _to_disk(scratch)
        if path.exists():
            # Moved aside and not removed: a kill between the two renames must not leave neither.
            older = Path(tempfile.mkdtemp(prefix=f"{_SCRATCH}{path.name}-", dir=path.parent)) / path.name
            path.rename(older)
            scratch.rename(path)
            shutil.rmtree(older.parent)
        else:
            scratch.rename(path)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def remove_folder(path: Path) -> None:
    """Remove a folder at once: it loses its name first, so that a kill never leaves half of it under that name."""
    aside = Path(tempfile.mkdtemp(prefix=f"{_SCRATCH}{path.name}-", dir=path.parent))
    path.rename(aside / path.name)
    shutil.rmtree(aside)


def link_tree(source: Path, target: Path) -> None:
    """The same files under a second name, without a second copy where the file system can."""

    def link(a: str, b: str) -> str:
        try:
            os.link(a, b)
        except OSError:
            shutil.copy2(a, b)
        return b

    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(source, target, copy_function=link)


def sweep_scratch(path: Path) -> None:
    """Remove what a killed process left half-written."""
    for entry in path.glob(f"{_SCRATCH}*"):
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_files(paths: list[Path]) -> str:
    """SHA-256 over names and contents of several files; for a model folder or a data set in parts."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.name}\0{hash_file(path)}\n".encode())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in ("rather", "torch", "transformers", "peft", "bitsandbytes", "safetensors", "numpy", "tokenizers"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def peak_memory_gb() -> float:
    """The most memory that this process has had at once, in GB of 10⁹ bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round((peak if sys.platform == "darwin" else peak * 1024) / 1e9, 3)


FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What a write raises for which there is no room, whatever file it was."""


def disk_error(error: OSError, path: Path, *, else_: str = "choose another --out") -> RatherError:
    """An OSError at `path` as one sentence with a cure: mend it, or do `else_`."""
    if error.errno == errno.EFBIG:
        return RunDirError(
            f"a file of {path} would become larger than is allowed; raise the limit (ulimit -f), or {else_}"
        )
    if error.errno in FULL:
        return RunDirError(f"no space left for {path}; free some and run the same command again: what is done is kept")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return RunDirError(f"{path} is not writable; {else_}")
    return RunDirError(f"cannot write {path}: {error.strerror or error}; {else_}")


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if _concerns(error, path):
            raise disk_error(error, path) from error
        raise


def _concerns(error: OSError, path: Path) -> bool:
    """False for an OSError from elsewhere (a network, a file read from another place): no other --out would cure it."""
    if error.errno in FULL:
        return True
    if not isinstance(error.filename, (str, os.PathLike)):
        return False
    here, there = path.resolve(), Path(error.filename).resolve()
    return here.is_relative_to(there) or there.is_relative_to(here)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the folder for this process; the lock dies with it, however it ends."""
    import fcntl

    with (path / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunDirError(f"{path} is in use by another run; wait for it or choose another --out") from error
        yield


def _foreign(path: Path) -> bool:
    """True if the folder holds something but no run. A run killed at its start leaves at most a lock and scratch."""
    if _known(path) is not None:
        return False
    return any(entry.name != LOCK and not entry.name.startswith(_SCRATCH) for entry in path.iterdir())


def _known(path: Path) -> dict[str, Any] | None:
    for name in (MANIFEST, STARTED):
        file = path / name
        if file.is_file():
            try:
                known = json.loads(file.read_text(encoding="utf-8"))
            except ValueError as error:
                raise RunDirError(f"{file} is damaged; remove {path} or choose another --out") from error
            if isinstance(known, dict) and all(isinstance(known.get(part), dict) for part in ("config", "inputs")):
                return known
    return None


def _must_match(path: Path, known: dict[str, Any], wanted: dict[str, Any]) -> None:
    if known.get("step") != wanted["step"]:
        raise RunDirError(f"{path} holds the output of `rather {known.get('step')}`; choose another --out")
    for part in ("config", "inputs"):
        before, now = known.get(part, {}), wanted[part]
        for key in sorted(set(before) | set(now)):
            if before.get(key) != now.get(key):
                what = f"{key} {_short(before.get(key))}, not {_short(now.get(key))}"
                raise RunDirError(f"{path} holds a run with {what}; choose another --out or remove it")


def _is_done(path: Path, known: dict[str, Any] | None) -> bool:
    """True if the manifest is there and so is what it lists; else the step is made again."""
    if known is None or not (path / MANIFEST).is_file():
        return False
    gone = [name for name in known.get("outputs", []) if not (path / name).exists()]
    if gone:
        say(f"{path}: {gone[0]} is gone and will be made again")
        (path / MANIFEST).unlink()
    return not gone


def _to_disk(folder: Path) -> None:
    """Wait until every file in the folder is on disk, so that its name never stands for less after a power cut."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())


def _short(value: Any) -> str:
    text = " ".join(str(value).split())  # an error is one line
    return text if len(text) <= 40 else text[:37] + "…"


def _remove_if_bare(path: Path, fresh: bool) -> None:
    """A folder that this call made and in which nothing was achieved is taken away again."""
    if fresh and path.is_dir() and all(entry.name in (LOCK, STARTED) for entry in path.iterdir()):
        shutil.rmtree(path, ignore_errors=True)
