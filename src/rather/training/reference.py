"""Reference log-probabilities: the policy before its first update, by the function that the policy uses, kept by content."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rather.distributed.ranks import ALONE, Ranks
from rather.errors import TrainError
from rather.model import Completions, TokenExample, completions
from rather.model.catalog import cache_dir
from rather.progress import say, task
from rather.records import NOUNS
from rather.training.batches import Cut
from rather.training.kept import MappedEntry, keep, read
from rather.training.shelf import shortest

# Raise it when the engine computes other values for the same input: entries of older versions are then not found.
ENGINE = 2

# Values that are summed over ranks at a time, and examples that are looked at together.
AT_ONCE, LOOKED_AT = 1 << 22, 4096


@dataclass(frozen=True)
class Reference:
    """Log-probabilities [C] of every completion token of N examples, answer after answer, with [R] token counts.

    sizes: the answers of each example; None says two each, chosen before rejected. The log-probabilities may be a file's, in the
    machine's memory only where they are read; what is asked of them is on the device of the counts.
    """

    logp_C: Tensor
    tokens_R: Tensor
    sizes: tuple[int, ...] | None = None

    def of(self, pairs: Sequence[int]) -> Completions:
        """Those of some pairs, in the order given."""
        device, begins = self.tokens_R.device, self._begins
        rows = torch.tensor(
            [row for pair in pairs for row in range(int(begins[pair]), int(begins[pair + 1]))], device=device
        )
        counts = self.tokens_R[rows]
        logp_C = torch.cat([self.logp_C[self._place(pair)] for pair in pairs]).to(device)
        owner_C = torch.repeat_interleave(torch.arange(len(rows), device=device), counts)
        return Completions(logp_C, owner_C, counts)

    def answers(self, pair: int) -> int:
        """How many a pair, or a list, has."""
        return int(self._begins[pair + 1] - self._begins[pair])

    def put(self, pairs: Sequence[int], logp_C: Tensor) -> None:
        """Write those of some pairs, in the order given."""
        places = [self._place(pair) for pair in pairs]
        parts = logp_C.split([place.stop - place.start for place in places])
        for place, part in zip(places, parts, strict=True):
            self.logp_C[place] = part

    def _place(self, pair: int) -> slice:
        first, end = self._begins[pair : pair + 2]
        return slice(int(self._ends[first]), int(self._ends[end]))

    @cached_property
    def _begins(self) -> NDArray[np.int64]:
        """The first answer of each example, and the end of all."""
        return np.cumsum([0, *(self.sizes or (2,) * (len(self.tokens_R) // 2))])

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        """The first token of each answer, and the end of all."""
        return np.cumsum([0, *self.tokens_R.tolist()])


def compute_reference(
    model: torch.nn.Module,
    token_pairs: Sequence[TokenExample],
    cuts: Sequence[Sequence[Cut]],
    *,
    weights: str,
    dtype: torch.dtype,
    packed: bool,
    ranks: Ranks = ALONE,
    mapped: bool = False,
) -> Reference:
    """Take them from the cache, or compute them once, all ranks together, and keep them there for every later run, loss and β.

    cuts: of every rank the micro-batches of the first epoch. Pairs stand in them here too: a product's rounding depends on what
    else is in it, and the first loss must be exactly the neutral one. weights: content hash of the model's files. mapped: not in
    memory but in the cache's file; every machine then needs a cache of its own.
    An entry that is damaged or stands under a name that is not its content's is computed again.
    """
    key = _key(token_pairs, cuts, weights, model, dtype, packed)
    file = cache_dir() / "references" / f"{key}.safetensors"
    device = next(model.parameters()).device
    counts = array("q", (sample.completion_tokens for item in token_pairs for sample in item.samples))
    total, tokens_R = sum(counts), torch.tensor(np.frombuffer(counts, np.int64), device=device)
    sizes = tuple(len(item.samples) for item in token_pairs)
    kept = _kept(file, key, total, ranks, mapped=mapped)
    if kept is not None:
        say(f"reference: {len(token_pairs):,} {NOUNS[token_pairs[0].record.kind]} from the cache")
        return Reference(kept if mapped else kept.to(device), tokens_R, sizes)
    entry = MappedEntry(file, key, total) if mapped else None
    found = Reference(torch.zeros(total, device=device) if entry is None else entry.values, tokens_R, sizes)
    mine = cuts[ranks.rank]
    idle = max(map(len, cuts)) - len(mine) if ranks.sharded else 0
    with torch.no_grad(), task("reference", sum(map(len, mine))) as bar:
        for cut in chain(mine, repeat((), idle)):
            items = [token_pairs[index] for index in cut] or [shortest(token_pairs)]
            samples = [sample for item in items for sample in item.samples]
            made = completions(model, samples, dtype=dtype, packed=packed).logp_C
            if cut:
                found.put(cut, made)
            bar.advance(len(cut))
    # A rank has zeros for what others have computed, so that the sum over ranks is theirs to the last bit.
    for start in range(0, total if ranks.size > 1 else 0, AT_ONCE):
        ranks.sum_([found.logp_C[start : start + AT_ONCE]], "the reference")
    _require_finite(found, token_pairs)
    if entry is not None:
        entry.keep()
    elif ranks.first:
        keep(file, key, found.logp_C)
    return found


def _kept(file: Path, key: str, tokens: int, ranks: Ranks, *, mapped: bool) -> Tensor | None:
    """What an earlier run has kept: the first rank's, given to all; mapped, that of each rank's own cache, where all have it."""
    if not mapped:
        return ranks.of_first(lambda: read(file, key, tokens), "the kept reference")
    mine = read(file, key, tokens)
    return mine if all(ranks.gathered(mine is not None, "the kept reference")) else None


def _require_finite(reference: Reference, token_pairs: Sequence[TokenExample]) -> None:
    bad: list[int] = []
    for start in range(0, len(token_pairs), LOOKED_AT):
        places = range(start, min(start + LOOKED_AT, len(token_pairs)))
        finite = torch.isfinite(reference.of(places).sums()).split([reference.answers(place) for place in places])
        bad += [place for place, each in zip(places, finite, strict=True) if not each.all()]
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
