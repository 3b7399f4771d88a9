"""Reference log-probabilities: the policy before its first update, by the function that the policy uses."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from rather.errors import TrainError
from rather.model import TokenPair, pair_logps
from rather.model.tensors import save_tensors
from rather.progress import say, task
from rather.training.batches import Update, micro_batches


@dataclass(frozen=True)
class Reference:
    """Summed log-probabilities [N] of all N pairs' answers, in nats."""

    chosen: Tensor
    rejected: Tensor

    def of(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        index = torch.tensor(list(indices), device=self.chosen.device)
        return self.chosen[index], self.rejected[index]


def compute_reference(
    model: torch.nn.Module,
    token_pairs: Sequence[TokenPair],
    first_epoch: Sequence[Update],
    *,
    file: Path,
    dtype: torch.dtype,
    packed: bool,
) -> Reference:
    """Compute once and keep in `file`, so that a resumed run never takes a half-trained policy for its reference.

    Pairs stand in the micro-batches of the first epoch: a product's rounding depends on what else is in it, and the
    first loss must be exactly the neutral one.
    """
    key = _key(token_pairs, first_epoch, dtype, packed)
    device = next(model.parameters()).device
    kept = _read(file, key)
    if kept is not None:
        return Reference(kept.chosen.to(device), kept.rejected.to(device))
    chosen = torch.zeros(len(token_pairs), device=device)
    rejected = torch.zeros(len(token_pairs), device=device)
    cuts = [cut for update in first_epoch for cut in micro_batches(update, token_pairs)]
    with torch.no_grad(), task("reference", len(token_pairs)) as bar:
        for cut in cuts:
            logps = pair_logps(model, [token_pairs[i].samples for i in cut], dtype=dtype, packed=packed)
            index = torch.tensor(cut, device=device)
            chosen[index], rejected[index] = logps.chosen, logps.rejected
            bar.advance(len(cut))
    _require_finite(chosen, rejected, token_pairs)
    save_tensors({"chosen": chosen.cpu(), "rejected": rejected.cpu()}, file, metadata={"key": key})
    return Reference(chosen, rejected)


def _read(file: Path, key: str) -> Reference | None:
    if not file.is_file():
        return None
    try:
        with safe_open(file, framework="pt") as stored:
            if (stored.metadata() or {}).get("key") == key:
                return Reference(stored.get_tensor("chosen"), stored.get_tensor("rejected"))
    except (SafetensorError, OSError):
        say(f"note: {file} was damaged; the reference is computed again")
    return None


def _require_finite(chosen: Tensor, rejected: Tensor, token_pairs: Sequence[TokenPair]) -> None:
    bad = (~torch.isfinite(chosen) | ~torch.isfinite(rejected)).nonzero().flatten().tolist()
    if bad:
        first = token_pairs[bad[0]].pair
        raise TrainError(
            f"the model gives no finite log-probability to {first.source or first.id} ({len(bad)} of {len(token_pairs)} "
            "pairs); its weights are damaged, or --dtype bf16 is too coarse for them"
        )


def _key(token_pairs: Sequence[TokenPair], first_epoch: Sequence[Update], dtype: torch.dtype, packed: bool) -> str:
    digest = hashlib.sha256(f"{dtype} {packed} {list(first_epoch)}".encode())
    for item in token_pairs:
        digest.update(repr((item.chosen, item.rejected)).encode())
    return digest.hexdigest()
