"""Losses that look at the policy alone: the SFT term, objectives without a reference, and the two objectives that
introductions to DPO start from."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from rather.losses.logps import PairLogps, smoothing_or_fail, tokens_or_fail
from rather.losses.numerics import cross_entropy, log1mexp, power_score
from rather.losses.reward import bradley_terry


def sft(lp: PairLogps) -> Tensor:
    """−log p(y_c) / |y_c| [P]: the chosen answer's negative log-likelihood per token.

    Added to a preference loss it keeps the chosen answer likely: a margin alone also grows while both answers lose
    probability (Pang et al. 2024, arXiv 2404.19733, eq. 1). Every pair counts alike; TRL's sft takes the mean over the
    batch's tokens, where a pair counts by its length.
    """
    return -lp.chosen / tokens_or_fail(lp.chosen_tokens, name="chosen_tokens")


def simpo(lp: PairLogps, *, beta: float = 2.0, gamma: float = 1.0, label_smoothing: float = 0.0) -> Tensor:
    """−log σ(β·(log π(y_c)/|y_c| − log π(y_r)/|y_r|) − γ) [P]: SimPO. Meng et al. 2024 (arXiv 2405.14734), eq. 6.

    The reward is what generation maximises, the mean log-probability of a token.

    gamma: γ, the margin of reward by which chosen shall win. TRL's simpo_gamma is the same γ; the authors' code asks for γ/β.
    label_smoothing: ε weighs −log σ of the negated argument, γ included, as TRL does.
    Raises ValueError without token counts, and for ε not in [0, ½).
    """
    return alphapo(lp, alpha=0.0, beta=beta, gamma=gamma, label_smoothing=label_smoothing)


def alphapo(
    lp: PairLogps, *, alpha: float = 0.25, beta: float = 2.0, gamma: float = 1.0, label_smoothing: float = 0.0
) -> Tensor:
    """−log σ(β·(ρ(y_c) − ρ(y_r)) − γ), ρ(y) = (1 − π(y)^(−α/|y|)) / α [P]: AlphaPO. Gupta et al. 2025 (arXiv 2501.03884).

    SimPO with a reward of another shape. With α > 0 answers that have become unlikely weigh more, with α < 0 less.

    alpha: α; in the limit 0 it is `simpo`.
    π^(−α/|y|) grows without end as an answer becomes unlikely; past an exponent of 20 it goes on as its tangent.
    Other options and errors as in `simpo`.
    """
    smoothing_or_fail(label_smoothing)
    chosen, rejected = lp.mean_logps()
    reward_margin = beta * (power_score(chosen, -alpha) - power_score(rejected, -alpha))
    return cross_entropy(reward_margin - gamma, 1 - label_smoothing)


def orpo(lp: PairLogps, *, beta: float = 0.1) -> Tensor:
    """`sft` − β·log σ(log odds(y_c) − log odds(y_r)), odds = p/(1 − p), log p = log π(y)/|y| [P]: ORPO. arXiv 2403.07691.

    Hong et al. 2024, eq. 6 and 7: fine-tuning on chosen with a penalty on the odds ratio.

    beta: the paper's λ, under TRL's name. TRL's likelihood term also counts the prompt's tokens, and is a mean over the
        batch's tokens; here it is the answer's alone, and every pair counts alike.
    A p within 1e-6 of 1 counts as that far from it in 1 − p, whose logarithm would be −∞. Raises ValueError without token
    counts.
    """
    chosen, rejected = lp.mean_logps()
    log_odds_ratio = (chosen - rejected) - (log1mexp(chosen) - log1mexp(rejected))
    return sft(lp) - beta * F.logsigmoid(log_odds_ratio)


def cpo(lp: PairLogps, *, beta: float = 0.1, alpha: float = 1.0, label_smoothing: float = 0.0) -> Tensor:
    """−log σ(β·(log π(y_c) − log π(y_r))) + α·`sft` [P]: CPO. Xu et al. 2024 (arXiv 2401.08417), eq. 3 with its NLL term.

    DPO with a uniform reference, kept in place by the likelihood of chosen.

    alpha: weight of chosen's negative log-likelihood per token, TRL's cpo_alpha. The paper writes it as a sum over tokens;
        TRL and the authors' code take the mean over the batch's tokens, here every pair counts alike.
    label_smoothing: ε, in the first term, as in `dpo`.
    Raises ValueError for ε not in [0, ½), and without token counts unless α is 0.
    """
    smoothing_or_fail(label_smoothing)
    preference = cross_entropy(beta * (lp.chosen - lp.rejected), 1 - label_smoothing)
    return preference + alpha * sft(lp) if alpha else preference


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
