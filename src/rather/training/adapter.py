"""LoRA: train a small adapter on every linear layer, and fold it into the weights at the end."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, LoraModel, PeftConfig, PeftModel, get_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import PreTrainedModel

from rather.errors import ModelError, RunDirError
from rather.model import Loaded, load, save
from rather.model.load import read_tokenizer
from rather.model.reward import load_reward, pad_with
from rather.model.tensors import as_os_error, save_tensors
from rather.progress import say
from rather.rundir import atomic_folder, disk_error

_WEIGHTS, _CONFIG = "adapter_model.safetensors", "adapter_config.json"


class Adapted(LoraModel):
    """A model with a LoRA adapter, which can be put aside for a moment.

    It takes the place of peft's PeftModel, which asks the model for an attribute that transformers has deprecated.
    """

    def get_base_model(self) -> PreTrainedModel:
        """The model inside, its linear layers wrapped."""
        return self.model  # pyright: ignore[reportReturnType]

    @contextmanager
    def disable_adapter(self) -> Iterator[None]:
        """Within, the model is the one that the adapter was put on."""
        self.disable_adapter_layers()
        try:
            yield
        finally:
            self.enable_adapter_layers()


def add_lora(loaded: Loaded, rank: int, *, seed: int, scalar: bool = False) -> Adapted:
    """The model with a fresh adapter of `rank` (α = 2·rank, no dropout); only the adapter is trainable, in fp32.

    scalar: it is a reward model, whose head is trained whole. The adapter starts as zero, so the policy starts as the
    reference, and no second model is ever loaded.
    """
    torch.manual_seed(seed)
    config = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.0,
        target_modules="all-linear",
        exclude_modules=["score"] if scalar else None,
        task_type="SEQ_CLS" if scalar else "CAUSAL_LM",
    )
    adapted = Adapted(loaded.model, config, "default")
    if scalar:
        head: torch.nn.Module = loaded.model.score  # pyright: ignore[reportAssignmentType]
        head.requires_grad_(True)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    adapted.eval()
    base = Path(loaded.path)
    config.base_model_name_or_path = str(base.resolve()) if base.is_dir() else loaded.path
    return adapted


def save_adapter(policy: Adapted, folder: Path) -> None:
    """Write the adapter alone, in peft's layout, and the name of what it stands on; of a reward model with its head."""
    config = copy(policy.peft_config["default"])
    assert isinstance(config, LoraConfig)
    config.inference_mode = True
    scalar = config.task_type == "SEQ_CLS"
    if scalar:
        config.modules_to_save, config.exclude_modules = ["score"], None
    trained = {name: parameter for name, parameter in policy.named_parameters() if parameter.requires_grad}
    weights = {f"base_model.{name.replace('.default.', '.')}": weight.detach() for name, weight in trained.items()}
    folder.mkdir(parents=True, exist_ok=True)
    with as_os_error(folder):
        save_tensors(weights, folder / _WEIGHTS, metadata={"format": "pt"})
        config.save_pretrained(str(folder))


def merged(policy: torch.nn.Module) -> PreTrainedModel:
    """The plain model: adapter folded in where there is one, which ends it.

    Raises ValueError for a base that is not held in fp32: its rounding would stay in the weights. Use `with_adapter`.
    """
    if isinstance(policy, Adapted) and not held_in_fp32(policy):
        raise ValueError("the base is held in fewer digits than it is stored in")
    model = policy.merge_and_unload() if isinstance(policy, Adapted) else policy
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
        if config.task_type == "SEQ_CLS":
            base = load_reward(name, seed=0, dtype="auto", device="cpu")
        else:
            base = load(name, dtype="auto", device="cpu")
    except ModelError as error:
        cure = f"correct base_model_name_or_path in {folder / _CONFIG}"
        raise ModelError(f"the base of {folder} cannot be used: {error}; or {cure}") from error
    dtype = base.model.dtype
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Found missing adapter keys")  # named below, and refused
            warnings.filterwarnings("ignore", category=FutureWarning)  # what the libraries owe to each other
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
    whole = Loaded(model.to(dtype), read_tokenizer(folder, str(folder)) if own else base.tokenizer, name)
    if config.task_type == "SEQ_CLS":
        pad_with(whole)
    return whole


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
