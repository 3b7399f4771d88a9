"""What a run leaves once its last update is made: models, adapter, card, and the manifest."""

from __future__ import annotations

import copy
import shutil
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from rather.model import Loaded, save
from rather.model.load import save_tokenizer
from rather.rundir import RunDir, atomic_folder, peak_memory_gb
from rather.training.adapter import Adapted, held_in_fp32, merged, save_adapter, with_adapter
from rather.training.card import CARD, model_card
from rather.training.checkpoint import best_weights, latest_checkpoint, load_weights
from rather.training.config import TrainConfig
from rather.training.loop import Outcome
from rather.training.material import Material

METRICS, REFUSED, AUDIT, CHECKPOINTS = "metrics.jsonl", "refused.jsonl", "audit.json", "checkpoints"
MODEL, BEST, ADAPTER = "model", "best", "adapter"


def last_checkpoint(run: RunDir) -> Path:
    """Of a run that has made an update."""
    last = latest_checkpoint(run.path / CHECKPOINTS)
    assert last is not None
    return last


def keep_models(
    run: RunDir, material: Material, config: TrainConfig, loaded: Loaded, policy: torch.nn.Module, outcome: Outcome
) -> None:
    """Write the last state and the best one, and the adapter."""
    card = model_card(
        material.model, config, material.ready.audit, run.identity["inputs"], pairs=len(material.ready.token_pairs)
    )
    if outcome.best is not None:
        load_weights(best_weights(run.path / CHECKPOINTS, outcome.best), policy)
        # A copy, because folding an adapter in ends it; without one, the policy itself.
        whole = copy.deepcopy(policy) if isinstance(policy, Adapted) and held_in_fp32(policy) else policy
        _save(run.path / BEST, whole, loaded, config, card)
        load_weights(last_checkpoint(run), policy)
    if isinstance(policy, Adapted):
        _save_adapter(run.path / ADAPTER, policy, loaded, config)
    _save(run.path / MODEL, policy, loaded, config, card)


def finish(
    run: RunDir,
    material: Material,
    config: TrainConfig,
    outcome: Outcome,
    *,
    updates: int,
    seconds: float,
    packed: bool,
    token_budget: int,
    where: dict[str, Any],
) -> None:
    """Write the manifest, and take away what only an unfinished run needs."""
    ready = material.ready
    run.finish(
        outputs=(
            MODEL, *([BEST] if outcome.best else []), *([ADAPTER] if config.lora_rank else []), METRICS, REFUSED, AUDIT,
        ),
        pairs=len(ready.token_pairs),
        rows=ready.rows,
        refused=len(ready.refused),
        updates=updates,
        seconds=seconds,
        peak_memory_gb=peak_memory_gb(),
        packed=packed,
        in_force={**config.in_force, "save_every": config.save_every, "token_budget": token_budget},
        machine=where,
        audit=ready.audit.in_short(),
        base_model=material.model,
        **({"reference_model": material.reference} if material.reference is not None else {}),
        last=outcome.last,
        warnings=outcome.warnings,
        **({"best": asdict(outcome.best)} if outcome.best else {}),
    )  # fmt: skip
    shutil.rmtree(run.path / CHECKPOINTS, ignore_errors=True)  # they have served once the model is there


def _save(folder: Path, policy: torch.nn.Module, loaded: Loaded, config: TrainConfig, card: str) -> None:
    """As a plain model folder with its card, an adapter folded in: into fp32, or into the base as it is stored."""
    with atomic_folder(folder) as scratch:
        if not isinstance(policy, Adapted) or held_in_fp32(policy):
            whole = Loaded(merged(policy), loaded.tokenizer, loaded.path)
        else:
            with TemporaryDirectory(dir=scratch.parent, prefix=scratch.name) as adapter:
                save_adapter(policy, Path(adapter))
                save_tokenizer(loaded.tokenizer, Path(adapter))
                whole = Loaded(with_adapter(adapter).model, loaded.tokenizer, loaded.path)
        save(whole, scratch, system_prompt=config.system_prompt)
        (scratch / CARD).write_text(card, encoding="utf-8")


def _save_adapter(folder: Path, policy: Adapted, loaded: Loaded, config: TrainConfig) -> None:
    """With the tokenizer and its chat template, so that `rather merge` makes the same model again."""
    with atomic_folder(folder) as scratch:
        save_adapter(policy, scratch)
        save_tokenizer(loaded.tokenizer, scratch, system_prompt=config.system_prompt)
