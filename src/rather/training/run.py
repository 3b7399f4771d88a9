"""A training run from pairs to a model folder: read it from top to bottom."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch

from rather.distributed.ranks import Ranks
from rather.distributed.sharding import shard
from rather.errors import ConfigError
from rather.formats import Source, write_refused
from rather.model import (
    Loaded,
    Sample,
    TokenExample,
    bf16_is_fast,
    completions,
    device_said,
    load,
    machine,
    pick_device,
)
from rather.model.check import packing_is_exact
from rather.model.recompute import recompute_layers
from rather.model.reward import load_reward, scores, scores_pack, set_padding
from rather.onray.cluster import wanted
from rather.onray.ranks import on_ranks
from rather.progress import say
from rather.rundir import (
    RunDir,
    read_manifest,
    require_usable,
    sweep_scratch,
    versions,
    write_json,
)
from rather.training.adapter import add_lora
from rather.training.allocator import give_back_memory, keep_freed_memory
from rather.training.baseline import Baseline
from rather.training.batches import Cut, Update, cuts_of_ranks
from rather.training.checkpoint import (
    Progress,
    latest_checkpoint,
    load_checkpoint,
    load_weights,
    read_progress,
    read_reference,
)
from rather.training.config import NEUTRAL_OPTIONS, TrainConfig
from rather.training.heldout import EVERY, HeldOut
from rather.training.loop import Learner, run_updates
from rather.training.material import Material, read_material, require_fit, require_runnable
from rather.training.memory import find_token_budget
from rather.training.mismatch import Mismatch, mismatched
from rather.training.moving import MovingReference
from rather.training.objective import objective_of
from rather.training.precision import optimizer_of, update_bytes, weights_dtype
from rather.training.prepare import Prepared
from rather.training.ranked import opened, ranks_of, require_same
from rather.training.reference import Reference, compute_reference
from rather.training.said import Said
from rather.training.saving import (
    AUDIT,
    BEST,
    CHECKPOINTS,
    METRICS,
    MODEL,
    REFUSED,
    finish,
    keep_models,
    last_checkpoint,
)
from rather.training.shelf import records_of
from rather.training.track import tracked


@dataclass(frozen=True)
class TrainResult:
    """Where the run is and how it ended: the metrics of its last update. best: the state of the lowest held-out loss."""

    out: Path
    model: Path
    updates: int
    last: dict[str, float]
    best: Path | None = None


def train(
    pairs: Source,
    *,
    model: str,
    out: str | Path,
    config: TrainConfig | None = None,
    limit: int | None = None,
    as_chat: bool = False,
    skip_bad: bool = False,
    intended: Sequence[str] = (),
    allow: Mapping[str, str] | None = None,
    thresholds: Path | None = None,
    heldout: Source | None = None,
    reference: str | None = None,
    ray: int | None = None,
    ray_address: str | None = None,
    **options: Any,
) -> TrainResult:
    """Train `model` on `pairs` and write `out/model`, `out/metrics.jsonl`, `out/refused.jsonl` and `out/audit.json`.

    pairs: or ranked lists, or single answers, each with losses of their own.

    The same call on the same folder resumes a run that was stopped, and does nothing once it is done.
    options: fields of TrainConfig, over those of `config`. limit: use the first so many pairs that can be read. as_chat: plain-text
    prompts become user turns. skip_bad: list bad rows in refused.jsonl instead of stopping. intended: words that are
    meant to be learned. allow: check → reason. thresholds: a TOML file that changes when the audit warns and stops. heldout:
    examples that are measured and not trained on; the state in which their loss was lowest becomes `out/best`. reference: the model
    to stay near to; not given, `model` itself. ray: so many ranks on a Ray cluster, on that at `ray_address` where one is named.
    With `lora_rank` the adapter alone is in `out/adapter`, too.

    Raises InputError, ConfigError, ModelError, AuditStop, RunDirError, TrainError, NonFiniteLoss, Interrupted.
    """
    config, out = (config or TrainConfig()).changed(options), Path(out)
    require_runnable(config, heldout=heldout)
    if (asked := wanted(ray, ray_address)) is not None:
        require_usable(out)
        own = partial(
            train, pairs, model=model, out=out, config=config, limit=limit, as_chat=as_chat, skip_bad=skip_bad, intended=intended,
            allow=allow, thresholds=thresholds, heldout=heldout, reference=reference,
        )  # fmt: skip
        return on_ranks(own, asked, beside=out.parent)
    with ranks_of(config) as ranks:
        if ranks.first:
            require_usable(out)
        material = read_material(
            pairs,
            model=model,
            config=config,
            heldout=heldout,
            limit=limit,
            as_chat=as_chat,
            skip_bad=skip_bad,
            intended=intended,
            allow=allow,
            thresholds=thresholds,
            reference=reference,
        )
        require_fit(material, config)
        return train_on(material, out=out, config=config)


def train_on(material: Material, *, out: Path, config: TrainConfig) -> TrainResult:
    """Train on what was read and checked with this config. Raises what `train` raises."""
    # How a run is saved, and who is told of it, changes nothing that it makes: it may be resumed with other values.
    identity = config.model_dump(exclude=set(NEUTRAL_OPTIONS))
    with ranks_of(config) as ranks:
        require_same(ranks, {**config.model_dump(), **material.inputs, **versions()})
        with opened(ranks, out, step="train", config=identity, inputs=material.inputs) as run:
            if run.done:
                say(f"{out}: already trained{_other_allowance(run, material.ready) if ranks.first else ''}")
                return ranks.of_first(lambda: _result(run), "what was trained")
            try:
                return _train(run, material, config, ranks)
            finally:
                give_back_memory()


def _train(run: RunDir, material: Material, config: TrainConfig, ranks: Ranks) -> TrainResult:
    began = time.monotonic()
    model, ready, measured = material.model, material.ready, material.measured
    keep_freed_memory()
    torch.manual_seed(config.seed)
    if run.resumed and ranks.first:
        sweep_scratch(run.path)
        sweep_scratch(run.path / CHECKPOINTS)
    objective = objective_of(config)
    baseline = Baseline.of(objective)
    reward = config.objective == "reward"
    loaded, policy = _policy(material, config)
    say(device_said(loaded.model.device) + (f", {ranks.size} ranks" if ranks.size > 1 else ""))
    dtype = torch.bfloat16 if config.dtype == "bf16" else torch.float32
    if dtype == torch.bfloat16 and not bf16_is_fast(loaded.model.device.type):
        say("note: this processor has no bf16 products; --dtype fp32 is faster here, and more exact")
    for name in objective.unbounded:
        say(f"warning: {name} has no lower bound: it degenerates by making rejected answers impossible; use dpo")

    if config.gradient_checkpointing and not recompute_layers(policy):
        raise ConfigError(
            f"--gradient-checkpointing finds no layers in {model} that it could compute again; leave it out"
        )
    trainable = [parameter for parameter in policy.parameters() if parameter.requires_grad]
    ranks.copy_first_([parameter.data for parameter in trainable], "the weights that all begin with")
    ends = _ends(material)
    packs = scores_pack(policy, ends, dtype=dtype) if reward else packing_is_exact(policy, ends, dtype=dtype)
    packed = all(ranks.gathered(packs, "whether the model packs"))
    plan = material.plan(config)
    checkpoint = ranks.of_first(lambda: latest_checkpoint(run.path / CHECKPOINTS), "the last checkpoint")
    # A run that goes on cuts its updates as before, or its last digits would change with the memory of the day.
    budget = ranks.of_first(lambda: read_progress(checkpoint).token_budget if checkpoint else None, "its token budget")
    if budget is None:
        found = find_token_budget(
            policy,
            ready.token_pairs,
            dtype=dtype,
            packed=packed,
            forward=scores if reward else completions,
            state_bytes=update_bytes(config, trainable) // (ranks.size if config.shard else 1),
            processes=ranks.local_size,
        )
        budget = min(ranks.gathered(found, "the token budget"))
    reference_model = _reference_model(policy, config) if objective.needs("kl") else None
    ranks.sharded = config.shard
    if config.shard:
        for whole in (policy, *([reference_model] if reference_model not in (None, policy) else ())):
            shard(whole)
        trainable = [parameter for parameter in policy.parameters() if parameter.requires_grad]
    optimizer = optimizer_of(config, trainable)

    def reference_of(items: Sequence[TokenExample], updates: Iterable[Update] | None = None) -> Reference:
        cuts: list[list[Cut]] = [[] for _ in range(ranks.size)]
        for update in islice(plan, plan.per_epoch) if updates is None else updates:
            for own, dealt in zip(cuts, cuts_of_ranks(update, items, ranks=ranks, token_budget=budget), strict=True):
                own += dealt
        weights = run.identity["inputs"]["model" if material.reference is None else "reference"]
        # Another model is in memory for as long as it is asked, and no longer.
        asked = policy if material.reference is None else _other_model(material.reference, config, ranks)
        return compute_reference(
            asked,
            items,
            cuts,
            weights=weights,
            dtype=dtype,
            packed=packed,
            ranks=ranks,
            mapped=config.stream and updates is None,
        )

    mismatch = None
    if baseline.kept_for == "kto":
        others = mismatched(ready.token_pairs, max_length=config.max_length)
        mismatch = Mismatch(others, reference_of(others))
    held_out = None
    if measured is not None:
        whole = [tuple(range(len(measured.token_pairs)))]
        held_out = HeldOut(
            measured.token_pairs,
            None if reward else reference_of(measured.token_pairs, whole),
            config.eval_every or EVERY,
            Said.by(records_of(measured.token_pairs), device=loaded.model.device),
        )
    learner = Learner(
        policy=policy,
        optimizer=optimizer,
        objective=objective,
        baseline=baseline,
        token_pairs=ready.token_pairs,
        reference=None if reward else reference_of(ready.token_pairs),
        reference_model=reference_model,
        config=config,
        dtype=dtype,
        packed=packed,
        token_budget=budget,
        said=Said.by(records_of(ready.token_pairs), device=loaded.model.device),
        moving=_moving_reference(policy, config),
        mismatch=mismatch,
        held_out=held_out,
        ranks=ranks,
        begins_as_reference=material.reference is None,
    )
    done = Progress()
    if checkpoint is not None:
        if learner.moving:
            learner.moving.restore(read_reference(checkpoint, ranks=ranks))
        done = load_checkpoint(checkpoint, policy, optimizer, ranks=ranks)
        baseline.level, baseline.pairs = done.baseline
        say(f"{run.path}: goes on after update {done.step} of {len(plan)}")
    # Only now: what refuses a run before its first update leaves no folder that the corrected command would run into.
    if ranks.first:
        write_refused(run.path / REFUSED, [*ready.refused, *(measured.refused if measured else ())])
        write_json(run.path / AUDIT, ready.audit.as_json())
    trackers = config.track if ranks.first else ()
    with tracked(trackers, run.path, {**config.model_dump(), **run.identity["inputs"]}) as log:
        outcome = run_updates(
            learner, plan, done, metrics=run.path / METRICS, checkpoints=run.path / CHECKPOINTS, began=began, log=log
        )
    learner_budget = learner.token_budget
    if ranks.first:
        if ranks.sharded:  # what the ranks hold in parts is put together from the last checkpoint
            del learner, optimizer, reference_model
            loaded, policy = _policy(material, config, device="cpu")
            load_weights(last_checkpoint(run), policy)
        keep_models(run, material, config, loaded, policy, outcome)
        finish(
            run,
            material,
            config,
            outcome,
            updates=len(plan),
            seconds=round(time.monotonic() - began + done.seconds, 3),
            packed=packed,
            token_budget=learner_budget,
            where=machine(next(policy.parameters()).device) | ({"ranks": ranks.size} if ranks.size > 1 else {}),
        )
    return ranks.of_first(lambda: _result(run), "the model is saved")


def _answers(material: Material) -> Iterator[tuple[Sample, ...]]:
    """The answers of every example, held-out ones too."""
    measured = material.measured.token_pairs if material.measured else ()
    return (item.samples for item in chain(material.ready.token_pairs, measured))


def _ends(material: Material) -> list[tuple[Sample, ...]]:
    """Of these the shortest and the longest."""
    found: list[tuple[int, tuple[Sample, ...]]] = []
    for samples in _answers(material):
        size = sum(len(sample.tokens) for sample in samples)
        if not found:
            found = [(size, samples)] * 2
        elif size < found[0][0]:
            found[0] = size, samples
        elif size >= found[1][0]:
            found[1] = size, samples
    return [samples for _, samples in found]


def _policy(material: Material, config: TrainConfig, *, device: str | None = None) -> tuple[Loaded, torch.nn.Module]:
    """The model as it is before its first update, and what of it is trained: itself, or with an adapter."""
    held_in, reward = weights_dtype(config, pick_device()), config.objective == "reward"
    if reward:
        loaded = load_reward(material.model, seed=config.seed, dtype=held_in, device=device)
        set_padding(loaded, chain.from_iterable(_answers(material)))
    else:
        loaded = load(material.model, dtype=held_in, in_4bit=config.load_in_4bit, device=device)
    if config.lora_rank is None:
        return loaded, loaded.model
    return loaded, add_lora(loaded, config.lora_rank, seed=config.seed, scalar=reward)


def _moving_reference(policy: torch.nn.Module, config: TrainConfig) -> MovingReference | None:
    if config.ref_sync_steps is None:
        return None
    mixup = 0.6 if config.ref_mixup_alpha is None else config.ref_mixup_alpha
    return MovingReference(policy, mixup=mixup, every=config.ref_sync_steps)


def _reference_model(policy: torch.nn.Module, config: TrainConfig) -> torch.nn.Module:
    """The model that whole distributions are compared with: the policy without its adapter, or a frozen copy."""
    return policy if config.lora_rank else copy.deepcopy(policy).requires_grad_(False)


def _other_model(name: str, config: TrainConfig, ranks: Ranks) -> torch.nn.Module:
    """A model to stay near to that is not the one in training, in shards where that one is."""
    model = load(name, dtype=weights_dtype(config, pick_device())).model
    if ranks.sharded:
        shard(model)
    return model


def _other_allowance(run: RunDir, ready: Prepared) -> str:
    """What an --allow is worth on a run that is done: nothing, and that is said."""
    allowed = read_manifest(run.path)["audit"]["allowed"]
    return "" if dict(ready.audit.allowed) == allowed else "; --allow came too late to be recorded"


def _result(run: RunDir) -> TrainResult:
    manifest = read_manifest(run.path)
    best = run.path / BEST if "best" in manifest else None
    return TrainResult(run.path, run.path / MODEL, manifest["updates"], manifest["last"], best)
