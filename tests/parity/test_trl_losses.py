"""Our losses against TRL's own arithmetic: its trainers' methods, called with stand-ins for the trainer and the model.

The stand-in model says the log-probabilities of a table; everything after it, sums over tokens included, is TRL's code.
Values and gradients are compared. TRL is a development extra: `pip install 'rather[bench]'`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rather.losses import FACTS, LOSSES, PairLogps, SampleLogps
from rather.training.config import TrainConfig
from rather.training.objective import objective_of

REASON = "trl, whose arithmetic ours is compared with, is not installed"
dpo_trainer: Any = pytest.importorskip("trl.trainer.dpo_trainer", reason=REASON)
kto_trainer: Any = pytest.importorskip("trl.trainer.kto_trainer", reason=REASON)
reward_trainer: Any = pytest.importorskip("trl.trainer.reward_trainer", reason=REASON)
cpo_trainer: Any = pytest.importorskip("trl.experimental.cpo.cpo_trainer", reason=REASON)
orpo_trainer: Any = pytest.importorskip("trl.experimental.orpo.orpo_trainer", reason=REASON)

PAIRS = 5
PROMPT = 2  # tokens of every prompt; the first of them tells the stand-in model which row of its table is asked for
LENGTHS = ([3, 1, 6, 4, 2], [5, 4, 1, 4, 6])  # of the chosen and of the rejected answers


class Table(nn.Module):
    """A model that says the log-probabilities of a table [rows, places], and as TRL's fused head masks them."""

    is_gradient_checkpointing = False

    def __init__(self, logps: Tensor, log_sum_sq_probs: Tensor):
        super().__init__()
        self.logps = nn.Parameter(logps)
        self.log_sum_sq_probs = log_sum_sq_probs

    def forward(self, input_ids: Tensor, labels: Tensor, **_: Any) -> SimpleNamespace:
        rows, mask = input_ids[:, 0], labels[:, 1:] != -100
        log_probs = self.logps[rows].masked_fill(~mask, 0)
        nothing = torch.zeros_like(log_probs)
        return SimpleNamespace(
            log_probs=log_probs,
            log_sum_sq_probs=self.log_sum_sq_probs[rows].masked_fill(~mask, 0),
            entropy=nothing,
            mean_logits=nothing,
            is_top1=nothing.bool(),
        )


@dataclass
class World:
    """A policy, a reference and the answers of pairs: rows 0 to P−1 are chosen, P to 2P−1 rejected."""

    policy: Table
    reference: Table
    completion: Tensor
    """[2P, places]: 1 at a token of the answer."""

    @property
    def inputs(self) -> dict[str, Tensor]:
        rows, places = self.completion.shape
        input_ids = torch.zeros(rows, places, dtype=torch.long)
        input_ids[:, 0] = torch.arange(rows)
        return {
            "input_ids": input_ids,
            "attention_mask": torch.ones_like(input_ids),
            "completion_mask": self.completion,
        }

    def pair(self, index: int) -> dict[str, Tensor]:
        """TRL's inputs of one pair."""
        return {name: value[[index, index + PAIRS]] for name, value in self.inputs.items()}

    def lp(self) -> PairLogps:
        """The same pairs, as our losses take them."""
        mask = self.completion[:, 1:]
        tokens = mask.sum(1)
        common = torch.minimum(*tokens.chunk(2)).repeat(2)
        shared = mask * (mask.cumsum(1) <= common[:, None])

        def both(values: Tensor) -> tuple[Tensor, Tensor]:
            chosen, rejected = values.chunk(2)
            return chosen, rejected

        chosen, rejected = both((self.policy.logps * mask).sum(1))
        ref_chosen, ref_rejected = both((self.reference.logps.detach() * mask).sum(1))
        chosen_tokens, rejected_tokens = both(tokens)
        chosen_common, rejected_common = both((self.policy.logps * shared).sum(1))
        ref_chosen_common, ref_rejected_common = both((self.reference.logps.detach() * shared).sum(1))
        alignment = ((self.policy.logps.detach() - self.policy.log_sum_sq_probs) * mask).sum(1) / tokens
        chosen_alignment, rejected_alignment = both(alignment)
        return PairLogps(
            chosen=chosen,
            rejected=rejected,
            ref_chosen=ref_chosen,
            ref_rejected=ref_rejected,
            chosen_tokens=chosen_tokens,
            rejected_tokens=rejected_tokens,
            chosen_common=chosen_common,
            rejected_common=rejected_common,
            ref_chosen_common=ref_chosen_common,
            ref_rejected_common=ref_rejected_common,
            chosen_alignment=chosen_alignment,
            rejected_alignment=rejected_alignment,
        )


def world(dtype: torch.dtype = torch.float64, seed: int = 0, lengths: tuple[list[int], list[int]] = LENGTHS) -> World:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.tensor(lengths[0] + lengths[1])
    places = PROMPT + int(tokens.max())
    place = torch.arange(places)[None]
    completion = ((place >= PROMPT) & (place < PROMPT + tokens[:, None])).long()

    def draw() -> Tensor:
        return -3 * torch.rand(2 * PAIRS, places - 1, generator=generator, dtype=torch.float64)

    reference = draw()
    policy = reference + torch.randn(reference.shape, generator=generator, dtype=torch.float64)
    return World(
        policy=Table(policy.to(dtype), draw().to(dtype)),
        reference=Table(reference.to(dtype), draw().to(dtype)),
        completion=completion,
    )


def trainer(**attributes: Any) -> SimpleNamespace:
    """What the methods of TRL's trainers look up on themselves."""
    return SimpleNamespace(
        accelerator=SimpleNamespace(
            device=torch.device("cpu"),
            gather=lambda value: value,
            gather_for_metrics=lambda value: value,
        ),
        aux_loss_enabled=False,
        precompute_ref_logps=False,
        _metrics=defaultdict(lambda: defaultdict(list)),
        _total_train_tokens=0,
        _tp_size=1,
        **attributes,
    )


def trl_dpo(w: World, inputs: dict[str, Tensor], loss_type: str, **options: Any) -> Tensor:
    """The loss [] of DPOTrainer for one batch."""
    stand_in = trainer(
        **{
            "model": w.policy,
            "ref_model": w.reference,
            "args": SimpleNamespace(gradient_checkpointing_kwargs=None, discopop_tau=options.pop("tau", 0.05)),
            "beta": 0.1,
            "label_smoothing": 0.0,
            "ld_alpha": None,
            "use_weighting": False,
            "f_divergence_type": "reverse_kl",
            "f_alpha_divergence_coef": 0.5,
            "loss_types": [loss_type],
            "loss_weights": [1.0],
            **options,
        }
    )
    return dpo_trainer.DPOTrainer._compute_loss(stand_in, w.policy, inputs, False)


def assert_same(ours: Tensor, theirs: Tensor, leaf: Tensor, *, rtol: float = 1e-6) -> None:
    """Value and gradient of two scalars."""
    torch.testing.assert_close(ours, theirs.to(ours.dtype), rtol=rtol, atol=rtol)
    (our_slope,) = torch.autograd.grad(ours, leaf, retain_graph=True)
    (their_slope,) = torch.autograd.grad(theirs, leaf, retain_graph=True)
    assert our_slope.abs().max() > 0
    torch.testing.assert_close(our_slope, their_slope, rtol=rtol, atol=rtol)


# our name and options, TRL's loss_type and attributes
DPO_LOSSES = [
    ("dpo", {}, "sigmoid", {}),
    ("dpo", {"beta": 0.7}, "sigmoid", {"beta": 0.7}),
    ("dpo_norm", {"beta": 2.0}, "sigmoid_norm", {"beta": 2.0}),
    ("ld_dpo", {"alpha": 0.3}, "sigmoid", {"ld_alpha": 0.3}),
    ("ld_dpo", {"alpha": 0.0}, "sigmoid", {"ld_alpha": 0.0}),
    ("wpo", {"beta": 0.5}, "sigmoid", {"beta": 0.5, "use_weighting": True}),
    ("hinge", {}, "hinge", {}),
    ("ipo", {"per_token": True}, "ipo", {}),
    ("robust", {"label_smoothing": 0.2}, "robust", {"label_smoothing": 0.2}),
    ("robust", {"label_smoothing": 0.0}, "robust", {"label_smoothing": 0.0}),
    ("exo", {}, "exo_pair", {"label_smoothing": 1e-3}),
    ("exo", {"label_smoothing": 0.2, "beta": 0.5}, "exo_pair", {"label_smoothing": 0.2, "beta": 0.5}),
    ("nca", {}, "nca_pair", {}),
    ("bco", {}, "bco_pair", {}),
    ("sppo", {}, "sppo_hard", {}),
    ("aot", {}, "aot", {}),
    ("aot", {"label_smoothing": 0.2}, "aot", {"label_smoothing": 0.2}),
    ("apo_zero", {}, "apo_zero", {}),
    ("apo_down", {}, "apo_down", {}),
    ("discopop", {"beta": 0.1}, "discopop", {}),
    ("discopop", {"beta": 0.1, "tau": 3.0}, "discopop", {"tau": 3.0}),
]
DIVERGENCES = [
    ({"f_divergence": "forward_kl"}, {"f_divergence_type": "forward_kl"}),
    ({"f_divergence": "js"}, {"f_divergence_type": "js_divergence"}),
    ({"f_divergence": "alpha"}, {"f_divergence_type": "alpha_divergence"}),
    (
        {"f_divergence": "alpha", "alpha": 0.8},
        {"f_divergence_type": "alpha_divergence", "f_alpha_divergence_coef": 0.8},
    ),
    (
        {"f_divergence": "alpha", "alpha": 1.0},
        {"f_divergence_type": "alpha_divergence", "f_alpha_divergence_coef": 1.0},
    ),
]
WITH_DIVERGENCE = ["dpo", "dpo_norm", "hinge", "ipo", "robust", "exo", "discopop"]


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("name", "options", "loss_type", "attributes"), DPO_LOSSES)
def test_dpo_trainer(name: str, options: dict[str, Any], loss_type: str, attributes: dict[str, Any], seed: int):
    w = world(seed=seed)
    ours = LOSSES[name](w.lp(), **options)
    assert_same(ours.mean(), trl_dpo(w, w.inputs, loss_type, **attributes), w.policy.logps)
    if not FACTS[name].batch:
        for index, value in enumerate(ours):
            theirs = trl_dpo(w, w.pair(index), loss_type, **attributes)
            torch.testing.assert_close(value, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("divergence", "attributes"), DIVERGENCES)
@pytest.mark.parametrize("name", WITH_DIVERGENCE)
def test_dpo_trainer_with_another_divergence(name: str, divergence: dict[str, Any], attributes: dict[str, Any]):
    _, options, loss_type, more = next(case for case in DPO_LOSSES if case[0] == name)
    # TRL's alpha divergence knows no fp64, so these are compared in fp32, and to what fp32 holds
    w = world(torch.float32)
    ours = LOSSES[name](w.lp(), **options, **divergence).mean()
    assert_same(ours, trl_dpo(w, w.inputs, loss_type, **more, **attributes), w.policy.logps, rtol=5e-6)


def test_ipo_of_sums_is_trls_where_answers_are_one_token_long():
    w = world(lengths=([1] * PAIRS, [1] * PAIRS))
    assert_same(LOSSES["ipo"](w.lp()).mean(), trl_dpo(w, w.inputs, "ipo"), w.policy.logps)


def test_bco_with_a_baseline_is_trls_where_the_baseline_is_0():
    w = world()
    lp = replace(w.lp(), baseline=torch.tensor(0.0, dtype=torch.float64))
    assert_same(LOSSES["bco"](lp).mean(), trl_dpo(w, w.inputs, "bco_pair"), w.policy.logps)


def test_sft_counts_pairs_where_trl_counts_tokens():
    w = world()
    lp = w.lp()
    assert lp.chosen_tokens is not None
    ours, theirs = LOSSES["sft"](lp), trl_dpo(w, w.inputs, "sft")
    assert_same((ours * lp.chosen_tokens).sum() / lp.chosen_tokens.sum(), theirs, w.policy.logps)
    assert abs(ours.mean() - theirs) > 1e-3
    equal = world(lengths=([4] * PAIRS, [4] * PAIRS))
    assert_same(LOSSES["sft"](equal.lp()).mean(), trl_dpo(equal, equal.inputs, "sft"), equal.policy.logps)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.2}, {"beta": 0.7}], ids=str)
def test_aot_unpaired(options: dict[str, Any], seed: int):
    """TRL's takes pairs; ours the same answers one by one, and its mean over either side is TRL's over pairs."""
    w = world(seed=seed)
    lp = w.lp()
    assert lp.ref_chosen is not None
    assert lp.ref_rejected is not None
    policy, ref = torch.cat([lp.chosen, lp.rejected]), torch.cat([lp.ref_chosen, lp.ref_rejected])
    answers = SampleLogps(policy=policy, ref=ref, desirable=torch.arange(2 * PAIRS) < PAIRS)
    ours = LOSSES["aot_unpaired"](answers, **options)
    assert_same(ours.mean(), trl_dpo(w, w.inputs, "aot_unpaired", **options), w.policy.logps)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["kto", "apo_zero_unpaired"])
def test_kto_trainer(name: str, seed: int):
    """Rows 0 to 4 are good answers but one; the KL is estimated on the rows in reverse."""
    w = world(seed=seed)
    desirable = torch.arange(2 * PAIRS) < PAIRS
    desirable[0] = False
    mismatched = {f"KL_{key}": value.flip(0) for key, value in w.inputs.items()}
    stand_in = trainer(
        model=w.policy,
        ref_model=w.reference,
        args=SimpleNamespace(gradient_checkpointing_kwargs=None),
        beta=0.3,
        desirable_weight=1.2,
        undesirable_weight=0.7,
        loss_type=name,
        calculate_KL=name == "kto",
    )
    stand_in._compute_kl_logps = partial(kto_trainer.KTOTrainer._compute_kl_logps, stand_in)
    inputs = {**w.inputs, **mismatched, "label": desirable}
    theirs = kto_trainer.KTOTrainer._compute_loss(stand_in, w.policy, inputs, False)

    mask = w.completion[:, 1:]
    policy, ref = (w.policy.logps * mask).sum(1), (w.reference.logps.detach() * mask).sum(1)
    baseline = (policy - ref).mean().clamp(min=0).detach()
    lp = SampleLogps(policy=policy, ref=ref, desirable=desirable, baseline=baseline)
    ours = LOSSES[name](lp, beta=0.3, desirable_weight=1.2, undesirable_weight=0.7)
    assert_same(ours.mean(), theirs, w.policy.logps)


def cpo_loss(lp: PairLogps, *, mean: bool, nll: Tensor | None = None, **attributes: Any) -> Tensor:
    """The loss [] of CPOTrainer, given what its forward would have given."""
    stand_in = trainer(**{"alpha": 0.0, "cpo_alpha": 0.0, "label_smoothing": 0.0, "simpo_gamma": 0.5, **attributes})
    chosen, rejected = lp.mean_logps() if mean else (lp.chosen, lp.rejected)
    logits = torch.zeros(1)
    nll = torch.zeros(()) if nll is None else nll
    stand_in.concatenated_forward = lambda model, batch: (chosen, rejected, logits, logits, nll)
    stand_in.cpo_loss = partial(cpo_trainer.CPOTrainer.cpo_loss, stand_in)
    loss, _ = cpo_trainer.CPOTrainer.get_batch_loss_metrics(stand_in, None, {})
    return loss


@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
@pytest.mark.parametrize(
    ("name", "options", "attributes"),
    [
        ("simpo", {"beta": 2.0, "gamma": 1.0}, {"beta": 2.0, "simpo_gamma": 1.0}),
        ("simpo", {"beta": 2.5, "gamma": 0.3}, {"beta": 2.5, "simpo_gamma": 0.3}),
        ("alphapo", {"alpha": 0.25, "gamma": 0.5}, {"beta": 2.0, "alpha": 0.25}),
        ("alphapo", {"alpha": -0.5, "beta": 3.0, "gamma": 0.5}, {"beta": 3.0, "alpha": -0.5}),
    ],
)
def test_cpo_trainer_on_means(name: str, options: dict[str, Any], attributes: dict[str, Any], label_smoothing: float):
    w = world()
    lp = w.lp()
    theirs = cpo_loss(lp, mean=True, loss_type="simpo", label_smoothing=label_smoothing, **attributes)
    assert_same(LOSSES[name](lp, label_smoothing=label_smoothing, **options).mean(), theirs, w.policy.logps)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
@pytest.mark.parametrize("alpha", [0.0, 0.6])
def test_cpo_trainer(alpha: float, label_smoothing: float):
    """Its likelihood term is the mean over the batch's tokens, which is ours where answers are equally long."""
    w = world(lengths=([4] * PAIRS, [6] * PAIRS))
    lp = w.lp()
    theirs = cpo_loss(
        lp,
        mean=False,
        nll=-w.policy.logps[:PAIRS][w.completion[:PAIRS, 1:].bool()].mean(),
        loss_type="sigmoid",
        beta=0.1,
        cpo_alpha=alpha,
        label_smoothing=label_smoothing,
    )
    ours = LOSSES["cpo"](lp, alpha=alpha, label_smoothing=label_smoothing)
    assert_same(ours.mean(), theirs, w.policy.logps)


@pytest.mark.parametrize(
    ("name", "options", "attributes", "mean"),
    [
        ("hinge", {"beta": 0.3}, {"loss_type": "hinge", "beta": 0.3}, False),
        ("ipo", {"beta": 0.3, "per_token": True}, {"loss_type": "ipo", "beta": 0.3}, True),
    ],
)
def test_cpo_trainers_other_losses(name: str, options: dict[str, Any], attributes: dict[str, Any], mean: bool):
    """They are ours with a reference that finds every answer equally likely."""
    w = world()
    lp = w.lp()
    nothing = torch.zeros_like(lp.chosen).detach()
    uniform = replace(lp, ref_chosen=nothing, ref_rejected=nothing)
    assert_same(LOSSES[name](uniform, **options).mean(), cpo_loss(lp, mean=mean, **attributes), w.policy.logps)


def test_a_mixture():
    """TRL's loss_types with loss_weights, of losses whose means over pairs are its own."""
    w = world(lengths=([4] * PAIRS, [6] * PAIRS))
    ours = objective_of(TrainConfig(loss="dpo:0.8,sft:0.2,bco:0.5"))(w.lp()).mean()
    theirs = trl_dpo(w, w.inputs, "sigmoid", loss_types=["sigmoid", "sft", "bco_pair"], loss_weights=[0.8, 0.2, 0.5])
    assert_same(ours, theirs, w.policy.logps)


TRL_DPO = {
    "sigmoid": "dpo", "hinge": "hinge", "ipo": "ipo", "exo_pair": "exo", "nca_pair": "nca", "robust": "robust",
    "bco_pair": "bco", "sppo_hard": "sppo", "aot": "aot", "aot_unpaired": "aot_unpaired", "apo_zero": "apo_zero",
    "apo_down": "apo_down", "discopop": "discopop", "sft": "sft", "sigmoid_norm": "dpo_norm",
}  # fmt: skip
ELSEWHERE = {"aot_unpaired", "sft"}  # compared in tests of their own


def test_every_loss_of_trls_dpo_trainer_is_compared():
    """By the list in its own complaint, so that one that is added to TRL is not missed."""
    w = world()
    with pytest.raises(ValueError, match="Unknown loss type") as caught:
        trl_dpo(w, w.inputs, "no such loss")
    theirs = set(re.findall(r"'(\w+)'", str(caught.value).partition("one of")[2]))
    assert theirs == set(TRL_DPO)
    assert theirs - ELSEWHERE == {loss_type for _, _, loss_type, _ in DPO_LOSSES}
    assert set(TRL_DPO.values()) <= set(FACTS)


def test_orpo_trainer():
    """Its likelihood term also covers the prompt, so ours stands in; the odds ratio and how they are added are TRL's."""
    w = world(lengths=([4] * PAIRS, [6] * PAIRS))
    # Means over tokens are log-probabilities of one event: they must be below 0
    w.policy.logps.data.clamp_(max=-0.01)
    lp = w.lp()
    chosen, rejected = lp.mean_logps()
    stand_in = trainer(beta=0.3)
    nll = -w.policy.logps[:PAIRS][w.completion[:PAIRS, 1:].bool()].mean()
    stand_in.concatenated_forward = lambda model, batch: (chosen, rejected, torch.zeros(1), torch.zeros(1), nll)
    stand_in.odds_ratio_loss = partial(orpo_trainer.ORPOTrainer.odds_ratio_loss, stand_in)
    theirs, _ = orpo_trainer.ORPOTrainer.get_batch_loss_metrics(stand_in, None, {})
    # TRL computes the odds in fp32
    assert_same(LOSSES["orpo"](lp, beta=0.3).mean(), theirs, w.policy.logps, rtol=5e-6)


@pytest.mark.parametrize("margin", [None, [0.5, 0.0, 1.0, 0.2, -0.3]])
@pytest.mark.parametrize("centering", [None, 0.01])
def test_reward_trainer(centering: float | None, margin: list[float] | None):
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(2 * PAIRS, 1, generator=generator, dtype=torch.float64, requires_grad=True)
    inputs: dict[str, Any] = {"attention_mask": torch.ones(2 * PAIRS, 3)}
    if margin is not None:
        inputs["margin"] = torch.tensor(margin, dtype=torch.float64)
    stand_in = trainer(
        model=SimpleNamespace(training=True),
        args=SimpleNamespace(center_rewards_coefficient=centering),
    )
    model: Callable[..., Any] = lambda **_: SimpleNamespace(logits=scores)  # noqa: E731
    theirs = reward_trainer.RewardTrainer.compute_loss(stand_in, model, dict(inputs))
    chosen, rejected = scores[:, 0].chunk(2)
    lp = PairLogps(chosen=chosen, rejected=rejected, margin=inputs.get("margin"))
    assert_same(LOSSES["bradley_terry"](lp, center_rewards_coefficient=centering or 0.0).mean(), theirs, scores)
