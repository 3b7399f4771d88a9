"""A training run from pairs to a model folder: read it from top to bottom."""

from __future__ import annotations

import json
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rather.errors import ConfigError, Interrupted, NonFiniteLoss, RunDirError, TrainError
from rather.formats import Source, write_refused
from rather.losses import LOSSES, UNBOUNDED, PairLogps
from rather.model import Loaded, Renderer, bf16_is_fast, load, load_tokenizer, machine, model_hash, save
from rather.model.check import packing_is_exact
from rather.progress import say, task
from rather.rundir import (
    RunDir,
    atomic_file,
    atomic_folder,
    open_run,
    peak_memory_gb,
    read_manifest,
    require_usable,
    sweep_scratch,
    write_json,
)
from rather.training.adapter import add_lora, merged
from rather.training.allocator import give_back_memory, keep_freed_memory
from rather.training.batches import all_updates, micro_batches
from rather.training.checkpoint import Progress, latest_checkpoint, load_checkpoint, save_checkpoint
from rather.training.config import TrainConfig
from rather.training.prepare import Prepared, prepare
from rather.training.reference import Reference, compute_reference
from rather.training.step import MicroBatch, NonFinite, Objective, StepStats, train_step

METRICS, REFUSED, AUDIT, MODEL, CHECKPOINTS = "metrics.jsonl", "refused.jsonl", "audit.json", "model", "checkpoints"

# How far the first loss may be from its neutral value, in nats. Policy and reference come from one function, and the
# reference of the first epoch is computed in the same micro-batches, so the difference is exactly 0 unless something is
# wrong; the room is for libraries that split products by load.
STEP_0_LOSS = {torch.float32: 1e-6, torch.bfloat16: 1e-2}

# Updates between two trims of the heap. Each trim is paid in page faults; without any, holes add up (benchmarks/NOTES.md).
TRIM_EVERY = 8


@dataclass(frozen=True)
class TrainResult:
    """Where the run is and how it ended: the metrics of its last update."""

    out: Path
    model: Path
    updates: int
    last: dict[str, float]


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
    **options: Any,
) -> TrainResult:
    """Train `model` on `pairs` and write `out/model`, `out/metrics.jsonl`, `out/refused.jsonl` and `out/audit.json`.

    The same call on the same folder resumes a run that was stopped, and does nothing once it is done.
    options: fields of TrainConfig, over those of `config`. limit: use the first so many usable pairs. as_chat: plain-text
    prompts become user turns. skip_bad: list bad rows in refused.jsonl instead of stopping. intended: words that are
    meant to be learned. allow: check → reason.

    Raises InputError, ConfigError, ModelError, AuditStop, RunDirError, TrainError, NonFiniteLoss, Interrupted.
    """
    config, out = (config or TrainConfig()).changed(options), Path(out)
    require_usable(out)
    tokenizer = load_tokenizer(model)
    renderer = Renderer(tokenizer, max_length=config.max_length, system_prompt=config.system_prompt)
    ready = prepare(pairs, renderer, limit=limit, as_chat=as_chat, skip_bad=skip_bad, intended=intended, allow=allow)
    renderer.require_system_prompt_acts([item.pair.prompt for item in ready.token_pairs])
    inputs = {"pairs": ready.data_hash, "model": model_hash(model)}
    # How often a run is saved changes nothing that it makes, so it may be resumed with another interval.
    identity = config.model_dump(exclude={"save_every"})
    with open_run(out, step="train", config=identity, inputs=inputs) as run:
        if run.done:
            say(f"{out}: already trained{_other_allowance(run, ready)}")
            return _result(run)
        try:
            return _train(run, ready, model=model, renderer=renderer, config=config)
        finally:
            give_back_memory()


def _train(run: RunDir, ready: Prepared, *, model: str, renderer: Renderer, config: TrainConfig) -> TrainResult:
    began = time.monotonic()
    keep_freed_memory()
    torch.manual_seed(config.seed)
    if run.resumed:
        sweep_scratch(run.path)
        sweep_scratch(run.path / CHECKPOINTS)
    loaded = load(model)
    if loaded.window is not None and config.max_length > loaded.window:
        raise ConfigError(
            f"--max-length {config.max_length} is longer than the model's window of {loaded.window} tokens"
        )
    dtype = torch.bfloat16 if config.dtype == "bf16" else torch.float32
    if dtype == torch.bfloat16 and not bf16_is_fast(loaded.model.device.type):
        say("note: this processor has no bf16 products; --dtype fp32 is faster here, and more exact")
    if config.loss in UNBOUNDED:
        say(f"warning: {config.loss} has no lower bound: it degenerates by making rejected answers impossible; use dpo")
    write_refused(run.path / REFUSED, ready.refused)
    write_json(run.path / AUDIT, ready.audit.as_json())

    policy = add_lora(loaded, config.lora_rank, seed=config.seed) if config.lora_rank else loaded.model
    packed = packing_is_exact(policy, [item.samples for item in ready.token_pairs], dtype=dtype)
    trainable = [parameter for parameter in policy.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=config.peak_lr, weight_decay=config.weight_decay, fused=True)
    plan = list(
        all_updates(
            len(ready.token_pairs), config.batch_pairs, epochs=config.epochs, seed=config.seed, shuffle=config.shuffle
        )
    )
    first_epoch = plan[: len(plan) // config.epochs]
    reference = compute_reference(
        policy, ready.token_pairs, first_epoch, file=run.path / "reference.safetensors", dtype=dtype, packed=packed
    )
    objective = _objective(config)

    done = Progress(step=0, seconds=0.0)
    checkpoint = latest_checkpoint(run.path / CHECKPOINTS)
    if checkpoint is not None:
        done = load_checkpoint(checkpoint, policy, optimizer)
        say(f"{run.path}: goes on after update {done.step} of {len(plan)}")
    last: dict[str, float] = {}
    started = began - done.seconds

    def keep(step: int) -> None:
        seconds = time.monotonic() - started
        save_checkpoint(run.path / CHECKPOINTS, policy, optimizer, Progress(step, seconds))

    with (
        _metrics_file(run.path / METRICS, done.step) as write_metrics,
        task("train", len(plan), done=done.step) as bar,
        _stop_signal() as stop,
    ):
        for step, update in enumerate(plan[done.step :], start=done.step):
            if stop.is_set():
                keep(step)
                raise Interrupted(f"{run.path}: stopped after update {step} of {len(plan)}; the same command goes on")
            update_began = time.monotonic()
            lr = learning_rate(step, len(plan), peak=config.peak_lr, warmup=config.warmup)
            for group in optimizer.param_groups:
                group["lr"] = lr
            batches = [_micro_batch(ready, reference, cut) for cut in micro_batches(update, ready.token_pairs)]
            try:
                stats = train_step(
                    policy,
                    batches,
                    objective,
                    optimizer,
                    max_grad_norm=config.max_grad_norm,
                    reward_scale=config.reward_scale,
                    dtype=dtype,
                    packed=packed,
                    on_batch=partial(_check_step_0, scale=config.reward_scale, dtype=dtype)
                    if step == 0
                    else lambda logps: None,
                )
            except NonFinite as error:
                keep(step)
                raise _non_finite(error, step, run.path, ready) from error
            speed = len(update) / max(time.monotonic() - update_began, 1e-9)
            last = {"step": step + 1, **asdict(stats), "lr": lr, "pairs_per_s": speed}
            write_metrics(last)
            bar.advance(1, _note(stats, speed))
            if (step + 1) % config.save_every == 0 and step + 1 < len(plan):
                keep(step + 1)
            if (step + 1) % TRIM_EVERY == 0:
                give_back_memory()
    if done.step < len(plan):
        keep(len(plan))  # so that a full disk, met while the model is saved, costs nothing
    with atomic_folder(run.path / MODEL) as folder:
        save(Loaded(merged(policy), loaded.tokenizer, loaded.path), folder, system_prompt=config.system_prompt)
    run.finish(
        outputs=(MODEL, METRICS, REFUSED, AUDIT),
        pairs=len(ready.token_pairs),
        rows=ready.rows,
        refused=len(ready.refused),
        updates=len(plan),
        seconds=round(time.monotonic() - started, 3),
        peak_memory_gb=peak_memory_gb(),
        packed=packed,
        in_force={"lr": config.peak_lr, "beta": config.beta_in_force, "save_every": config.save_every},
        machine=machine(loaded.model.device),
        audit={"verdict": ready.audit.verdict, "allowed": dict(ready.audit.allowed)},
        base_model=model,
        last=last or _last_metrics(run.path),
    )
    _drop_working_files(run.path)
    return _result(run)


def learning_rate(step: int, steps: int, *, peak: float, warmup: float) -> float:
    """Linear from 0 to `peak` over the first `warmup` share of the steps, then linear to 0. `step` counts from 0."""
    rising = round(warmup * steps)
    if step < rising:
        return peak * (step + 1) / rising
    return peak * (steps - step) / max(steps - rising, 1)


def _objective(config: TrainConfig) -> Objective:
    options = {} if config.beta is None else {"beta": config.beta}
    main = partial(LOSSES[config.loss], **options)
    if not config.sft_weight:
        return main

    def with_sft(logps: PairLogps) -> Tensor:
        return main(logps) + config.sft_weight * LOSSES["sft"](logps)

    return with_sft


def _micro_batch(ready: Prepared, reference: Reference, indices: Sequence[int]) -> MicroBatch:
    chosen, rejected = reference.of(indices)
    items = [ready.token_pairs[index] for index in indices]
    return MicroBatch(
        samples=tuple(item.samples for item in items),
        ref_chosen=chosen,
        ref_rejected=rejected,
        ids=tuple(item.pair.id for item in items),
    )


def _check_step_0(logps: PairLogps, *, scale: float, dtype: torch.dtype) -> None:
    """Before anything is learned policy and reference are the same model, so both answers' rewards must be 0.

    A log-ratio of r nats moves the loss by at most β·r/2 (the slope of −log σ at 0 is ½).
    """
    for policy, reference in ((logps.chosen, logps.ref_chosen), (logps.rejected, logps.ref_rejected)):
        assert reference is not None
        worst = scale * float((policy.detach() - reference).abs().max()) / 2
        if not worst <= STEP_0_LOSS[dtype]:
            raise TrainError(
                f"policy and reference differ before the first update, which moves the first loss by {worst:.3g}; the "
                "model computes different values for the same input (dropout? unstable kernels?)"
            )


def _non_finite(error: NonFinite, step: int, out: Path, ready: Prepared) -> NonFiniteLoss:
    places = {item.pair.id: item.pair.source for item in ready.token_pairs}
    named = ", ".join(f"{pair_id} ({places[pair_id] or 'no file'})" for pair_id in error.ids[:4])
    more = f" and {len(error.ids) - 4} more" if len(error.ids) > 4 else ""
    return NonFiniteLoss(
        f"the {error.what} of update {step + 1} is not finite, from pairs {named}{more}; the state before "
        f"it is kept in {out / CHECKPOINTS}; lower --lr, or look at these pairs",
        step=step + 1,
        pair_ids=error.ids,
    )


def _note(stats: StepStats, speed: float) -> str:
    return (
        f"loss {stats.loss:.3f} margin {stats.margin:+.2f} acc {stats.accuracy:.0%} "
        f"chosen {stats.chosen_logp_change_per_token:+.2f}/token {speed:.1f} pairs/s"
    )


@contextmanager
def _metrics_file(path: Path, steps_done: int) -> Iterator[Any]:
    """Append one line a step; lines beyond the checkpoint that the run goes on from are written anew."""
    kept = path.read_text(encoding="utf-8").splitlines(keepends=True)[:steps_done] if path.is_file() else []
    if len(kept) < steps_done:
        raise RunDirError(
            f"{path} lacks updates before the checkpoint; remove {path.parent} to start from the beginning"
        )
    with atomic_file(path) as file:
        file.writelines(kept)
    with path.open("a", encoding="utf-8") as file:

        def write(row: dict[str, float]) -> None:
            file.write(json.dumps(row) + "\n")
            file.flush()

        yield write


@contextmanager
def _stop_signal() -> Iterator[threading.Event]:
    """Turn Ctrl-C and SIGTERM into an event that the loop looks at between updates; a second one stops at once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def handle(number: int, frame: Any) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()
        say("stopping after this update; once more to stop at once")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _other_allowance(run: RunDir, ready: Prepared) -> str:
    """What an --allow is worth on a run that is done: nothing, and that is said."""
    allowed = read_manifest(run.path)["audit"]["allowed"]
    return "" if dict(ready.audit.allowed) == allowed else "; --allow came too late to be recorded"


def _last_metrics(out: Path) -> dict[str, float]:
    lines = (out / METRICS).read_text(encoding="utf-8").splitlines()
    return json.loads(lines[-1]) if lines else {}


def _drop_working_files(out: Path) -> None:
    """Checkpoints and reference have served once the model is there."""
    shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
    (out / "reference.safetensors").unlink(missing_ok=True)


def _result(run: RunDir) -> TrainResult:
    manifest = read_manifest(run.path)
    return TrainResult(run.path, run.path / MODEL, manifest["updates"], manifest["last"])
