"""Checkpoints: what a run needs to go on as if it had never stopped, in safetensors, whole or not there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from rather.distributed.ranks import ALONE, Ranks
from rather.distributed.sharding import is_part, put, settle, whole
from rather.errors import RunDirError
from rather.model.tensors import save_tensors
from rather.rundir import atomic_folder, remove_folder

_WEIGHTS, _OPTIMIZER, _REFERENCE = "weights.safetensors", "optimizer.safetensors", "reference.safetensors"
_STATE = "state.json"


@dataclass(frozen=True)
class Best:
    """The update after which the held-out loss was lowest, and that loss."""

    step: int
    loss: float


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    step          updates done
    seconds       spent on them over all its parts
    token_budget  packed tokens of a micro-batch; None before it is found
    baseline      running level of the log-ratios, and the pairs that it is made of
    best          the best state so far, by the held-out loss
    """

    step: int = 0
    seconds: float = 0.0
    token_budget: int | None = None
    baseline: tuple[float | None, int] = (None, 0)
    best: Best | None = None


def save_checkpoint(
    folder: Path,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    *,
    reference: Mapping[str, Tensor] | None = None,
    keep_last: int = 1,
    ranks: Ranks = ALONE,
) -> None:
    """Write a checkpoint and then remove what is older than the `keep_last` newest: one whole checkpoint is always on disk.

    reference: the weights of a reference that moves. Of several ranks the first writes; the same files, however many they are
    and whether weights are sharded, so that any number can go on from them.
    """
    target = folder / f"step-{progress.step:06d}"
    settle(model)
    if ranks.sharded:  # each part is asked of whoever has it, by all at once
        weights, state = _trained(model, ranks), _optimizer_tensors(model, optimizer, ranks)
    if not ranks.first:
        return
    if not target.exists():  # of one step there is one state; replacing it would leave neither for a moment
        with atomic_folder(target) as scratch:
            save_tensors(weights if ranks.sharded else _trained(model), scratch / _WEIGHTS)
            save_tensors(state if ranks.sharded else _optimizer_tensors(model, optimizer), scratch / _OPTIMIZER)
            if reference is not None:
                save_tensors({name: weight.contiguous() for name, weight in reference.items()}, scratch / _REFERENCE)
            (scratch / _STATE).write_text(json.dumps(asdict(progress)), encoding="utf-8")
    for older in sorted(folder.glob("step-*"))[:-keep_last]:
        remove_folder(older)
    drop_other_bests(folder)


def save_best(folder: Path, model: torch.nn.Module, best: Best, *, ranks: Ranks = ALONE) -> None:
    """Keep the trained weights as the best so far. Those before stay until no checkpoint goes back to them."""
    settle(model)
    weights = _trained(model, ranks) if ranks.first or ranks.sharded else {}
    target = best_weights(folder, best)
    if ranks.first and not target.exists():
        with atomic_folder(target) as scratch:
            save_tensors(weights, scratch / _WEIGHTS)


def best_weights(folder: Path, best: Best) -> Path:
    """Where `save_best` keeps them."""
    return folder / f"best-{best.step:06d}"


def load_weights(path: Path, model: torch.nn.Module, *, ranks: Ranks = ALONE) -> dict[str, torch.nn.Parameter]:
    """Put the weights of a checkpoint, or of the best state, into `model`; return what they went into, by name.

    Of several ranks the first reads them. Raises RunDirError if they are damaged, or of another model.
    """
    settle(model)
    weights = _read_tensors(path, _WEIGHTS) if ranks.first else {}
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    forms = {name: parameter.shape for name, parameter in trained.items()}
    if ranks.first and forms != {name: value.shape for name, value in weights.items()}:
        raise RunDirError(f"{path} belongs to another model; remove it or choose another --out")
    with torch.no_grad():
        for name, parameter in trained.items():
            value = ranks.tensor_of_first(weights.get(name), parameter.shape, parameter.dtype, f"the weight {name}")
            put(parameter, value)
    return trained


def drop_other_bests(folder: Path) -> None:
    """Remove best weights that no checkpoint speaks of: beaten ones, and those of updates that a kill undid."""
    found = [read_progress(path).best for path in folder.glob("step-*")]
    spoken_of = {best_weights(folder, best) for best in found if best}
    for path in folder.glob("best-*"):
        if path not in spoken_of:
            remove_folder(path)


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint, if there is one."""
    return max(folder.glob("step-*"), default=None)


def load_checkpoint(
    path: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, *, ranks: Ranks = ALONE
) -> Progress:
    """Put weights, optimiser state and random state back exactly. Raises RunDirError if the checkpoint does not fit.

    Of several ranks the first reads it; they need not be as many, nor sharded, as those that wrote it.
    """
    progress = ranks.of_first(lambda: read_progress(path), "how far the run is")
    state = _read_tensors(path, _OPTIMIZER) if ranks.first else {}
    trained = load_weights(path, model, ranks=ranks)
    forms = ranks.of_first(lambda: {key: (value.shape, value.dtype) for key, value in state.items()}, "the optimiser")
    torch.set_rng_state(ranks.tensor_of_first(state.pop("rng", None), *forms.pop("rng"), "the random state"))
    for key, (shape, dtype) in forms.items():
        value = ranks.tensor_of_first(state.pop(key, None), shape, dtype, f"the optimiser's {key}")
        name, _, what = key.rpartition("/")
        parameter = trained[name]
        kept = put(torch.zeros_like(parameter), value) if is_part(parameter) and value.dim() else value
        optimizer.state[parameter][what] = _as_kept(kept, parameter.device)
    return progress


def read_reference(path: Path, *, ranks: Ranks = ALONE) -> dict[str, Tensor]:
    """The weights of the moving reference that a checkpoint kept."""
    return ranks.of_first(lambda: _read_tensors(path, _REFERENCE), "the moved reference")


def _read_tensors(path: Path, name: str) -> dict[str, Tensor]:
    try:
        return load_file(path / name)
    except Exception as error:  # safetensors raises its own kinds, all meaning the same here
        raise _damaged(path, error) from error


def read_progress(path: Path) -> Progress:
    """How far the run of a checkpoint is."""
    try:
        progress = Progress(**json.loads((path / _STATE).read_text(encoding="utf-8")))
        best = Best(**progress.best) if isinstance(progress.best, dict) else None
    except (OSError, ValueError, TypeError) as error:
        raise _damaged(path, error) from error
    return replace(progress, baseline=tuple(progress.baseline), best=best)


def _damaged(path: Path, error: Exception) -> RunDirError:
    return RunDirError(f"{path} is damaged ({error}); remove it to go on from the one before, or from the beginning")


def _trained(model: torch.nn.Module, ranks: Ranks = ALONE) -> dict[str, Tensor]:
    """Whole; of several ranks, on the first."""
    each = ((name, whole(p.detach(), ranks)) for name, p in model.named_parameters() if p.requires_grad)
    return {name: value.contiguous() for name, value in each if value is not None}


def _optimizer_tensors(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer, ranks: Ranks = ALONE
) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {"rng": torch.get_rng_state()}
    for name, parameter in model.named_parameters():
        state: dict[str, Any] = optimizer.state.get(parameter, {})
        each = ((f"{name}/{key}", _as_tensor(value, ranks)) for key, value in state.items())
        tensors.update({key: value for key, value in each if value is not None})
    return tensors


# AdamW8bit counts its steps in a Python int, and its parameters share tables; a file holds neither.
def _as_tensor(value: Any, ranks: Ranks) -> Tensor | None:
    if not isinstance(value, Tensor):
        return torch.tensor(value)
    held = whole(value.detach(), ranks)
    return None if held is None else held.clone().contiguous()


def _as_kept(value: Tensor, device: torch.device) -> Any:
    return int(value) if value.dtype == torch.int64 and value.dim() == 0 else value.to(device)
