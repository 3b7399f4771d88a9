"""One update: sum per pair over every micro-batch, divide once by the pairs of the update.

The micro-batches may be those of several ranks: each makes the gradient of its own, divided by the pairs of all, and gradients
are summed over ranks before the norm is taken. Every rank then has all log-probabilities of the update, and the same figures.

Pairs stand here for ranked lists and single answers too. A pair's weight multiplies its loss, and the divisor stays the number
of pairs: weight 2 is the pair told twice to an update of the same size. Dividing by the sum of the weights would make a
pair's weight depend on its neighbours, and mean nothing at all where an update has one pair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor

from rather.distributed.ranks import ALONE, Ranks
from rather.distributed.sharding import clipped
from rather.losses import PairLogps, SampleLogps
from rather.model import Completions, Sample, completions
from rather.model.reward import scores
from rather.records import Kind
from rather.training.baseline import Baseline
from rather.training.memory import OutOfMemory, is_out_of_memory
from rather.training.objective import Logps, Objective, as_lists, as_pairs, as_samples, joined
from rather.training.said import UNSAID, Said
from rather.training.together import NonFinite, Part, in_step, sum_gradients, without_gradient

Forward = Callable[[Sequence[Sample]], Any]


@dataclass(frozen=True)
class MicroBatch:
    """P examples of one kind as samples, with their reference log-probabilities, ids, and what was said of them.

    Without a reference they are pairs whose conversations a reward model scores.
    """

    samples: tuple[tuple[Sample, ...], ...]
    reference: Completions | None
    ids: tuple[str, ...]
    said: Said = UNSAID
    kind: Kind = "pair"

    @property
    def idle(self) -> bool:
        """True for samples that belong to nobody: a rank with less to do computes them where all must compute at once."""
        return not self.ids


ToLogps = Callable[[Any, MicroBatch], Logps]


@dataclass(frozen=True)
class StepStats:
    """Means over the examples of one update. Rewards are scaled log-ratios to the reference, in nats.

    chosen is the chosen answer of a pair, the best of a list, or a good single one; rejected the rejected, the last, a bad
    one. None is the mean of none: an update may hold no good, or no bad, single answer.
    """

    loss: float
    margin: float | None
    accuracy: float
    chosen_reward: float | None
    rejected_reward: float | None
    chosen_logp: float | None
    rejected_logp: float | None
    chosen_logp_change_per_token: float | None
    rejected_logp_change_per_token: float | None
    grad_norm: float

    @classmethod
    def of(cls, logps: Logps, loss_P: Tensor, *, scale: float, grad_norm: float) -> Self:
        """From all examples of the update together, in float64, which not every device has. A tie counts as half right: at step 0
        nothing is won yet."""
        if isinstance(logps, PairLogps) and logps.ref_chosen is None:
            return cls._of_scores(logps, loss_P, grad_norm=grad_norm)
        chosen, rejected = _sides(logps)
        seen: dict[str, float | None] = {}
        for side, (policy, ref, tokens) in (("chosen", chosen), ("rejected", rejected)):
            seen |= {
                f"{side}_reward": _mean(scale * (policy - ref)),
                f"{side}_logp": _mean(policy),
                f"{side}_logp_change_per_token": _mean((policy - ref) / tokens),
            }
        good, bad = seen["chosen_reward"], seen["rejected_reward"]
        margin = None if good is None or bad is None else good - bad
        # The mean of differences, not the difference of means, where there are pairs: it keeps its digits.
        if isinstance(logps, PairLogps):
            margin = _mean(scale * logps.log_ratio_margin())
        loss, accuracy = _mean(loss_P), _mean(_right(logps))
        assert loss is not None
        assert accuracy is not None
        return cls(loss=loss, margin=margin, accuracy=accuracy, grad_norm=grad_norm, **seen)  # pyright: ignore[reportArgumentType]

    @classmethod
    def _of_scores(cls, logps: PairLogps, loss_P: Tensor, *, grad_norm: float) -> Self:
        """Of a reward model: its scores are the rewards, and it gives no answer a probability."""
        margin_P = logps.chosen - logps.rejected
        named = {
            "loss": loss_P, "margin": margin_P, "accuracy": _won(margin_P),
            "chosen_reward": logps.chosen, "rejected_reward": logps.rejected,
        }  # fmt: skip
        found = {name: float(value.detach().cpu().double().mean()) for name, value in named.items()}
        return cls(
            chosen_logp=None, rejected_logp=None, chosen_logp_change_per_token=None, rejected_logp_change_per_token=None,
            grad_norm=grad_norm, **found,
        )  # fmt: skip

    def row(self) -> dict[str, float]:
        """What there is to write down."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def train_step(
    model: torch.nn.Module,
    batches: Sequence[MicroBatch],
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    *,
    max_grad_norm: float,
    reward_scale: float,
    dtype: torch.dtype = torch.float32,
    packed: bool = True,
    reference_model: torch.nn.Module | None = None,
    baseline: Baseline | None = None,
    on_logps: Callable[[Logps], None] = lambda logps: None,
    ranks: Ranks = ALONE,
    pairs: int | None = None,
) -> StepStats:
    """Update the weights once from all `batches` of all ranks together. How they were cut or dealt does not change the result.

    pairs: of the whole update; those of `batches` if not given.

    reference_model: for losses that compare whole distributions. baseline: for those with a running level; it takes the
    update in. on_logps sees the log-probabilities of each micro-batch before anything is learned from them, and may raise.
    Raises NonFinite and OutOfMemory before the optimiser steps, so that the weights are still those of the step before.
    """
    optimizer.zero_grad(set_to_none=True)
    forward = forward_of(
        model, objective, scored=objective.of_scores, dtype=dtype, packed=packed, reference_model=reference_model
    )
    device = next(model.parameters()).device
    work = _Work(
        forward,
        partial(logps_of, objective=objective, level=baseline.value(device) if baseline is not None else None),
        batches,
        objective,
        sum(len(batch.ids) for batch in batches) if pairs is None else pairs,
        on_logps,
        ranks,
    )
    at_once = objective.of_whole_update and (len(batches) > 1 or ranks.size > 1)
    try:
        made = in_step(ranks, partial(_whole_update if at_once else _batch_by_batch, work))
        sum_gradients(model, ranks)
    except BaseException as error:
        optimizer.zero_grad(set_to_none=True)
        if is_out_of_memory(error):
            raise OutOfMemory from error
        raise
    norm = clipped(model, max_grad_norm)
    if not torch.isfinite(torch.tensor(norm)):
        optimizer.zero_grad(set_to_none=True)
        raise NonFinite("gradient", tuple(pair_id for part in made for pair_id in part.ids))
    optimizer.step()
    logps = joined([part.logps for part in made if part.logps is not None])
    loss_P = torch.cat([part.loss_P for part in made if part.loss_P is not None])
    if baseline is not None:
        baseline.seen(logps)
    optimizer.zero_grad(set_to_none=True)
    return StepStats.of(logps, loss_P, scale=reward_scale, grad_norm=norm)


def forward_of(
    model: torch.nn.Module,
    objective: Objective,
    *,
    scored: bool,
    dtype: torch.dtype,
    packed: bool,
    reference_model: torch.nn.Module | None,
) -> Forward:
    """What a model is asked of samples: the scores of a reward model, or log-probabilities with what `objective` needs."""
    if scored:
        return partial(scores, model, dtype=dtype, packed=packed)
    return partial(
        completions,
        model,
        dtype=dtype,
        packed=packed,
        kl_to=reference_model if objective.needs("kl") else None,
        squares=objective.needs("alignment"),
    )


def logps_of(
    found: Completions | Tensor, batch: MicroBatch, *, objective: Objective, level: Tensor | None = None
) -> Logps:
    """What a loss takes, from what `forward_of` gave for the samples of `batch`. level: the running one."""
    if isinstance(found, Tensor):
        chosen, rejected = found.view(-1, 2).unbind(dim=1)
        return PairLogps(chosen, rejected, label=batch.said.label, margin=batch.said.margin)
    assert batch.reference is not None
    if batch.kind == "sample":
        return as_samples(found, batch.reference, baseline=level, said=batch.said)
    if batch.kind == "list":
        return as_lists(found, batch.reference, sizes=[len(answers) for answers in batch.samples])
    return as_pairs(found, batch.reference, objective=objective, baseline=level, said=batch.said)


@dataclass(frozen=True)
class _Work:
    """What one rank has to do of an update. pairs: of the update on all ranks."""

    forward: Forward
    to_logps: ToLogps
    batches: Sequence[MicroBatch]
    objective: Objective
    pairs: int
    on_logps: Callable[[Logps], None]
    ranks: Ranks

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(pair_id for batch in self.batches for pair_id in batch.ids)


def _batch_by_batch(work: _Work) -> Part:
    """Gradients of Σ loss / pairs, one micro-batch at a time. For losses in which every pair stands for itself."""
    seen: list[Logps] = []
    losses: list[Tensor] = []
    for batch in work.batches:
        found = work.forward(flat(batch))
        if batch.idle:
            torch.autograd.backward([0 * value.sum() for value in _differentiable(found)])
            continue
        logps = work.to_logps(found, batch)
        work.on_logps(logps)
        loss_P = batch.said.weighted(work.objective(logps))
        _require_finite(loss_P, batch.ids)
        (loss_P.sum() / work.pairs).backward()
        seen.append(without_gradient(logps))
        losses.append(loss_P.detach())
    return Part(joined(seen), torch.cat(losses), work.ids) if seen else Part()


def _whole_update(work: _Work) -> Part:
    """The same for losses that compare the pairs of an update with each other, with the memory of one micro-batch.

    First every log-probability without gradient, then the loss of the whole update and its gradient in the log-probabilities,
    then each micro-batch once more, its part of that gradient sent back through it. Each rank has the log-probabilities of all
    between the two, and is asked for the gradient in its own.
    """
    with torch.no_grad():
        found = [work.forward(flat(batch)) for batch in work.batches]
    ours = [(part, batch) for part, batch in zip(found, work.batches, strict=True) if not batch.idle]
    leaves = [tensor.requires_grad_() for part, _ in ours for tensor in _differentiable(part)]
    each = [work.to_logps(part, batch) for part, batch in ours]
    for logps in each:
        work.on_logps(without_gradient(logps))
    mine = joined(each) if each else None
    parts = in_step(work.ranks, lambda: Part(None if mine is None else without_gradient(mine), None, work.ids))
    device = leaves[0].device if leaves else torch.device("cpu")
    others = [None if part.logps is None else without_gradient(part.logps, device) for part in parts]
    others[work.ranks.rank] = mine
    loss_P = work.objective(joined([logps for logps in others if logps is not None]))
    _require_finite(loss_P, tuple(pair_id for part in parts for pair_id in part.ids))
    slopes = iter(torch.autograd.grad(loss_P.sum() / work.pairs, leaves) if leaves else ())
    for batch in work.batches:
        again = _differentiable(work.forward(flat(batch)))
        torch.autograd.backward(again, [torch.zeros_like(value) if batch.idle else next(slopes) for value in again])
    if mine is None:
        return Part()
    before = sum(len(part.ids) for part in parts[: work.ranks.rank])
    return Part(without_gradient(mine), loss_P.detach()[before : before + len(work.ids)], work.ids)


def _differentiable(found: Completions | Tensor) -> list[Tensor]:
    if isinstance(found, Tensor):
        return [found]
    return [found.logp_C] if found.kl_C is None else [found.logp_C, found.kl_C]


def flat(batch: MicroBatch) -> list[Sample]:
    """Its samples, example after example."""
    return [sample for pair in batch.samples for sample in pair]


Side = tuple[Tensor, Tensor, Tensor]


def _sides(logps: Logps) -> tuple[Side, Side]:
    """Policy, reference and token counts of the better answers and of the worse ones."""
    if isinstance(logps, PairLogps):
        assert logps.chosen_tokens is not None
        assert logps.rejected_tokens is not None
        ref_chosen, ref_rejected = logps.reference()
        return (logps.chosen, ref_chosen, logps.chosen_tokens), (logps.rejected, ref_rejected, logps.rejected_tokens)
    assert logps.ref is not None
    assert logps.tokens is not None
    every = (logps.policy, logps.ref, logps.tokens)
    if isinstance(logps, SampleLogps):
        good, bad = (tuple(value[rows] for value in every) for rows in (logps.desirable, ~logps.desirable))
    else:
        last = logps.present.sum(dim=1, keepdim=True) - 1
        good = tuple(value[:, 0] for value in every)
        bad = tuple(value.gather(1, last)[:, 0] for value in every)
    return good, bad  # pyright: ignore[reportReturnType]


def _right(logps: Logps) -> Tensor:
    """[P] how far an example is ranked rightly by its log-ratios: of a list the share of its pairs, of an answer its sign."""
    if isinstance(logps, PairLogps):
        return _won(logps.log_ratio_margin())
    if isinstance(logps, SampleLogps):
        return _won(torch.where(logps.desirable, 1.0, -1.0) * logps.log_ratios())
    ratio_LK = logps.log_ratios()
    compared_LKK = (logps.present[:, :, None] & logps.present[:, None, :]).triu(1)
    won_LKK = _won(ratio_LK[:, :, None] - ratio_LK[:, None, :]) * compared_LKK
    return won_LKK.sum(dim=(1, 2)) / compared_LKK.sum(dim=(1, 2))


def _won(margin: Tensor) -> Tensor:
    return (margin > 0).float() + 0.5 * (margin == 0).float()


def _mean(values: Tensor) -> float | None:
    return float(values.detach().cpu().double().mean()) if values.numel() else None


def _require_finite(loss_P: Tensor, ids: tuple[str, ...]) -> None:
    bad = (~torch.isfinite(loss_P)).nonzero().flatten().tolist()
    if bad:
        raise NonFinite("loss", tuple(ids[index] for index in bad))
