"""Every loss by name, in one line: where its function lives, and what a trainer must know before it calls it.

No torch is imported here: a command line can list losses and their options without it. Contract tests check each fact
against the behaviour of the function.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Loss = Callable[..., "Tensor"]
"""`(logps, *, options) -> values`, one a pair [P], an answer [R] or a list [L]."""


@dataclass(frozen=True)
class Facts:
    """What is true of a loss with its default options.

    home       the file of this folder that holds the function
    input      what it takes: PairLogps, SampleLogps, ListLogps, or PairLogps that hold a reward model's scores
    reference  whether log-probabilities under the reference must be given
    needs      what must be given besides: "tokens" (counts), "common", "kl", "alignment" (the fields of PairLogps with
               these endings), "baseline" (a running level, which the trainer keeps)
    takes      what is used if given: "label" (soft labels), "margin" (offsets)
    batch      whether one pair's value depends on the other pairs given: they must be the whole update
    unbounded  whether there is no lower bound, so that training can earn without end
    """

    home: str
    input: Literal["pair", "sample", "list", "score"] = "pair"
    reference: bool = True
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    batch: bool = False
    unbounded: bool = False


FACTS: Mapping[str, Facts] = MappingProxyType(
    {
        "dpo": Facts("contrastive", takes=("label", "margin")),
        "dpo_norm": Facts("contrastive", needs=("tokens",), takes=("label", "margin")),
        "ipo": Facts("contrastive", takes=("label",)),
        "hinge": Facts("contrastive"),
        "robust": Facts("contrastive", unbounded=True),
        "exo": Facts("contrastive", takes=("label",)),
        "discopop": Facts("contrastive"),
        "dpop": Facts("contrastive"),
        "ld_dpo": Facts("token_level", needs=("common",), takes=("label", "margin")),
        "tdpo": Facts("token_level", needs=("kl",)),
        "wpo": Facts("token_level", needs=("alignment",), takes=("label", "margin")),
        "cal_dpo": Facts("calibrated"),
        "nca": Facts("calibrated"),
        "bco": Facts("calibrated", needs=("baseline",)),
        "sppo": Facts("calibrated"),
        "apo_zero": Facts("calibrated"),
        "apo_down": Facts("calibrated"),
        "aot": Facts("distributional", batch=True),
        "beta_dpo": Facts("distributional", needs=("baseline",), batch=True),
        "simpo": Facts("reference_free", reference=False, needs=("tokens",)),
        "alphapo": Facts("reference_free", reference=False, needs=("tokens",)),
        "orpo": Facts("reference_free", reference=False, needs=("tokens",)),
        "cpo": Facts("reference_free", reference=False, needs=("tokens",)),
        "sft": Facts("reference_free", reference=False, needs=("tokens",)),
        "logp_gap": Facts("reference_free", reference=False, unbounded=True),
        "logp_ratio": Facts("reference_free", reference=False, takes=("label", "margin")),
        "kto": Facts("unpaired", input="sample", needs=("baseline",)),
        "apo_zero_unpaired": Facts("unpaired", input="sample"),
        "bco_unpaired": Facts("unpaired", input="sample", needs=("baseline",)),
        "aot_unpaired": Facts("distributional", input="sample", batch=True),
        "plackett_luce": Facts("lists", input="list"),
        "bradley_terry": Facts("reward", input="score", reference=False, takes=("label", "margin")),
    }
)


class _Losses(Mapping[str, Loss]):
    """name → function, imported when it is asked for. Read-only."""

    def __getitem__(self, name: str) -> Loss:
        return getattr(import_module(f"rather.losses.{FACTS[name].home}"), name)

    def __iter__(self) -> Iterator[str]:
        return iter(FACTS)

    def __len__(self) -> int:
        return len(FACTS)

    def __contains__(self, name: object) -> bool:
        return name in FACTS  # without the import that looking the function up would cost


LOSSES: Mapping[str, Loss] = _Losses()

SCORE_LOSSES = frozenset(name for name, facts in FACTS.items() if facts.input == "score")
"""Losses of a reward model's scores: they cannot train a policy."""

UNBOUNDED = frozenset(name for name, facts in FACTS.items() if facts.unbounded)
"""Losses without a lower bound: training with one warns."""


def loss_options(name: str) -> dict[str, object]:
    """The options that a loss takes, with their defaults.

    Read from the signature as it stands in the source: inspecting the function would import torch.
    """
    arguments = _functions(FACTS[name].home)[name].args
    defaults = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return {argument.arg: ast.literal_eval(default) for argument, default in defaults if default is not None}


def losses_taking(said: str) -> tuple[str, ...]:
    """Names of the losses that use what is said of a pair: "label", "margin", or "weight".

    A weight multiplies a pair's value, so it goes with every loss whose values are each of one pair.
    """
    return tuple(name for name, facts in FACTS.items() if said in facts.takes or (said == "weight" and not facts.batch))


def losses_with(option: str) -> tuple[str, ...]:
    """Names of the losses that take an option."""
    return tuple(name for name in FACTS if option in loss_options(name))


@cache
def _functions(home: str) -> dict[str, ast.FunctionDef]:
    source = Path(__file__).with_name(f"{home}.py").read_text(encoding="utf-8")
    return {node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
