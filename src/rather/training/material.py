"""What a run is made from, read and checked before any weights are: everything that can be wrong with it is said here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rather.errors import ConfigError
from rather.formats import Source
from rather.losses import FACTS
from rather.model import Renderer, load_tokenizer, model_hash
from rather.model.load import window_of
from rather.training.baseline import Baseline
from rather.training.batches import Plan
from rather.training.config import TrainConfig
from rather.training.heldout import HeldOutPairs, read_held_out
from rather.training.mismatch import mismatched
from rather.training.objective import objective_of, try_out
from rather.training.precision import require_possible
from rather.training.prepare import Prepared, prepare
from rather.training.said import require_both_sides, require_used
from rather.training.shelf import records_of
from rather.training.track import require_installed


@dataclass(frozen=True)
class Material:
    """Pairs (ranked lists, single answers) as a model will see them, and what is held out of them."""

    model: str
    renderer: Renderer
    ready: Prepared
    measured: HeldOutPairs | None
    reference: str | None = None
    """The model that the policy is compared with, where that is not the one it begins as."""

    @property
    def inputs(self) -> dict[str, str]:
        """Content hashes for a run's manifest."""
        found = {"pairs": self.ready.data_hash, "model": model_hash(self.model)}
        if self.reference is not None:
            found["reference"] = model_hash(self.reference)
        return found if self.measured is None else {**found, "heldout": self.measured.data_hash}

    def plan(self, config: TrainConfig) -> Plan:
        """Which examples stand in which update."""
        pairs, batch = len(self.ready.token_pairs), config.batch_pairs
        return Plan(pairs, batch, epochs=config.epochs, seed=config.seed, shuffle=config.shuffle)


def read_material(
    pairs: Source,
    *,
    model: str,
    config: TrainConfig,
    heldout: Source | None = None,
    limit: int | None = None,
    as_chat: bool = False,
    skip_bad: bool = False,
    intended: Sequence[str] = (),
    allow: Mapping[str, str] | None = None,
    thresholds: Path | None = None,
    reference: str | None = None,
) -> Material:
    """Read, tokenise and audit. Of `config` only the options of `seen_by` matter. Options as for `train`.

    Raises ConfigError, InputError, ModelError, AuditStop.
    """
    _require_window(model, config)
    renderer = Renderer(
        load_tokenizer(model),
        max_length=config.max_length,
        system_prompt=config.system_prompt,
        whole=config.objective == "reward",
    )
    ready = prepare(
        pairs,
        renderer,
        limit=limit,
        as_chat=as_chat,
        skip_bad=skip_bad,
        intended=intended,
        allow=allow,
        thresholds=thresholds,
        stream_for=model if config.stream else None,
    )
    renderer.require_system_prompt_acts(record.prompt for record in records_of(ready.token_pairs))
    measured = None
    if heldout is not None:
        measured = read_held_out(heldout, renderer, trained=ready.token_pairs, as_chat=as_chat, skip_bad=skip_bad)
    return Material(model, renderer, ready, measured, reference)


def seen_by(config: TrainConfig) -> tuple[object, ...]:
    """The options by which two runs see the same file differently."""
    return config.max_length, config.system_prompt, config.objective, config.stream


def require_runnable(config: TrainConfig, *, heldout: Source | None) -> None:
    """Raise ConfigError for what this machine or this call cannot do, before anything is read."""
    require_installed(config.track)
    require_possible(config)
    if config.eval_every is not None and heldout is None:
        raise ConfigError("--eval-every does nothing without --heldout")


def _require_window(model: str, config: TrainConfig) -> None:
    """Raise ConfigError where examples may be longer than what the model can read."""
    window = window_of(model)
    if window is not None and config.max_length > window:
        raise ConfigError(f"--max-length {config.max_length} is longer than the model's window of {window} tokens")


def _require_reference(model: str, reference: str, config: TrainConfig) -> None:
    """Raise ConfigError where a reference of its own could not act, or could not be compared with."""
    objective = objective_of(config)
    if config.objective == "reward" or not any(FACTS[term.name].reference for term in objective.terms):
        raise ConfigError(f"--reference does nothing in the loss {config.loss}, which has no reference")
    if config.ref_sync_steps is not None:
        raise ConfigError("--reference and --ref-sync-steps exclude each other: the one stays, the other moves")
    if objective.needs("kl"):
        raise ConfigError(
            "--reference cannot be another model in tdpo, which compares whole distributions; leave it out"
        )
    if load_tokenizer(reference).get_vocab() != load_tokenizer(model).get_vocab():
        raise ConfigError(
            f"{model} and {reference} have different tokenizers, so their probabilities cannot be compared"
        )


def require_fit(material: Material, config: TrainConfig) -> None:
    """Raise ConfigError or InputError where these examples, this model and these options do not go together."""
    token_pairs = material.ready.token_pairs
    records = records_of(token_pairs)
    require_used(records, config)
    if material.measured is not None:
        require_used([item.record for item in material.measured.token_pairs], config)
    objective = objective_of(config)
    if material.reference is not None:
        _require_reference(material.model, material.reference, config)
    try_out(objective)
    if Baseline.of(objective).kept_for == "kto":
        mismatched(token_pairs, max_length=config.max_length)
    require_both_sides(records, material.plan(config), config)
