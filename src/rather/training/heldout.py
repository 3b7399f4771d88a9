"""Pairs that are not trained on, measured while the run goes on: they say which of its states is the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from rather.distributed.ranks import ALONE, Ranks
from rather.errors import InputError
from rather.formats import Refusal, Source, data_hash, load_examples, name_of, require_clean, rows_said, say_refused
from rather.model import Renderer, TokenExample
from rather.progress import say
from rather.records import Prompt
from rather.training.baseline import Baseline
from rather.training.batches import Cut, own_cuts
from rather.training.objective import Logps, Objective, joined
from rather.training.prepare import tokenise_examples
from rather.training.reference import Reference
from rather.training.said import UNSAID, Said
from rather.training.shelf import records_of, shortest
from rather.training.step import MicroBatch, StepStats, flat, forward_of, logps_of
from rather.training.together import without_gradient

# Updates between two measurements if --eval-every is not given.
EVERY = 50


@dataclass(frozen=True)
class HeldOutPairs:
    """Held-out pairs as the model will see them, and what was refused on the way."""

    token_pairs: tuple[TokenExample, ...]
    refused: tuple[Refusal, ...]

    @property
    def data_hash(self) -> str:
        """SHA-256 over the ids of the pairs in order."""
        return data_hash([item.record for item in self.token_pairs])


def read_held_out(
    source: Source, renderer: Renderer, *, trained: Sequence[TokenExample], as_chat: bool, skip_bad: bool
) -> HeldOutPairs:
    """Read and tokenise them. Raises InputError for a bad row unless `skip_bad`, and for pairs that are trained on."""
    records, refused, rows = load_examples(source, as_chat=as_chat)
    token_pairs, unfit = tokenise_examples(records, renderer)
    refused += unfit
    if not skip_bad:
        require_clean(refused, rows)
    if not token_pairs:
        raise InputError(f"{name_of(source)}: no usable pair in {rows_said(rows)}")
    say_refused(refused, rows)
    ours, asked = {item.record.text_id for item in token_pairs}, {item.record.prompt for item in token_pairs}
    known, prompts = set[str](), set[Prompt]()
    for record in records_of(trained):
        known.update({record.text_id} & ours)
        prompts.update({record.prompt} & asked)
    both = [item.record for item in token_pairs if item.record.text_id in known]
    if both:
        place = both[0].source or f"pair {both[0].id}"
        raise InputError(
            f"{place}: is also trained on ({len(both)} of {len(token_pairs)} held-out pairs); remove it from one of them"
        )
    shared = sum(item.record.prompt in prompts for item in token_pairs)
    if shared:
        say(f"warning: {shared} of {len(token_pairs)} held-out pairs have a prompt that is also trained on")
    return HeldOutPairs(tuple(token_pairs), tuple(refused))


@dataclass(frozen=True)
class HeldOut:
    """Held-out pairs with their reference, which is the model before its first update, and stays that where --ref-sync-steps
    moves the reference of what is trained: a yardstick must not move. A reward model has none."""

    token_pairs: Sequence[TokenExample]
    reference: Reference | None
    every: int
    said: Said = UNSAID

    def is_due(self, updates_done: int, updates: int) -> bool:
        """After every so many updates, and after the last."""
        return updates_done % self.every == 0 or updates_done == updates

    def measure(
        self,
        policy: torch.nn.Module,
        objective: Objective,
        *,
        reward_scale: float,
        token_budget: int,
        dtype: torch.dtype,
        packed: bool,
        reference_model: torch.nn.Module | None = None,
        baseline: Baseline | None = None,
        ranks: Ranks = ALONE,
    ) -> dict[str, float]:
        """Loss, margin and accuracy, as of one update of all held-out pairs; nothing is learned, nor is a level moved."""
        level = baseline.value(next(policy.parameters()).device) if baseline is not None else None
        forward = forward_of(
            policy,
            objective,
            scored=objective.of_scores,
            dtype=dtype,
            packed=packed,
            reference_model=reference_model,
        )
        whole = tuple(range(len(self.token_pairs)))
        seen: list[Logps] = []
        order: list[int] = []
        with torch.no_grad():
            for cut in own_cuts(whole, self.token_pairs, ranks=ranks, token_budget=token_budget):
                batch = self._micro_batch(cut)
                found = forward(flat(batch))
                if cut:
                    seen.append(logps_of(found, batch, objective=objective, level=level))
                    order += cut
            logps, order = _of_all(ranks, seen, order)
            loss_P = self.said.of(order).weighted(objective(logps))
        stats = StepStats.of(logps, loss_P, scale=reward_scale, grad_norm=0.0)
        found = {"heldout_loss": stats.loss, "heldout_margin": stats.margin, "heldout_accuracy": stats.accuracy}
        return {name: value for name, value in found.items() if value is not None}

    def _micro_batch(self, cut: Cut) -> MicroBatch:
        if not cut:
            return MicroBatch((shortest(self.token_pairs).samples,), None, ())
        items = [self.token_pairs[index] for index in cut]
        return MicroBatch(
            samples=tuple(item.samples for item in items),
            reference=self.reference and self.reference.of(cut),
            ids=tuple(item.record.id for item in items),
            said=self.said.of(cut),
            kind=items[0].record.kind,
        )


def _of_all(ranks: Ranks, seen: Sequence[Logps], order: Sequence[int]) -> tuple[Logps, list[int]]:
    """What every rank has measured, and of which examples, in one."""
    mine = joined(seen) if seen else None
    if ranks.size == 1:
        assert mine is not None
        return mine, list(order)
    sent = None if mine is None else without_gradient(mine, torch.device("cpu"))
    parts = ranks.gathered((sent, order), "the held-out pairs")
    whole = joined([logps for logps, _ in parts if logps is not None])
    return whole, [index for _, own in parts for index in own]
