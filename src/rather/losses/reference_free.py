"""Losses that look at the policy alone: the SFT term, and the two objectives that introductions to DPO start from."""

from __future__ import annotations

from torch import Tensor

from rather.losses.pair_logps import PairLogps, tokens_or_fail
from rather.losses.reward import bradley_terry


def sft(lp: PairLogps) -> Tensor:
    """−log p(y_c) / |y_c| [P]: the chosen answer's negative log-likelihood per token.

    Added to a preference loss it keeps the chosen answer likely: a margin alone also grows while both answers lose
    probability (Pang et al. 2024, arXiv 2404.19733, eq. 1).
    """
    return -lp.chosen / tokens_or_fail(lp.chosen_tokens, name="chosen_tokens")


def logp_gap(lp: PairLogps) -> Tensor:
    """−log p(y_c) + log p(y_r) [P]: the first idea, and why DPO is needed.

    It has no lower bound: its gradient never fades, so the optimiser earns without end by making the rejected answer
    impossible, and every answer that shares tokens with it becomes impossible too. For comparison, not for use.
    """
    return lp.rejected - lp.chosen


def logp_ratio(lp: PairLogps) -> Tensor:
    """−log(p(y_c) / (p(y_c) + p(y_r))) = −log σ(log p(y_c) − log p(y_r)) [P]: the second idea.

    Bounded, but with no reference it charges the policy for what the answers' lengths and commonness already decided:
    a pair is "won" by a short chosen answer before anything is learned. Bradley–Terry with log p as the score.
    """
    return bradley_terry(lp)
