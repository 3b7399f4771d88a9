"""KTO's baseline: how far the policy is from its reference on answers that do not belong to their prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from rather.distributed.ranks import ALONE, Ranks
from rather.errors import ConfigError
from rather.model import Sample, TokenExample, TokenList, completions
from rather.training.batches import Update, own_cuts
from rather.training.reference import Reference
from rather.training.shelf import shortest


def mismatched(token_pairs: Sequence[TokenExample], *, max_length: int) -> list[TokenExample]:
    """Every prompt with the answers of the next example of the file that has another, cut at `max_length` tokens.

    Raises ConfigError where all have one prompt: there is no other answer.
    """
    prompts = [item.samples[0].tokens[: item.samples[0].prompt_tokens] for item in token_pairs]
    count = len(prompts)
    if len(set(prompts)) < 2:
        raise ConfigError("--loss kto needs two prompts at least: its baseline puts each before another's answers")
    # From behind, twice around: the next is the neighbour, or whatever is the neighbour's next.
    following = [0] * count
    for place in reversed(range(2 * count)):
        here, after = place % count, (place + 1) % count
        following[here] = after if prompts[after] != prompts[here] else following[after]
    found: list[TokenExample] = []
    for item, prompt, other in zip(token_pairs, prompts, following, strict=True):
        samples = tuple(_joined(prompt, sample, max_length) for sample in token_pairs[other].samples)
        found.append(TokenList(item.record, samples, (False,) * len(samples)))
    return found


@dataclass(frozen=True)
class Mismatch:
    """The mismatched examples of a run and their reference."""

    token_pairs: Sequence[TokenExample]
    reference: Reference

    def level(
        self,
        model: torch.nn.Module,
        update: Update,
        *,
        token_budget: int,
        dtype: torch.dtype,
        packed: bool,
        ranks: Ranks = ALONE,
    ) -> float:
        """z₀ of an update: max(0, mean log-ratio of its mismatched answers), in nats. arXiv 2402.01306, section 4.2."""
        total, answers = 0.0, 0
        with torch.no_grad():
            for cut in own_cuts(update, self.token_pairs, ranks=ranks, token_budget=token_budget):
                items = [self.token_pairs[index] for index in cut] or [shortest(self.token_pairs)]
                found = completions(model, [s for item in items for s in item.samples], dtype=dtype, packed=packed)
                if cut:
                    ratios = found.sums() - self.reference.of(cut).sums()
                    total, answers = total + float(ratios.cpu().double().sum()), answers + len(ratios)
        totals, counts = zip(*ranks.gathered((total, answers), "the level that kto compares with"), strict=True)
        return max(0.0, sum(totals) / sum(counts))


def _joined(prompt: tuple[int, ...], sample: Sample, max_length: int) -> Sample:
    return Sample((*prompt, *sample.tokens[sample.prompt_tokens :])[:max_length], len(prompt))
