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
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from rather.errors import ModelError
from rather.model.catalog import resolve
from rather.model.quantised import one_product_for_all
from rather.model.tensors import as_os_error
from rather.rundir import hash_files

_KINDS = (".safetensors", ".json", ".jinja", ".model")


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
        length = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        return length if isinstance(length, int) else None


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder, hub id or catalogued name."""
    return read_tokenizer(_folder(name), name)


def read_tokenizer(folder: Path, name: str) -> PreTrainedTokenizerBase:
    """The tokenizer in a folder that need not hold a model. name: what an error calls it."""
    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise _unusable(name, error) from error


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
    Raises ModelError with a cure when it is missing, not a causal language model, or needs code of its own.
    """
    folder, where = _folder(name), device or pick_device()
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
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        if getattr(config, "is_encoder_decoder", False):
            raise ModelError(f"{name} is an encoder-decoder; a causal language model is needed")
        with _without_bars():
            model, found = AutoModelForCausalLM.from_pretrained(
                folder,
                config=config,
                dtype=dtype,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
                **options,
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise _unusable(name, error) from error
    if found["missing_keys"]:  # transformers would go on with random numbers in their place
        raise ModelError(f"{name} has no weights for {min(found['missing_keys'])}; fetch or copy the model again")
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
    with as_os_error(folder), _without_bars():
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
def _without_bars() -> Iterator[None]:
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
    """A CUDA GPU where there is one, else the CPU. CUDA_VISIBLE_DEVICES="" keeps a run off the GPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def machine(device: torch.device) -> dict[str, Any]:
    """What figures of time and the last digits of others depend on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {
        "device": name,
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def bf16_is_fast(device: str) -> bool:
    """True where bf16 products run on hardware made for them; elsewhere fp32 is faster as well as more exact."""
    if device == "cpu":
        flags = Path("/proc/cpuinfo")
        text = flags.read_text(encoding="utf-8", errors="replace") if flags.is_file() else ""
        return "avx512_bf16" in text or "amx_bf16" in text or " bf16 " in text
    return device == "cuda" and torch.cuda.is_bf16_supported()


def _folder(name: str) -> Path:
    """The folder that holds a model; one on the hub is taken from its local cache, or fetched there."""
    path = resolve(name)
    folder = Path(path)
    looks_local = path.startswith((".", "/", "~")) or (os.sep in path and path.count("/") != 1)
    if folder.is_file():
        raise ModelError(f"{name} is a file; --model takes a folder in Hugging Face layout, or a hub id")
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise ModelError(f"{name} has no config.json; --model takes a folder in Hugging Face layout, or a hub id")
    if looks_local and not folder.exists():
        raise ModelError(f"{name} does not exist; --model takes a folder in Hugging Face layout, or a hub id")
    if folder.is_dir():
        return folder
    try:
        return Path(snapshot_download(path, allow_patterns=[f"*{kind}" for kind in (*_KINDS, ".txt")]))
    except (OSError, ValueError) as error:
        raise _unusable(name, error) from error


def _unusable(name: str, error: Exception) -> ModelError:
    reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    if isinstance(error, SafetensorError):
        cure = "the weights are damaged; fetch or copy them again"
    elif "safetensors" in str(error):
        cure = "only safetensors are loaded; convert the weights first"
    elif "trust_remote_code" in str(error) or "custom code" in str(error):
        cure = "models that bring code of their own are not run"
    else:
        cure = "check the path, or connect to the hub once so that the model is in its local cache"
    return ModelError(f"cannot load the model {name}: {reason[:300]}; {cure}")


def model_hash(name: str) -> str:
    """SHA-256 over the files that decide what a model computes: weights, config, tokenizer, template."""
    return hash_files([file for file in _folder(name).iterdir() if file.suffix in _KINDS])
