"""KTO's baseline: how far the policy is from its reference on answers that do not belong to their prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from rather.errors import ConfigError
from rather.model import Sample, TokenPair, completions
from rather.training.batches import Update, micro_batches
from rather.training.reference import Reference


def mismatched(token_pairs: Sequence[TokenPair], *, max_length: int) -> list[TokenPair]:
    """Every prompt with the answers of the next pair of the file, cut at `max_length` tokens.

    Raises ConfigError for a single pair: there is no other answer.
    """
    if len(token_pairs) < 2:
        raise ConfigError("--loss kto needs two pairs at least: its baseline puts each prompt before another's answers")
    found = []
    for item, other in zip(token_pairs, [*token_pairs[1:], token_pairs[0]], strict=True):
        prompt = item.chosen.tokens[: item.chosen.prompt_tokens]
        chosen, rejected = (_joined(prompt, sample, max_length) for sample in other.samples)
        found.append(TokenPair(item.pair, chosen, rejected, chosen_truncated=False, rejected_truncated=False))
    return found


@dataclass(frozen=True)
class Mismatch:
    """The mismatched pairs of a run and their reference."""

    token_pairs: Sequence[TokenPair]
    reference: Reference

    def level(
        self, model: torch.nn.Module, update: Update, *, token_budget: int, dtype: torch.dtype, packed: bool
    ) -> float:
        """z₀ of an update: max(0, mean log-ratio of its mismatched answers), in nats. arXiv 2402.01306, section 4.2."""
        total, answers = 0.0, 0
        with torch.no_grad():
            for cut in micro_batches(update, self.token_pairs, token_budget=token_budget):
                samples = [sample for index in cut for sample in self.token_pairs[index].samples]
                ratios = completions(model, samples, dtype=dtype, packed=packed).sums() - self.reference.of(cut).sums()
                total, answers = total + float(ratios.cpu().double().sum()), answers + len(ratios)
        return max(0.0, total / answers)


def _joined(prompt: tuple[int, ...], sample: Sample, max_length: int) -> Sample:
    return Sample((*prompt, *sample.tokens[sample.prompt_tokens :])[:max_length], len(prompt))
