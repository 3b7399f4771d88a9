"""What the concept pages say of DPO, held against the code: each equation at random inputs."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import logsigmoid

from rather.losses import LOSSES
from rather.losses.logps import PairLogps

BETAS = (0.03, 0.1, 0.5, 2.0)


@pytest.fixture
def world() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """π_ref, reward and another policy over seven answers to one prompt, fp64."""
    draw = torch.Generator().manual_seed(7)
    reference, other = (torch.softmax(torch.randn(7, generator=draw, dtype=torch.float64), 0) for _ in range(2))
    return reference, torch.randn(7, generator=draw, dtype=torch.float64), other


def pairs_of(policy: torch.Tensor, reference: torch.Tensor) -> PairLogps:
    """Every ordered pair of two answers."""
    chosen, rejected = (~torch.eye(len(policy), dtype=torch.bool)).nonzero().T
    log, ref = policy.log(), reference.log()
    return PairLogps(chosen=log[chosen], rejected=log[rejected], ref_chosen=ref[chosen], ref_rejected=ref[rejected])


def objective(policy: torch.Tensor, reference: torch.Tensor, reward: torch.Tensor, beta: float) -> float:
    return float((policy * reward).sum() - beta * (policy * (policy / reference).log()).sum())


@pytest.mark.parametrize("beta", BETAS)
def test_the_tilted_reference_is_the_best_policy(world: tuple[torch.Tensor, ...], beta: float) -> None:
    reference, reward, other = world
    tilted = reference * (reward / beta).exp()
    best = tilted / tilted.sum()
    # KL(π‖π*) = −(objective − β·log Z)/β: so the objective is highest at π*, and there it is β·log Z.
    assert objective(best, reference, reward, beta) == pytest.approx(beta * float(tilted.sum().log()), rel=1e-9)
    gap = objective(best, reference, reward, beta) - objective(other, reference, reward, beta)
    assert gap == pytest.approx(beta * float((other * (other / best).log()).sum()), rel=1e-9)
    assert gap > 0


@pytest.mark.parametrize("beta", BETAS)
def test_z_cancels_and_the_implicit_reward_is_the_reward(world: tuple[torch.Tensor, ...], beta: float) -> None:
    reference, reward, _ = world
    best = torch.softmax(reference.log() + reward / beta, 0)
    margins = beta * pairs_of(best, reference).log_ratio_margin()
    chosen, rejected = (~torch.eye(7, dtype=torch.bool)).nonzero().T
    torch.testing.assert_close(margins, reward[chosen] - reward[rejected])


@pytest.mark.parametrize("beta", BETAS)
def test_dpo_under_bradley_terry_is_lowest_at_the_best_policy(world: tuple[torch.Tensor, ...], beta: float) -> None:
    """With every pair and the probabilities of its votes, the gradient of the loss is 0 at π*."""
    reference, reward, other = world
    chosen, rejected = (~torch.eye(7, dtype=torch.bool)).nonzero().T
    voted = torch.sigmoid(reward[chosen] - reward[rejected])

    def loss(logits: torch.Tensor) -> torch.Tensor:
        return (voted * LOSSES["dpo"](pairs_of(torch.softmax(logits, 0), reference), beta=beta)).sum()

    best = (reference.log() + reward / beta).requires_grad_()
    (slope,) = torch.autograd.grad(loss(best), best)
    torch.testing.assert_close(slope, torch.zeros(7, dtype=torch.float64), atol=1e-10, rtol=0)
    assert loss(best.detach()) < loss(other.log())


@pytest.mark.parametrize("beta", BETAS)
def test_the_first_loss_and_the_gradient(beta: float) -> None:
    h = torch.linspace(-50, 50, 101, dtype=torch.float64, requires_grad=True)
    zero = torch.zeros_like(h)
    loss = LOSSES["dpo"](PairLogps(chosen=h, rejected=zero, ref_chosen=zero, ref_rejected=zero), beta=beta)
    torch.testing.assert_close(loss, -logsigmoid(beta * h))
    assert loss[50].item() == pytest.approx(math.log(2), abs=1e-12)
    (slope,) = torch.autograd.grad(loss.sum(), h)
    torch.testing.assert_close(slope, -beta * torch.sigmoid(-beta * h.detach()))


def test_a_soft_label_puts_the_minimum_at_its_log_odds() -> None:
    beta, q = 0.1, 0.9
    h = torch.tensor([math.log(q / (1 - q)) / beta], dtype=torch.float64, requires_grad=True)
    zero = torch.zeros_like(h)
    label = torch.tensor([q], dtype=torch.float64)
    pair = PairLogps(chosen=h, rejected=zero, ref_chosen=zero, ref_rejected=zero, label=label)
    (slope,) = torch.autograd.grad(LOSSES["dpo"](pair, beta=beta).sum(), h)
    assert slope.item() == pytest.approx(0, abs=1e-12)


def test_without_a_reference_the_gap_never_stops_and_the_ratio_begins_anywhere() -> None:
    chosen = torch.tensor([-10.0, -40.0], requires_grad=True)  # five tokens of 2 nats, and twenty
    rejected = torch.tensor([-40.0, -10.0])
    pair = PairLogps(chosen=chosen, rejected=rejected)
    assert torch.autograd.grad(LOSSES["logp_gap"](pair).sum(), chosen)[0].tolist() == [-1, -1]
    weights = -torch.autograd.grad(LOSSES["logp_ratio"](pair).sum(), chosen)[0]
    assert weights[0] < 1e-12
    assert weights[1] > 1 - 1e-6
