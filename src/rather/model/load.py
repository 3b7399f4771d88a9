"""Load and save models as plain Hugging Face folders: safetensors only, no code from the model's repository."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    StrictDataclassError,
)
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from rather.errors import ConfigError, ModelError
from rather.model.catalog import resolve
from rather.model.damage import broken_file, broken_json
from rather.model.quantised import one_product_for_all
from rather.model.tensors import as_os_error
from rather.rundir import hash_files

_KINDS = (".safetensors", ".json", ".jinja", ".model")
_VOCABULARIES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
_TAKES = "--model takes a folder in Hugging Face layout, or a hub id"
_AGAIN = "fetch or copy the model again"


@dataclass(frozen=True)
class Loaded:
    """A causal language model with its tokenizer; `path` is the folder or hub id it came from."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    path: str

    @property
    def stop_tokens(self) -> frozenset[int]:
        """Ids at which generation ends, by the generation config and the tokenizer."""
        configured = self.model.generation_config.eos_token_id if self.model.generation_config else None
        ids = configured if isinstance(configured, list) else [configured]
        return frozenset(i for i in [*ids, self.tokenizer.eos_token_id] if isinstance(i, int))

    @property
    def window(self) -> int | None:
        """The longest conversation that the model's positions allow, if its config says."""
        return _window(self.model.config)


def window_of(name: str) -> int | None:
    """The same of a folder, hub id or catalogued name, without its weights."""
    folder = folder_of(name)
    with blaming(name, folder, "config.json"):
        return _window(AutoConfig.from_pretrained(folder, trust_remote_code=False))


def _window(config: PreTrainedConfig) -> int | None:
    length = getattr(config.get_text_config(), "max_position_embeddings", None)
    return length if isinstance(length, int) else None


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder, hub id or catalogued name."""
    return read_tokenizer(folder_of(name), name)


def read_tokenizer(folder: Path, name: str) -> PreTrainedTokenizerBase:
    """The tokenizer in a folder that need not hold a model. name: what an error calls it."""
    with blaming(name, folder, "the tokenizer"):
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)


def load(
    name: str,
    *,
    dtype: torch.dtype | Literal["auto"] = torch.float32,
    device: str | None = None,
    in_4bit: bool = False,
) -> Loaded:
    """Load a folder, hub id or catalogued name, in eval mode, on `device` (the best at hand if not given).

    dtype: of the weights; "auto" as they are stored. in_4bit: linear layers hold 4-bit NF4 numbers with doubly quantised
    scales (QLoRA, Dettmers et al. 2023, arXiv 2305.14314), and the rest and all products are in `dtype`; nothing in it can be
    trained but an adapter.
    Raises ModelError with a cure when it is missing, broken, not a causal language model, or needs code of its own.
    """
    folder, where = folder_of(name), device or pick_device()
    tokenizer = load_tokenizer(name)
    options: dict[str, Any] = {}
    if in_4bit:
        quantised = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
        options = {"quantization_config": quantised, "device_map": {"": where}}
    with blaming(name, folder, "config.json"):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    if any("SequenceClassification" in kind for kind in getattr(config, "architectures", None) or ()):
        raise ModelError(f"{name} is a reward model, which scores answers and writes none; name a language model")
    if getattr(config, "is_encoder_decoder", False):
        raise ModelError(f"{name} is an encoder-decoder; a causal language model is needed")
    broken = broken_json(folder / "generation_config.json")  # transformers would go on without it
    if broken:
        raise ModelError(f"cannot load the model {name}: {broken}; {_AGAIN}")
    with blaming(name, folder, "the weights"), without_bars():
        model, found = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # refused below, by name
            **options,
        )
    if found["mismatched_keys"]:
        weight, theirs, ours = min(found["mismatched_keys"])
        raise ModelError(
            f"cannot load the model {name}: {weight} is {list(theirs)} in the weights and {list(ours)} by config.json, so the "
            f"two are of different models; {_AGAIN}"
        )
    if found["missing_keys"]:  # transformers would go on with random numbers in their place
        raise ModelError(f"{name} has no weights for {min(found['missing_keys'])}; {_AGAIN}")
    model.eval()
    if in_4bit:
        model.requires_grad_(False)
        one_product_for_all(model)
    else:
        model.requires_grad_(True)
        model = model.to(where)
    return Loaded(model, tokenizer, resolve(name))


def save(loaded: Loaded, folder: Path, *, system_prompt: str | None = None) -> None:
    """Write model, tokenizer, generation config and chat template, so that transformers alone can load and chat.

    system_prompt: becomes the template's default for conversations without a system turn.
    """
    with as_os_error(folder), without_bars():
        loaded.model.save_pretrained(folder)
    save_tokenizer(loaded.tokenizer, folder, system_prompt=system_prompt)


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path, *, system_prompt: str | None = None) -> None:
    """Write a tokenizer and its chat template beside what is in `folder`, and let everybody read all of it."""
    with as_os_error(folder):
        tokenizer.save_pretrained(folder)
    for file in folder.iterdir():
        file.chmod(0o644)  # safetensors writes for its owner alone; a server under another user must load it too
    if system_prompt is not None:
        template = folder / "chat_template.jinja"
        own = tokenizer.get_chat_template()  # of several named ones the one in use
        template.write_text(with_default_system(own, system_prompt), encoding="utf-8")


@contextmanager
def without_bars() -> Iterator[None]:
    """transformers' own progress bars would tear ours apart; a caller's setting comes back afterwards."""
    wanted = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if wanted:
            logging.enable_progress_bar()


def with_default_system(template: str, system_prompt: str) -> str:
    """The chat template with `system_prompt` put first where a conversation has no system turn of its own."""
    quoted = system_prompt.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return (
        "{%- if messages[0]['role'] != 'system' -%}"
        "{%- set messages = [{'role': 'system', 'content': '" + quoted + "'}] + messages -%}"
        "{%- endif -%}" + template
    )


def pick_device() -> str:
    """The device named by $RATHER_DEVICE, else a CUDA GPU, else Apple's (mps), else the CPU.

    Raises ConfigError for a name that is none of these, and for a device that torch does not find.
    """
    there = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available, "cpu": lambda: True}
    wanted = os.environ.get("RATHER_DEVICE", "").strip().lower()
    if not wanted:
        return next(name for name, is_there in there.items() if is_there())
    if wanted not in there:
        raise ConfigError(f"RATHER_DEVICE={wanted}: choose {', '.join(there)}, or leave it unset for the best at hand")
    if not there[wanted]():
        raise ConfigError(
            f"RATHER_DEVICE={wanted}: torch finds no such device here; leave it unset for the best at hand"
        )
    return wanted


def machine(device: torch.device) -> dict[str, Any]:
    """What figures of time and the last digits of others depend on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {
        "device": name,
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def device_said(device: torch.device) -> str:
    """What a run says at its start of where it computes."""
    if device.type == "cpu":
        return f"device: cpu, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"
    return f"device: {machine(device)['device']}"


def bf16_is_fast(device: str) -> bool:
    """True where bf16 products run on hardware made for them; elsewhere fp32 is faster as well as more exact."""
    if device == "cpu":
        flags = Path("/proc/cpuinfo")
        text = flags.read_text(encoding="utf-8", errors="replace") if flags.is_file() else ""
        return "avx512_bf16" in text or "amx_bf16" in text or " bf16 " in text
    return device == "cuda" and torch.cuda.is_bf16_supported()


def folder_of(name: str) -> Path:
    """The folder that holds a model; one on the hub is taken from its local cache, or fetched there."""
    if not name.strip():
        raise ModelError(f"the model's name is empty; {_TAKES}")
    path = resolve(name)
    folder = Path(path)
    looks_local = path.startswith((".", "/", "~")) or (os.sep in path and path.count("/") != 1)
    if folder.is_file():
        raise ModelError(f"{name} is a file; {_TAKES}")
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise ModelError(f"{name} has no config.json; {_TAKES}")
    if looks_local and not folder.exists():
        raise ModelError(f"{name} does not exist; {_TAKES}")
    if folder.is_dir():
        return folder
    try:
        return Path(snapshot_download(path, allow_patterns=[f"*{kind}" for kind in (*_KINDS, ".txt")]))
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot load the model {name}: {_hub_reason(error)}") from error


def _hub_reason(error: Exception) -> str:
    """Why a model is neither here nor to be had from the hub, and the cure."""
    if isinstance(error, HFValidationError):
        return f"it is neither a folder here nor a hub id; {_TAKES}"
    if isinstance(error, RepositoryNotFoundError):  # also for a gated one
        return f"it is no folder here, and no model on the hub that is open to you; {_TAKES}"
    if isinstance(error, LocalEntryNotFoundError):
        cause = error.__cause__
        how = ": ".join(part for part in (type(cause).__name__, _first_line(cause)) if part) if cause else "no network"
        reason = f"it is no folder here, and the hub cannot be reached ({how})"
    else:
        reason = _first_line(error) or type(error).__name__
    return f"{reason}; check the path, or connect to the hub once so that the model is in its local cache"


@contextmanager
def blaming(name: str, folder: Path, part: str) -> Iterator[None]:
    """Turn what a library raises about a `part` of a model into a ModelError that names the broken file and the cure."""
    try:
        yield
    except (ModelError, ModuleNotFoundError):
        raise
    except Exception as error:  # the libraries raise whatever their parsers do
        raise ModelError(f"cannot load the model {name}: {_local_reason(error, folder, part)}") from error


def _local_reason(error: Exception, folder: Path, part: str) -> str:
    if "trust_remote_code" in str(error) or "custom code" in str(error):
        return "models that bring code of their own are not run; choose one that transformers knows"
    broken = broken_file(folder)
    if broken:
        return f"{broken}; {_AGAIN}"
    if not any(folder.glob("*.safetensors")):
        if any(folder.glob("*.bin")):
            return "only safetensors are loaded; convert the weights first"
        if part == "the weights":
            return f"it has no weights (model.safetensors); {_AGAIN}"
    if part == "the tokenizer" and not any((folder / file).is_file() for file in _VOCABULARIES):
        return f"it has no tokenizer (tokenizer.json); {_AGAIN}"
    if isinstance(error, StrictDataclassError):  # the tokenizer's loading reads it too
        part = "config.json"
    cure = "mend it, or upgrade transformers if the model is newer" if part == "config.json" else _AGAIN
    return f"{part} cannot be used ({_first_line(error) or type(error).__name__}); {cure}"


def _first_line(error: BaseException) -> str:
    """What an error says, without the stack of advice that follows."""
    if isinstance(error, StrictDataclassError):
        return str(error).splitlines()[-1].strip().rstrip(".")
    lines = [line.strip().rstrip(":.") for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__} {lines[0]}" if isinstance(error, KeyError) else "".join(lines[:1])[:300]


def model_hash(name: str) -> str:
    """SHA-256 over the files that decide what a model computes: weights, config, tokenizer, template."""
    return hash_files([file for file in folder_of(name).iterdir() if file.suffix in _KINDS])
