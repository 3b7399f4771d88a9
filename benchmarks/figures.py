"""The figures of docs/concepts, each computed by the losses and statistics of this package.

    python -m benchmarks.figures        # half a minute

Small worlds stand for what is too dear or too noisy to see in a language model:

`losses`     the curves of the DPO loss itself.
`choices`    prompts with eight answers each; log π(y|x) = log π_ref(y|x) + φ(x, y)·w up to normalisation, so every expectation is
             a sum. What people want is φ·w*, and they err as Bradley–Terry says.
`strings`    texts of sixteen letters, the log-probability of a letter given the one before in a table.
`tokens`     answers of one token of fifty, logits W·h with W fixed and h trained.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from torch import Tensor

mpl.use("agg")
from matplotlib.figure import Figure

from rather.losses import LOSSES
from rather.losses.logps import PairLogps
from rather.reporting.figures import BLUE, GREEN, ORANGE
from rather.stats.calibration import calibration

OUT = Path("docs/concepts")
GREY = "#555555"
DASHES = {BLUE: "-", ORANGE: "--", GREEN: "-.", GREY: ":"}  # told apart without colour, too

ANSWERS, FEATURES, STEP = 8, 60, 0.005


def panels(count: int) -> tuple[Figure, Any]:
    figure = Figure(figsize=(3.2 * count, 2.8), layout="constrained", dpi=110)
    axes = figure.subplots(1, count, squeeze=False)[0]
    for each in axes:
        each.grid(alpha=0.25)
        each.spines[["top", "right"]].set_visible(False)
    return figure, axes


def line(axes: Any, x: Any, y: Any, colour: str, label: str) -> None:
    axes.plot(x, y, DASHES[colour], color=colour, label=label, linewidth=1.6)


def label(axes: Any, x: str, y: str, title: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title, fontsize=9)
    axes.legend(frameon=False, fontsize=7.5)


def margins(chosen: Tensor, rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor) -> PairLogps:
    return PairLogps(chosen=chosen, rejected=rejected, ref_chosen=ref_chosen, ref_rejected=ref_rejected)


# β


def what_beta_does() -> Figure:
    """The loss, its gradient, and the best policy that β allows."""
    figure, (loss, pull, best) = panels(3)
    betas = ((0.03, GREY), (0.1, BLUE), (0.3, GREEN), (1.0, ORANGE))
    zero = torch.zeros(401)
    for beta, colour in betas:
        h = torch.linspace(-40, 40, 401, requires_grad=True)
        value = LOSSES["dpo"](margins(h, zero, zero, zero), beta=beta)
        (slope,) = torch.autograd.grad(value.sum(), h)
        line(loss, h.detach(), value.detach(), colour, f"β = {beta}")
        line(pull, h.detach(), -slope, colour, f"β = {beta}")
    loss.set_ylim(0, 4)
    label(loss, "h, nats", "loss", "the loss of a pair")
    label(pull, "h, nats", "−∂loss/∂h", "how hard it is pulled apart")
    reference, reward = np.array([0.45, 0.3, 0.15, 0.08, 0.02]), np.array([0.0, 0.2, 0.4, 0.8, 1.0])
    for place, (beta, colour) in enumerate(((None, GREY), (1.0, ORANGE), (0.3, GREEN), (0.1, BLUE))):
        policy = reference if beta is None else reference * np.exp(reward / beta)
        best.bar(
            np.arange(5) + 0.2 * place - 0.3, policy / policy.sum(), 0.2, color=colour,
            label="π_ref" if beta is None else f"β = {beta}",
        )  # fmt: skip
    best.set_xticks(range(5), [f"r = {each:g}" for each in reward], fontsize=7.5)
    label(best, "five answers to one prompt", "probability", "π* ∝ π_ref·exp(r/β)")
    return figure


# A world of choices: over-optimisation and calibration


class Choices:
    """Prompts with ANSWERS answers each, and what people want of them."""

    def __init__(self, seed: int, pairs: int, held_out: int = 2_000) -> None:
        self.draw = torch.Generator().manual_seed(seed)
        self.wanted = torch.randn(FEATURES, generator=self.draw) / FEATURES**0.5 * 1.5
        self.train, self.test = self.prompts(pairs), self.prompts(held_out)

    def prompts(self, count: int) -> dict[str, Tensor]:
        """One pair a prompt: two answers that π_ref would give, and which is better, as Bradley–Terry has it."""
        features = torch.randn(count, ANSWERS, FEATURES, generator=self.draw)
        reference = torch.log_softmax(torch.randn(count, ANSWERS, generator=self.draw), 1)
        reward = features @ self.wanted
        two = torch.multinomial(reference.exp(), 2, generator=self.draw)
        first = reward.gather(1, two)
        right = torch.rand(count, generator=self.draw) < torch.sigmoid(first[:, 0] - first[:, 1])
        return {
            "features": features,
            "reference": reference,
            "reward": reward,
            "chosen": torch.where(right, two[:, 0], two[:, 1]),
            "rejected": torch.where(right, two[:, 1], two[:, 0]),
        }


def logps(world: dict[str, Tensor], weights: Tensor) -> tuple[Tensor, PairLogps]:
    """log π [prompts, answers], and that of the pairs."""
    policy = torch.log_softmax(world["reference"] + world["features"] @ weights, 1)

    def of(table: Tensor, which: str) -> Tensor:
        return table.gather(1, world[which][:, None])[:, 0]

    return policy, margins(
        of(policy, "chosen"),
        of(policy, "rejected"),
        of(world["reference"], "chosen"),
        of(world["reference"], "rejected"),
    )


def descend(world: Choices, *, beta: float, updates: int) -> dict[str, np.ndarray]:
    """DPO by Adam on all training pairs at once; measured on prompts that were not trained on.

    The step goes with 1/β, or a small β would only be a slow one.
    """
    weights = torch.zeros(FEATURES, requires_grad=True)
    optimizer = torch.optim.Adam([weights], lr=STEP / beta)
    rows = []
    for _ in range(updates + 1):
        _, pairs = logps(world.train, weights)
        loss = LOSSES["dpo"](pairs, beta=beta).mean()
        with torch.no_grad():
            policy, held = logps(world.test, weights)
            gain = ((policy.exp() - world.test["reference"].exp()) * world.test["reward"]).sum(1).mean()
            kl = (policy.exp() * (policy - world.test["reference"])).sum(1).mean()
            rows.append((loss.item(), LOSSES["dpo"](held, beta=beta).mean().item(), kl.item(), gain.item()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        logit = beta * logps(world.test, weights)[1].log_ratio_margin()
    return {**dict(zip(("loss", "heldout_loss", "kl", "gain"), np.array(rows).T, strict=True)), "logit": logit.numpy()}


def over_optimisation() -> Figure:
    """What people want, against how far the policy went to get it."""
    figure, (goes, held, many) = panels(3)
    few = Choices(0, pairs=150)
    runs = {beta: descend(few, beta=beta, updates=400) for beta in (0.05, 0.2, 1.0)}
    for (beta, run), colour in zip(runs.items(), (ORANGE, BLUE, GREEN), strict=True):
        line(goes, run["kl"], run["gain"], colour, f"β = {beta}")
    label(goes, "KL(π ‖ π_ref), nats", "reward gained", "150 pairs: what people want")
    line(held, range(401), runs[0.2]["loss"], BLUE, "trained on")
    line(held, range(401), runs[0.2]["heldout_loss"], ORANGE, "held out")
    held.axvline(int(runs[0.2]["heldout_loss"].argmin()), color=GREY, linewidth=0.8)
    label(held, "updates", "loss", "150 pairs, β = 0.2: the loss")
    for pairs, colour in ((150, ORANGE), (1_000, BLUE), (8_000, GREEN)):
        run = descend(Choices(0, pairs=pairs), beta=0.2, updates=400)
        line(many, run["kl"], run["gain"], colour, f"{pairs:,} pairs")
    label(many, "KL(π ‖ π_ref), nats", "reward gained", "β = 0.2: more pairs")
    return figure


def sure_and_right() -> tuple[Figure, dict[str, Any]]:
    """How often the policy is right where it says that it is so sure."""
    figure, (early, late, slopes) = panels(3)
    world, figures = Choices(0, pairs=150), {}
    for axes, updates, title in ((early, 20, "after 20 updates"), (late, 400, "after 400 updates")):
        found = calibration(descend(world, beta=0.2, updates=updates)["logit"])
        figures[title] = {"ece": found.ece, "chance": found.ece_chance_high, "slope": found.slope}
        line(axes, [0.5, 1], [0.5, 1], GREY, "as sure as right")
        sure, right = [each.confidence for each in found.bins], [each.right for each in found.bins]
        bars = np.array([[each.right - each.low, each.high - each.right] for each in found.bins]).T
        axes.errorbar(
            sure, right, yerr=bars, fmt="o-", color=BLUE, markersize=3.5, linewidth=1, label="held-out pairs, 95 %"
        )
        label(axes, "σ(β·h)", "share right", f"{title}: ECE {found.ece:.2f}")
    steps = (10, 20, 40, 80, 160, 320, 640)
    for pairs, colour in ((150, ORANGE), (600, BLUE), (8_000, GREEN)):
        world = Choices(0, pairs=pairs)
        slope = [calibration(descend(world, beta=0.2, updates=each)["logit"]).slope for each in steps]
        line(slopes, steps, [each[0] if each else np.nan for each in slope], colour, f"{pairs:,} pairs")
    slopes.axhline(1, color=GREY, linewidth=0.8)
    slopes.set_xscale("log")
    slopes.set_yscale("log")
    label(slopes, "updates", "slope", "1: honest; below: too sure")
    return figure, figures


# A world of strings: losses without a reference

LETTERS, TEXTS = 16, 200


class Strings:
    """Texts of letters; the reference is the table that they were drawn from."""

    def __init__(self, seed: int = 0) -> None:
        draw = np.random.default_rng(seed)
        self.table = torch.log_softmax(torch.tensor(draw.normal(0, 1.5, (LETTERS, LETTERS)), dtype=torch.float32), 1)
        self.chosen, self.rejected, self.ordinary = (
            [self.text(draw, int(length)) for length in draw.integers(4, 25, TEXTS)] for _ in range(3)
        )

    def text(self, draw: np.random.Generator, length: int) -> list[int]:
        letters = [int(draw.integers(LETTERS))]
        while len(letters) <= length:
            odds = self.table[letters[-1]].double().exp().numpy()
            letters.append(int(draw.choice(LETTERS, p=odds / odds.sum())))
        return letters


def counts(texts: list[list[int]]) -> Tensor:
    """[texts, LETTERS, LETTERS]: how often which letter follows which."""
    found = torch.zeros(len(texts), LETTERS, LETTERS)
    for row, text in enumerate(texts):
        for before, after in itertools.pairwise(text):
            found[row, before, after] += 1
    return found


def without_reference() -> Figure:
    """Three losses on the same random pairs, of which nothing is to be learned: what becomes of the policy?"""
    world = Strings()
    chosen, rejected, ordinary = (counts(each) for each in (world.chosen, world.rejected, world.ordinary))

    def summed(seen: Tensor, table: Tensor) -> Tensor:
        return (seen * table).sum((1, 2))

    figure, (weights, lost, kept) = panels(3)
    longer = (chosen.sum((1, 2)) - rejected.sum((1, 2))).numpy()
    ways = (("logp_gap", ORANGE, {}), ("logp_ratio", GREEN, {}), ("dpo", BLUE, {"beta": 0.1}))
    for name, colour, options in ways:
        table = world.table.clone().requires_grad_()
        optimizer = torch.optim.SGD([table], lr=0.5 / options.get("beta", 1))  # or β would only make it slow
        curve = []
        for update in range(301):
            now = torch.log_softmax(table, 1)
            c, r = summed(chosen, now), summed(rejected, now)
            ref = summed(chosen, world.table), summed(rejected, world.table)
            values = LOSSES[name](margins(c, r, *ref), **options)
            if update == 0:
                pull = torch.autograd.grad(values.sum(), c, retain_graph=True)[0]
                pull = pull / options.get("beta", 1)
                style = {"dpo": "o", "logp_ratio": "x", "logp_gap": "+"}[name]
                weights.plot(longer, -pull.numpy(), style, color=colour, markersize=3, label=name, alpha=0.7)
            with torch.no_grad():
                curve.append((r.mean().item(), (summed(ordinary, now).sum() / ordinary.sum()).item()))
            optimizer.zero_grad()
            values.mean().backward()
            optimizer.step()
        curves = np.array(curve).T
        line(lost, range(301), curves[0], colour, name)
        line(kept, range(301), curves[1], colour, name)
    label(weights, "letters: chosen − rejected", "weight of the pair (dpo: ÷ β)", "what a pair counts at the start")
    label(lost, "updates", "log π(rejected), nats", "what is rejected")
    label(kept, "updates", "log π a letter, nats", "texts that are in no pair")
    return figure


# A world of one token: displacement

TOKENS, WIDTH = 50, 12
HELD: dict[str, tuple[str, dict[str, float], float]] = {
    "dpo": ("dpo", {"beta": 0.1}, 0.0),
    "dpo + 0.1 · SFT": ("dpo", {"beta": 0.1}, 0.1),
    "dpop": ("dpop", {"beta": 0.1, "dpop_lambda": 5.0}, 0.0),
}
"""Name → loss, options, weight of the SFT term."""


def displacement() -> Figure:
    """Answers of one token: logits are W·h, and chosen's row of W is nearly rejected's."""
    draw = torch.Generator().manual_seed(1)
    rows = torch.randn(TOKENS, WIDTH, generator=draw)
    rows[1] = rows[0] + 0.3 * torch.randn(WIDTH, generator=draw)  # 0 is chosen, 1 rejected
    start = 0.35 * (rows[0] + rows[1])  # what both answers share is what makes them likely
    reference = torch.log_softmax(rows @ start, 0)
    figure, axes = panels(len(HELD))
    for each, (name, (loss, options, sft)) in zip(axes, HELD.items(), strict=True):
        hidden = start.clone().requires_grad_()
        curve = []
        for _ in range(3001):
            now = torch.log_softmax(rows @ hidden, 0)
            pair = margins(now[:1], now[1:2], reference[:1], reference[1:2])
            curve.append((now[0].item(), now[1].item(), now[2:].logsumexp(0).item()))
            (slope,) = torch.autograd.grad((LOSSES[loss](pair, **options) - sft * now[0]).sum(), hidden)
            hidden = (hidden - 0.1 * slope).detach().requires_grad_()
        for values, colour, which in zip(
            np.array(curve).T, (BLUE, ORANGE, GREY), ("chosen", "rejected", "all others"), strict=True
        ):
            line(each, range(3001), np.exp(values), colour, which)
        label(each, "updates", "probability", name)
        each.set_ylim(-0.02, 1.02)
    return figure


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    what_beta_does().savefig(OUT / "beta.png")
    over_optimisation().savefig(OUT / "over-optimisation.png")
    drawn, figures = sure_and_right()
    drawn.savefig(OUT / "calibration.png")
    print(json.dumps(figures, indent=1))
    without_reference().savefig(OUT / "reference-free.png")
    displacement().savefig(OUT / "displacement.png")


if __name__ == "__main__":
    main()
