"""What a run minimises: one or more losses of the table, with their options and weights, and what they need computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from rather.errors import ConfigError
from rather.losses import FACTS, LOSSES, ListLogps, Loss, PairLogps, SampleLogps
from rather.model import Completions
from rather.training.config import TrainConfig
from rather.training.said import Said

Logps = PairLogps | SampleLogps | ListLogps


@dataclass(frozen=True)
class Term:
    """One loss with its options bound, and its weight in the sum."""

    name: str
    weight: float
    loss: Loss


@dataclass(frozen=True)
class Objective:
    """A weighted sum of losses: `objective(logps) -> [P]`, one value a pair, a list or a single answer."""

    terms: tuple[Term, ...]

    def __call__(self, logps: Logps) -> Tensor:
        parts = [term.weight * _value(term, logps) for term in self.terms]
        return torch.stack(parts).sum(dim=0)

    def needs(self, what: str) -> bool:
        """True if a term asks for an extra field; the words are those of `rather.losses.Facts`."""
        return any(what in FACTS[term.name].needs for term in self.terms)

    @property
    def of_whole_update(self) -> bool:
        """True if a pair's loss depends on the other pairs of its update."""
        return any(FACTS[term.name].batch for term in self.terms)

    @property
    def of_scores(self) -> bool:
        """True if it trains a reward model: its losses take scores, and no reference."""
        return any(FACTS[term.name].input == "score" for term in self.terms)

    @property
    def unbounded(self) -> list[str]:
        return [term.name for term in self.terms if FACTS[term.name].unbounded]


def _value(term: Term, logps: Logps) -> Tensor:
    """[P]: a loss of single answers takes both of a pair, the chosen one as good, and counts as their mean."""
    if FACTS[term.name].input != "sample" or not isinstance(logps, PairLogps):
        return term.loss(logps)
    assert logps.ref_chosen is not None
    assert logps.ref_rejected is not None
    pairs = len(logps.chosen)
    answers = SampleLogps(
        policy=torch.cat([logps.chosen, logps.rejected]),
        ref=torch.cat([logps.ref_chosen, logps.ref_rejected]),
        desirable=torch.arange(2 * pairs, device=logps.chosen.device) < pairs,
        baseline=logps.baseline,
    )
    return term.loss(answers).view(2, pairs).mean(dim=0)


def objective_of(config: TrainConfig) -> Objective:
    """The objective that a config asks for; its SFT term comes last."""
    terms = [Term(name, weight, partial(LOSSES[name], **config.options_of(name))) for name, weight in config.terms]
    return Objective(tuple(terms))


def try_out(objective: Objective) -> None:
    """Call each loss once on made-up values. Raises ConfigError for options that it refuses, before a minute is spent."""
    ones = torch.ones(2)
    sides = (
        "chosen",
        "rejected",
        "ref_chosen",
        "ref_rejected",
        "chosen_common",
        "rejected_common",
        "ref_chosen_common",
    )
    rest = ("ref_rejected_common", "chosen_kl", "rejected_kl", "chosen_alignment", "rejected_alignment")
    fields_of_pairs = dict.fromkeys((*sides, *rest, "chosen_tokens", "rejected_tokens"), ones)
    pairs = PairLogps(**fields_of_pairs, baseline=torch.zeros(()))
    lists = ListLogps(ones[None], torch.ones(1, 2, dtype=torch.bool), ones[None])
    try:
        for term in objective.terms:
            _value(term, lists if FACTS[term.name].input == "list" else pairs)
    except ValueError as error:
        raise ConfigError(f"--loss {', '.join(term.name for term in objective.terms)}: {error}") from error


def as_samples(
    found: Completions, reference: Completions, *, baseline: Tensor | None = None, said: Said
) -> SampleLogps:
    """Log-probabilities of R single answers."""
    assert said.desirable is not None
    return SampleLogps(found.sums(), said.desirable, reference.sums(), found.tokens_R, baseline)


def as_lists(found: Completions, reference: Completions, *, sizes: Sequence[int]) -> ListLogps:
    """Log-probabilities of L lists, whose answers stand one list after the other, best first; 0 in the place of none."""
    size_L = torch.tensor(sizes, device=found.tokens_R.device)
    present_LK = torch.arange(max(sizes), device=size_L.device)[None, :] < size_L[:, None]

    def laid_out(value_R: Tensor) -> Tensor:
        return torch.zeros(present_LK.shape, dtype=value_R.dtype, device=value_R.device).masked_scatter(
            present_LK, value_R
        )

    return ListLogps(laid_out(found.sums()), present_LK, laid_out(reference.sums()), laid_out(found.tokens_R))


def log_ratios_of(logps: Logps) -> Tensor:
    """log π(y) − log π_ref(y) of every answer, in nats; 0 in the place of none."""
    return torch.cat(logps.log_ratios()) if isinstance(logps, PairLogps) else logps.log_ratios()


def as_pairs(
    found: Completions,
    reference: Completions,
    *,
    objective: Objective | None = None,
    baseline: Tensor | None = None,
    said: Said | None = None,
) -> PairLogps:
    """Log-probabilities of P pairs from those of their 2P samples, chosen before rejected, with what `objective` needs."""
    chosen, rejected = _sides(found.sums())
    ref_chosen, ref_rejected = _sides(reference.sums())
    chosen_tokens, rejected_tokens = _sides(found.tokens_R)
    logps: dict[str, Tensor] = {
        "chosen": chosen, "rejected": rejected, "ref_chosen": ref_chosen, "ref_rejected": ref_rejected,
        "chosen_tokens": chosen_tokens, "rejected_tokens": rejected_tokens,
    }  # fmt: skip
    if objective is not None and objective.needs("common"):
        shorter_R = torch.minimum(chosen_tokens, rejected_tokens).repeat_interleave(2)
        logps["chosen_common"], logps["rejected_common"] = _sides(found.first(shorter_R))
        logps["ref_chosen_common"], logps["ref_rejected_common"] = _sides(reference.first(shorter_R))
    if found.kl_C is not None:
        logps["chosen_kl"], logps["rejected_kl"] = _sides(found.summed(found.kl_C))
    if found.square_C is not None:
        aligned_R = found.summed(found.logp_C.detach() - found.square_C) / found.tokens_R
        logps["chosen_alignment"], logps["rejected_alignment"] = _sides(aligned_R)
    label, margin = (None, None) if said is None else (said.label, said.margin)
    return PairLogps(**logps, baseline=baseline, label=label, margin=margin)


def joined(parts: Sequence[Logps]) -> Logps:
    """Several micro-batches as one. Lists are padded to the longest."""
    if len(parts) == 1:
        return parts[0]
    values = {}
    for field in fields(parts[0]):
        found = [getattr(part, field.name) for part in parts]
        if isinstance(parts[0], ListLogps):
            longest = max(value.shape[1] for value in found)
            found = [F.pad(value, (0, longest - value.shape[1])) for value in found]
        values[field.name] = torch.cat(found) if isinstance(found[0], Tensor) and found[0].dim() else found[0]
    return type(parts[0])(**values)


def _sides(value_R: Tensor) -> tuple[Tensor, Tensor]:
    chosen, rejected = value_R.view(-1, 2).unbind(dim=1)
    return chosen, rejected
