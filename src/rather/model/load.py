"""Load and save models as plain Hugging Face folders: safetensors only, no code from the model's repository."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from rather.errors import ModelError
from rather.model.catalog import resolve
from rather.rundir import hash_files


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
    path = resolve(name)
    _check_folder(name, path)
    try:
        return AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise _unusable(name, error) from error


def load(name: str, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Loaded:
    """Load a folder, hub id or catalogued name for inference: eval mode, no gradients switched off.

    Raises ModelError with a cure when it is missing, not a causal language model, or needs code of its own.
    """
    path = resolve(name)
    tokenizer = load_tokenizer(path)
    try:
        config = AutoConfig.from_pretrained(path, trust_remote_code=False)
        if getattr(config, "is_encoder_decoder", False):
            raise ModelError(f"{name} is an encoder-decoder; a causal language model is needed")
        model = AutoModelForCausalLM.from_pretrained(
            path, config=config, dtype=dtype, trust_remote_code=False, use_safetensors=True
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise _unusable(name, error) from error
    model.requires_grad_(True)
    model.eval()
    return Loaded(model.to(device), tokenizer, path)


def save(loaded: Loaded, folder: Path, *, system_prompt: str | None = None) -> None:
    """Write model, tokenizer, generation config and chat template, so that transformers alone can load and chat.

    system_prompt: becomes the template's default for conversations without a system turn.
    """
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    if system_prompt is not None:
        template = folder / "chat_template.jinja"
        template.write_text(with_default_system(str(loaded.tokenizer.chat_template), system_prompt), encoding="utf-8")


def with_default_system(template: str, system_prompt: str) -> str:
    """The chat template with `system_prompt` put first where a conversation has no system turn of its own."""
    quoted = system_prompt.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return (
        "{%- if messages[0]['role'] != 'system' -%}"
        "{%- set messages = [{'role': 'system', 'content': '" + quoted + "'}] + messages -%}"
        "{%- endif -%}" + template
    )


def pick_device() -> str:
    """The best device at hand."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def bf16_is_fast(device: str) -> bool:
    """True where bf16 products run on hardware made for them; elsewhere fp32 is faster as well as more exact."""
    if device == "cpu":
        flags = Path("/proc/cpuinfo")
        text = flags.read_text(encoding="utf-8", errors="replace") if flags.is_file() else ""
        return "avx512_bf16" in text or "amx_bf16" in text or " bf16 " in text
    return device == "cuda" and torch.cuda.is_bf16_supported()


def _check_folder(name: str, path: str) -> None:
    looks_local = path.startswith((".", "/", "~")) or (os.sep in path and path.count("/") != 1)
    folder = Path(path)
    if folder.is_file():
        raise ModelError(f"{name} is a file; --model takes a folder in Hugging Face layout, or a hub id")
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise ModelError(f"{name} has no config.json; --model takes a folder in Hugging Face layout, or a hub id")
    if looks_local and not folder.exists():
        raise ModelError(f"{name} does not exist; --model takes a folder in Hugging Face layout, or a hub id")


def _unusable(name: str, error: Exception) -> ModelError:
    reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    if "safetensors" in str(error):
        cure = "only safetensors are loaded; convert the weights first"
    elif "trust_remote_code" in str(error) or "custom code" in str(error):
        cure = "models that bring code of their own are not run"
    else:
        cure = "check the path, or connect to the hub once so that the model is in its local cache"
    return ModelError(f"cannot load the model {name}: {reason[:300]}; {cure}")


def model_hash(name: str) -> str:
    """SHA-256 over the files that decide what a model computes: weights, config, tokenizer, template."""
    folder = Path(resolve(name))
    kinds = (".safetensors", ".json", ".jinja", ".model")
    return hash_files([file for file in folder.iterdir() if file.suffix in kinds])
