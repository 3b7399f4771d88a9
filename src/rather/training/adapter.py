"""LoRA: train a small adapter on every linear layer, and fold it into the weights at the end."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import PreTrainedModel

from rather.errors import ModelError, RunDirError
from rather.model import Loaded, load, save
from rather.model.load import read_tokenizer
from rather.model.tensors import as_os_error
from rather.progress import say
from rather.rundir import atomic_folder, disk_error

_WEIGHTS, _CONFIG = "adapter_model.safetensors", "adapter_config.json"


def add_lora(loaded: Loaded, rank: int, *, seed: int) -> PeftModel:
    """The model with a fresh adapter of `rank` (α = 2·rank, no dropout); only the adapter is trainable, in fp32.

    The adapter starts as zero, so the policy starts as the reference, and no second model is ever loaded.
    """
    torch.manual_seed(seed)
    config = LoraConfig(
        r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    adapted = get_peft_model(loaded.model, config)
    adapted.eval()
    assert isinstance(adapted, PeftModel)
    base = Path(loaded.path)
    config.base_model_name_or_path = str(base.resolve()) if base.is_dir() else loaded.path
    return adapted


def save_adapter(policy: PeftModel, folder: Path) -> None:
    """Write the adapter alone, in peft's layout, and the name of what it stands on."""
    with as_os_error(folder):
        policy.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # a form for the hub that nobody has filled in


def merged(policy: torch.nn.Module) -> PreTrainedModel:
    """The plain model: adapter folded in where there is one, which ends it.

    Raises ValueError for a base that is not held in fp32: its rounding would stay in the weights. Use `with_adapter`.
    """
    if isinstance(policy, PeftModel) and not held_in_fp32(policy):
        raise ValueError("the base is held in fewer digits than it is stored in")
    model = policy.merge_and_unload() if isinstance(policy, PeftModel) else policy  # pyright: ignore[reportCallIssue]
    assert isinstance(model, PreTrainedModel)
    return model


def held_in_fp32(policy: torch.nn.Module) -> bool:
    """True if no weight was rounded or quantised to be held."""
    return all(parameter.dtype == torch.float32 for parameter in policy.parameters())


def with_adapter(adapter: str | Path) -> Loaded:
    """The model that an adapter folder stands on, as it is stored, with the adapter folded in, on the CPU.

    Sums are made in fp32 and rounded once, to the dtype in which the base is stored. The tokenizer is the adapter's own where
    it brings one. Raises ModelError for a folder that is no adapter, for one that cannot be folded in, and for a base that is
    not there or does not fit.
    """
    folder = Path(adapter)
    for name in (_CONFIG, _WEIGHTS):
        if not (folder / name).is_file():
            raise ModelError(f"{folder} has no {name}; `rather merge` takes a peft adapter in safetensors")
    try:
        config = PeftConfig.from_pretrained(str(folder))
        stored = load_file(folder / _WEIGHTS)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ModelError(f"{folder} is damaged ({_first_line(error)}); fetch or copy the adapter again") from error
    name = config.base_model_name_or_path
    if not name:
        raise ModelError(f"{folder / _CONFIG} names no base_model_name_or_path; write there what the adapter stands on")
    try:
        base = load(name, dtype="auto", device="cpu")
    except ModelError as error:
        cure = f"correct base_model_name_or_path in {folder / _CONFIG}"
        raise ModelError(f"the base of {folder} cannot be used: {error}; or {cure}") from error
    dtype = base.model.dtype
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Found missing adapter keys")  # named below, and refused
            adapted: Any = PeftModel.from_pretrained(base.model.float(), str(folder), config=config)
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder} does not fit {name}: {_first_line(error)}") from error
    if not hasattr(adapted, "merge_and_unload"):
        raise ModelError(f"{folder} is a {config.peft_type} adapter, which no weights can take up")
    wanted = set(get_peft_model_state_dict(adapted, save_embedding_layers=False))
    odd = sorted((wanted - set(stored)) | (set(stored) - wanted - set(adapted.state_dict())))
    if odd:
        raise ModelError(f"{folder} does not fit {name}: {odd[0]} is in one of them alone ({len(odd)} such weights)")
    model: Any = adapted.merge_and_unload()
    own = (folder / "tokenizer_config.json").is_file()
    return Loaded(model.to(dtype), read_tokenizer(folder, str(folder)) if own else base.tokenizer, name)


def merge(adapter: str | Path, *, out: str | Path) -> Path:
    """Write base and adapter as one plain model folder, `out`, whole or not at all.

    Raises ModelError for an adapter that cannot be merged, RunDirError for a folder that is not free.
    """
    out = Path(out)
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise RunDirError(f"{out} is there already; choose another --out or remove it")
    loaded = with_adapter(adapter)
    try:
        with atomic_folder(out) as folder:
            save(loaded, folder)
    except OSError as error:
        raise disk_error(error, out) from error
    say(f"merged into {loaded.path}, in {str(loaded.model.dtype).removeprefix('torch.')}")
    return out


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
