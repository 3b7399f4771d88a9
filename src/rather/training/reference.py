"""Reference log-probabilities: the policy before its first update, by the function that the policy uses, kept by content."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from rather.distributed.ranks import ALONE, Ranks
from rather.errors import RatherError, TrainError
from rather.model import Completions, TokenExample, completions
from rather.model.catalog import cache_dir
from rather.model.tensors import save_tensors
from rather.progress import say, task
from rather.records import NOUNS
from rather.training.batches import Cut, shortest

# Raise it when the engine computes other values for the same input: entries of older versions are then not found.
ENGINE = 2

# Entries beyond this many bytes are dropped, the oldest first.
CACHE_BYTES = 2 << 30


@dataclass(frozen=True)
class Reference:
    """Log-probabilities [C] of every completion token of N examples, answer after answer, with [R] token counts.

    sizes: the answers of each example; None says two each, chosen before rejected.
    """

    logp_C: Tensor
    tokens_R: Tensor
    sizes: tuple[int, ...] | None = None

    def of(self, pairs: Sequence[int]) -> Completions:
        """Those of some pairs, in the order given."""
        ends = self.tokens_R.cumsum(0)
        begins = list(itertools.accumulate(self.sizes, initial=0)) if self.sizes else range(0, len(ends) + 2, 2)
        rows = torch.tensor(
            [row for pair in pairs for row in range(begins[pair], begins[pair + 1])], device=ends.device
        )
        counts = self.tokens_R[rows]
        logp_C = torch.cat([self.logp_C[ends[row] - self.tokens_R[row] : ends[row]] for row in rows.tolist()])
        owner_C = torch.repeat_interleave(torch.arange(len(rows), device=ends.device), counts)
        return Completions(logp_C, owner_C, counts)


def compute_reference(
    model: torch.nn.Module,
    token_pairs: Sequence[TokenExample],
    cuts: Sequence[Sequence[Cut]],
    *,
    weights: str,
    dtype: torch.dtype,
    packed: bool,
    ranks: Ranks = ALONE,
) -> Reference:
    """Take them from the cache, or compute them once, all ranks together, and keep them there for every later run, loss and β.

    cuts: of every rank the micro-batches of the first epoch. Pairs stand in them here too: a product's rounding depends on what
    else is in it, and the first loss must be exactly the neutral one. weights: content hash of the model's files.
    An entry that is damaged or stands under a name that is not its content's is computed again.
    """
    key = _key(token_pairs, cuts, weights, model, dtype, packed)
    file = cache_dir() / "references" / f"{key}.safetensors"
    device = next(model.parameters()).device
    counts = [sample.completion_tokens for item in token_pairs for sample in item.samples]
    tokens_R = torch.tensor(counts, device=device)
    sizes = tuple(len(item.samples) for item in token_pairs)
    noun = NOUNS[token_pairs[0].record.kind]
    kept = ranks.of_first(lambda: _read(file, key, sum(counts)), "the kept reference")
    if kept is not None:
        say(f"reference: {len(token_pairs):,} {noun} from the cache")
        return Reference(kept.to(device), tokens_R, sizes)
    mine = cuts[ranks.rank]
    idle = max(map(len, cuts)) - len(mine) if ranks.sharded else 0
    parts: dict[int, Tensor] = {}
    with torch.no_grad(), task("reference", sum(map(len, mine))) as bar:
        for cut in (*mine, *[()] * idle):
            items = [token_pairs[index] for index in cut] or [shortest(token_pairs)]
            samples = [sample for item in items for sample in item.samples]
            found = completions(model, samples, dtype=dtype, packed=packed)
            lengths = [sum(sample.completion_tokens for sample in item.samples) for item in items]
            parts |= zip(cut, found.logp_C.split(lengths), strict=False)
            bar.advance(len(cut))
    parts = _of_all(ranks, parts, device)
    logp_C = torch.cat([parts[index] for index in range(len(parts))])
    reference = Reference(logp_C, tokens_R, sizes)
    _require_finite(reference, token_pairs)
    if ranks.first:
        _keep(file, key, logp_C)
    return reference


def _of_all(ranks: Ranks, parts: dict[int, Tensor], device: torch.device) -> dict[int, Tensor]:
    """What every rank has computed, by example."""
    if ranks.size == 1:
        return parts
    lengths = {index: len(part) for index, part in parts.items()}
    values = torch.cat([part.cpu() for part in parts.values()]) if parts else torch.empty(0)
    found: dict[int, Tensor] = {}
    for theirs, given in ranks.gathered((lengths, values), "the reference"):
        found |= zip(theirs, given.to(device).split(list(theirs.values())), strict=True)
    return found


def _keep(file: Path, key: str, logp_C: Tensor) -> None:
    """A cache that cannot be written costs the next run time and this one nothing."""
    values = logp_C.cpu()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        scratch = file.with_suffix(f".{os.getpid()}.part")  # two runs may write the same entry at once
        save_tensors({"logps": values}, scratch, metadata={"key": key, "sha256": _checksum(values)})
        scratch.replace(file)
        _prune(file.parent, keep=file)
    except (OSError, RatherError) as error:
        say(f"note: the reference is not kept for later runs: {error}")


def _read(file: Path, key: str, tokens: int) -> Tensor | None:
    if not file.is_file():
        return None
    try:
        with safe_open(file, framework="pt") as stored:
            known, values = stored.metadata() or {}, stored.get_tensor("logps")
    except (SafetensorError, OSError) as error:
        say(f"note: {file} is damaged ({error}); the reference is computed again")
        return None
    if known.get("key") != key or known.get("sha256") != _checksum(values) or values.shape != (tokens,):
        say(f"note: {file} is not what its name says; the reference is computed again")
        return None
    return values


def _checksum(values: Tensor) -> str:
    return hashlib.sha256(values.contiguous().numpy().tobytes()).hexdigest()


def _prune(folder: Path, *, keep: Path) -> None:
    total = 0
    for entry in sorted(folder.glob("*.safetensors"), key=lambda entry: entry.stat().st_mtime, reverse=True):
        total += entry.stat().st_size
        if total > CACHE_BYTES and entry != keep:
            entry.unlink(missing_ok=True)


def _require_finite(reference: Reference, token_pairs: Sequence[TokenExample]) -> None:
    each = torch.isfinite(reference.of(range(len(token_pairs))).sums()).split(
        [len(item.samples) for item in token_pairs]
    )
    bad = [index for index, finite in enumerate(each) if not finite.all()]
    if bad:
        first = token_pairs[bad[0]].record
        raise TrainError(
            f"the model gives no finite log-probability to {first.source or first.id} ({len(bad)} of {len(token_pairs)} "
            f"{NOUNS[first.kind]}); its weights are damaged, or --dtype bf16 is too coarse for them"
        )


def _key(
    token_pairs: Sequence[TokenExample],
    cuts: Sequence[Sequence[Cut]],
    weights: str,
    model: torch.nn.Module,
    dtype: torch.dtype,
    packed: bool,
) -> str:
    """Everything that the values depend on, to the last digit."""
    device = next(model.parameters()).device
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    held = sorted({str(parameter.dtype) for parameter in model.parameters()})  # a frozen base may be rounded
    facts = (
        ENGINE,
        weights,
        held,
        dtype,
        packed,
        device.type,
        machine,
        torch.get_num_threads(),
        torch.__version__,
        list(cuts[0]) if len(cuts) == 1 else [list(own) for own in cuts],
    )
    digest = hashlib.sha256(repr(facts).encode())
    for item in token_pairs:
        digest.update(repr([(sample.tokens, sample.prompt_tokens) for sample in item.samples]).encode())
    return digest.hexdigest()
