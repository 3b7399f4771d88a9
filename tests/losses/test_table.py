"""What the table says of every loss, against what the loss does."""

from __future__ import annotations

import dataclasses
import inspect
import subprocess
import sys
from importlib import import_module
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

import rather.losses
from rather.losses import FACTS, LOSSES, SCORE_LOSSES, UNBOUNDED, PairLogps, loss_options, losses_with
from tests.losses.made import NEEDS, Logps, full, input_of, random_pairs, take, without

ALL = sorted(FACTS)
PAIRED = sorted(name for name in FACTS if FACTS[name].input in ("pair", "score"))
LETTER = {"pair": "P", "score": "P", "sample": "R", "list": "L"}
REFERENCE = {"PairLogps": ("ref_chosen", "ref_rejected"), "SampleLogps": ("ref",), "ListLogps": ("ref",)}


def logps(name: str, size: int = 6) -> Logps:
    return input_of(name, random_pairs(size))


def test_the_names_and_options_there_are_cost_no_torch():
    code = """
import sys, rather.losses.table
from rather.losses import FACTS, LOSSES, SCORE_LOSSES, UNBOUNDED, Loss, loss_options, losses_with
assert "dpo" in LOSSES and list(LOSSES) == list(FACTS) and loss_options("dpo") and losses_with("beta")
print("torch" in sys.modules)
LOSSES["dpo"]
print("torch" in sys.modules)
"""
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout.split() == ["False", "True"]


class TestTable:
    def test_is_read_only(self):
        with pytest.raises(TypeError):
            LOSSES["dpo"] = LOSSES["ipo"]  # type: ignore[index]
        with pytest.raises(TypeError):
            FACTS["dpo"] = FACTS["ipo"]  # type: ignore[index]

    def test_a_name_that_is_not_there_is_a_key_error(self):
        assert "depo" not in LOSSES
        for missing in (LOSSES.__getitem__, loss_options):
            with pytest.raises(KeyError):
                missing("depo")

    def test_a_name_that_the_package_has_not_is_an_attribute_error(self):
        with pytest.raises(AttributeError, match="TripleLogps"):
            rather.losses.TripleLogps  # type: ignore[attr-defined]  # noqa: B018

    def test_everything_that_is_exported_is_there(self):
        for name in rather.losses.__all__:
            assert getattr(rather.losses, name) is not None

    def test_holds_every_loss_of_its_files(self):
        """A public function that takes log-probabilities and says [P], [R] or [L] is a loss."""
        found = set()
        for home in {facts.home for facts in FACTS.values()}:
            module = import_module(f"rather.losses.{home}")
            for name, function in inspect.getmembers(module, inspect.isfunction):
                if function.__module__ == module.__name__ and not name.startswith("_"):
                    found.add(name)
        assert found == set(FACTS)

    def test_sets_follow_from_the_facts(self):
        assert {"bradley_terry"} == SCORE_LOSSES
        assert {"logp_gap", "robust"} == UNBOUNDED

    def test_losses_with_an_option(self):
        assert losses_with("tau") == ("discopop",)
        assert losses_with("gamma") == ("simpo", "alphapo")
        assert losses_with("f_divergence") == ("dpo", "dpo_norm", "ipo", "hinge", "robust", "exo", "discopop")
        assert set(FACTS) - set(losses_with("beta")) == {"sft", "logp_gap", "logp_ratio", "bradley_terry"}

    def test_the_trainer_names_no_loss_that_is_not_there(self):
        config = pytest.importorskip("rather.training.config")
        offered = get_args(config.TrainConfig.model_fields["loss"].annotation)
        assert set(offered) <= set(FACTS) - SCORE_LOSSES


@pytest.mark.parametrize("name", ALL)
class TestFacts:
    def test_one_differentiable_value_each(self, name: str):
        given = logps(name)
        values = LOSSES[name](given)
        assert isinstance(values, Tensor)
        assert values.shape == (12 if FACTS[name].input == "sample" else 6,)
        assert values.requires_grad

    def test_is_documented_and_found_under_its_own_name(self, name: str):
        text = inspect.getdoc(LOSSES[name]) or ""
        assert f"[{LETTER[FACTS[name].input]}]" in text.split("\n\n")[0]
        assert LOSSES[name].__name__ == name

    def test_its_origin_is_named(self, name: str):
        if name not in ("logp_gap", "logp_ratio"):  # ideas, not papers
            assert "arXiv" in (inspect.getdoc(LOSSES[name]) or "")

    def test_options_are_keywords_with_defaults_and_documented(self, name: str):
        parameters = list(inspect.signature(LOSSES[name]).parameters.values())[1:]
        assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in parameters)
        assert {parameter.name: parameter.default for parameter in parameters} == loss_options(name)
        assert inspect.Parameter.empty not in loss_options(name).values()
        given = logps(name)
        assert torch.equal(LOSSES[name](given, **loss_options(name)), LOSSES[name](given))

    def test_input_is_what_its_signature_says(self, name: str):
        annotation = next(iter(inspect.signature(LOSSES[name]).parameters.values())).annotation
        expected = {"pair": "PairLogps", "score": "PairLogps", "sample": "SampleLogps", "list": "ListLogps"}
        assert annotation == expected[FACTS[name].input]

    def test_reference(self, name: str):
        given = logps(name)
        for missing in REFERENCE[type(given).__name__]:
            lp = without(given, missing)
            if FACTS[name].reference:
                with pytest.raises(ValueError, match=r"ref.* must be given"):
                    LOSSES[name](lp)
            else:
                assert torch.equal(LOSSES[name](lp), LOSSES[name](given))

    def test_batch(self, name: str):
        """Whether a value alone is the value among others."""
        given = logps(name)
        together = LOSSES[name](given)
        alone = torch.cat([LOSSES[name](take(given, [index])) for index in range(len(together))])
        differs = not torch.allclose(together, alone, rtol=1e-9, atol=1e-12)
        assert differs is FACTS[name].batch

    def test_baseline(self, name: str):
        given = logps(name)
        if not hasattr(given, "baseline"):
            assert "baseline" not in FACTS[name].needs
            return
        other: Any = dataclasses.replace(given, baseline=torch.tensor(-0.7, dtype=torch.float64))  # type: ignore[call-arg]
        differs = not torch.equal(LOSSES[name](other), LOSSES[name](given))
        assert differs is ("baseline" in FACTS[name].needs)

    def test_unbounded(self, name: str):
        """The lowest of what a margin of ±10⁹ gives."""
        zero, far = torch.zeros(1, dtype=torch.float64), torch.full((1,), -1e9, dtype=torch.float64)
        one = torch.ones(1, 2, dtype=torch.long)
        ways = [full(zero, far, zero, zero, one), full(far, zero, zero, zero, one)]
        lowest = min(LOSSES[name](input_of(name, lp)).min().item() for lp in ways)
        assert (lowest < -1e6) is FACTS[name].unbounded
        assert FACTS[name].unbounded or lowest >= 0


@pytest.mark.parametrize("name", PAIRED)
class TestFieldsOfPairs:
    @pytest.mark.parametrize("need", sorted(NEEDS))
    def test_needs(self, name: str, need: str):
        lp = random_pairs(4)
        for missing in NEEDS[need]:
            if need not in FACTS[name].needs or (missing == "rejected_tokens" and name in ("sft", "cpo")):
                assert torch.equal(LOSSES[name](without(lp, missing)), LOSSES[name](lp))
            else:
                with pytest.raises(ValueError, match=missing):
                    LOSSES[name](without(lp, missing))

    @pytest.mark.parametrize("field", ["label", "margin"])
    def test_takes(self, name: str, field: str):
        lp = random_pairs(4)
        given = dataclasses.replace(lp, **{field: torch.full_like(lp.chosen.detach(), 0.6)})
        differs = not torch.equal(LOSSES[name](given), LOSSES[name](lp))
        assert differs is (field in FACTS[name].takes)


def test_a_kl_that_nobody_estimated_is_a_clear_error():
    with pytest.raises(ValueError, match="baseline"):
        LOSSES["kto"](without(logps("kto"), "baseline"))


@pytest.mark.parametrize("name", ["bco", "beta_dpo"])
def test_a_running_level_that_is_not_known_yet_is_0(name: str):
    lp = random_pairs(4)
    zero = dataclasses.replace(lp, baseline=torch.tensor(0.0, dtype=torch.float64))
    assert torch.equal(LOSSES[name](without(lp, "baseline")), LOSSES[name](zero))


REFUSED = {
    "label_smoothing": [
        ({"label_smoothing": 0.5}, r"label_smoothing must be in \[0, 0.5\)|above 0"),
        ({"label_smoothing": -0.1}, "label_smoothing must be"),
    ],
    "f_divergence": [
        ({"f_divergence": "kl"}, "f_divergence must be one of reverse_kl, forward_kl, js, alpha, not kl"),
        ({"alpha": 0.5}, "alpha does nothing in f_divergence"),
    ],
    "variant": [
        ({"variant": "tdpo3"}, "variant must be tdpo1 or tdpo2, not tdpo3"),
        ({"variant": "tdpo1", "alpha": 0.5}, "alpha does nothing"),
    ],
}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("exo", {"label_smoothing": 0.0}, "above 0 in exo"),
        *((name, *case) for option, cases in REFUSED.items() for name in losses_with(option) for case in cases),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(name: str, options: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        LOSSES[name](random_pairs(2), **options)


@pytest.mark.parametrize("missing", ["chosen_tokens", "rejected_tokens"])
def test_ipo_needs_tokens_only_per_token(missing: str):
    lp = without(random_pairs(2), missing)
    LOSSES["ipo"](lp)
    with pytest.raises(ValueError, match=missing):
        LOSSES["ipo"](lp, per_token=True)


def test_cpo_without_its_likelihood_term_needs_no_tokens():
    assert LOSSES["cpo"](without(random_pairs(2), "chosen_tokens"), alpha=0.0).shape == (2,)


@pytest.mark.parametrize("name", ALL)
def test_inputs_are_frozen(name: str):
    given = logps(name)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(given, dataclasses.fields(given)[0].name, torch.zeros(1))


def test_scores_of_a_reward_model_are_pairs_without_more():
    scores = PairLogps(chosen=torch.tensor([2.0]), rejected=torch.tensor([1.0]))
    assert LOSSES["bradley_terry"](scores).item() == pytest.approx(0.3132617)
