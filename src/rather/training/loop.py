"""The updates of a run, one after the other: resume, learn, write down, keep, stop when asked."""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rather.distributed.ranks import ALONE, Ranks
from rather.errors import Interrupted, NonFiniteLoss, RunDirError, TrainError
from rather.model import TokenExample
from rather.progress import say, task
from rather.rundir import atomic_file
from rather.training.allocator import Heap, give_back_memory
from rather.training.baseline import Baseline
from rather.training.batches import Update, own_cuts
from rather.training.checkpoint import Best, Progress, drop_other_bests, save_best, save_checkpoint
from rather.training.config import TrainConfig
from rather.training.guards import Watch
from rather.training.heldout import HeldOut
from rather.training.memory import SMALLEST, OutOfMemory
from rather.training.mismatch import Mismatch
from rather.training.moving import MovingReference
from rather.training.objective import Logps, Objective, log_ratios_of
from rather.training.reference import Reference
from rather.training.said import UNSAID, Said
from rather.training.schedule import learning_rate
from rather.training.shelf import shortest
from rather.training.step import MicroBatch, StepStats, train_step
from rather.training.together import NonFinite
from rather.training.track import Log

# Seconds in which a signal to one of several ranks is the launcher's echo of the first.
ECHO = 3.0

# How far the first loss may be from its neutral value, in nats. Policy and reference come from one function, and the
# reference of the first epoch is computed in the same micro-batches, so the difference is exactly 0 unless something is
# wrong; the room is for libraries that split products by load.
STEP_0_LOSS = {torch.float32: 1e-6, torch.bfloat16: 1e-2}


@dataclass
class Learner:
    """Everything that an update needs and that does not change from one to the next but by learning."""

    policy: torch.nn.Module
    optimizer: torch.optim.Optimizer
    objective: Objective
    baseline: Baseline
    token_pairs: Sequence[TokenExample]
    reference: Reference | None
    reference_model: torch.nn.Module | None
    config: TrainConfig
    dtype: torch.dtype
    packed: bool
    token_budget: int
    said: Said = UNSAID
    moving: MovingReference | None = None
    mismatch: Mismatch | None = None
    held_out: HeldOut | None = None
    ranks: Ranks = ALONE
    begins_as_reference: bool = True

    def update(self, update: Update, *, first: bool) -> StepStats:
        """One update, in smaller micro-batches if the memory does not hold it; that changes nothing that is learned."""
        while True:
            if self.mismatch:
                self.baseline.level = self.mismatch.level(
                    self.policy,
                    update,
                    token_budget=self.token_budget,
                    dtype=self.dtype,
                    packed=self.packed,
                    ranks=self.ranks,
                )
            cuts = own_cuts(update, self.token_pairs, ranks=self.ranks, token_budget=self.token_budget)
            try:
                return train_step(
                    self.policy,
                    [self._micro_batch(cut) for cut in cuts],
                    self.objective,
                    self.optimizer,
                    max_grad_norm=self.config.max_grad_norm,
                    reward_scale=self.config.reward_scale,
                    dtype=self.dtype,
                    packed=self.packed,
                    reference_model=self.reference_model,
                    baseline=self.baseline,
                    on_logps=self._check_first
                    if first and self.reference and self.begins_as_reference
                    else lambda logps: None,
                    ranks=self.ranks,
                    pairs=len(update),
                )
            except OutOfMemory as error:
                self._lower_budget(cuts, error)

    def held_out_figures(self, updates_done: int, updates: int) -> dict[str, float]:
        """Loss, margin and accuracy of the held-out pairs, where there are any and it is time."""
        if self.held_out is None or not self.held_out.is_due(updates_done, updates):
            return {}
        return self.held_out.measure(
            self.policy,
            self.objective,
            reward_scale=self.config.reward_scale,
            token_budget=self.token_budget,
            dtype=self.dtype,
            packed=self.packed,
            reference_model=self.reference_model,
            baseline=self.baseline,
            ranks=self.ranks,
        )

    def _lower_budget(self, cuts: Sequence[Sequence[int]], error: OutOfMemory) -> None:
        longest = max((self.token_pairs[index].tokens for cut in cuts for index in cut), default=0)
        each = self.ranks.gathered((max(map(len, cuts), default=0), longest), "smaller micro-batches")
        if max(pairs for pairs, _ in each) == 1:
            longest = max(tokens for _, tokens in each)
            raise TrainError(
                f"out of memory with one pair of {longest:,} tokens at a time; lower --max-length, say "
                "--gradient-checkpointing, or train an adapter with --lora-rank"
            ) from error
        give_back_memory()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        lower = max(SMALLEST // 4, self.token_budget // 2)
        say(f"warning: out of memory; from here on {lower:,} tokens at a time, not {self.token_budget:,}: same result")
        self.token_budget = lower

    def _micro_batch(self, indices: Sequence[int]) -> MicroBatch:
        if not indices:
            return MicroBatch((shortest(self.token_pairs).samples,), None, ())
        items = [self.token_pairs[index] for index in indices]
        samples = [sample for item in items for sample in item.samples]
        moved = self.moving
        return MicroBatch(
            samples=tuple(item.samples for item in items),
            reference=moved.of(samples, dtype=self.dtype, packed=self.packed)
            if moved is not None
            else self.reference and self.reference.of(indices),
            ids=tuple(item.record.id for item in items),
            said=self.said.of(indices),
            kind=items[0].record.kind,
        )

    def _check_first(self, logps: Logps) -> None:
        """Before anything is learned policy and reference are the same model, so every answer's reward must be 0.

        A log-ratio of r nats moves the loss by at most β·r/2 (the slope of −log σ at 0 is ½).
        """
        worst = self.config.reward_scale * float(log_ratios_of(logps).detach().abs().max()) / 2
        if not worst <= STEP_0_LOSS[self.dtype]:
            raise TrainError(
                f"policy and reference differ before the first update, which moves the first loss by {worst:.3g}; the "
                "model computes different values for the same input (dropout? unstable kernels?)"
            )


@dataclass(frozen=True)
class Outcome:
    """The metrics of the last update, what the guards said, and which update was the best."""

    last: dict[str, float]
    warnings: dict[str, str]
    best: Best | None


def run_updates(
    learner: Learner,
    plan: Sequence[Update],
    done: Progress,
    *,
    metrics: Path,
    checkpoints: Path,
    began: float,
    log: Log = lambda row: None,
) -> Outcome:
    """Make the updates of `plan` that are not done.

    began: monotonic time at which the run, or this part of it, began. log: told of every row of metrics besides the file.
    Raises Interrupted after Ctrl-C or SIGTERM and NonFiniteLoss, both with a checkpoint kept; TrainError.
    """
    config = learner.config
    last: dict[str, float] = {}
    best = done.best
    started = began - done.seconds
    heap = Heap()
    ranks = learner.ranks
    earlier = ranks.of_first(lambda: _read_metrics(metrics)[: done.step], "the updates so far")
    watch = Watch(earlier, -(-len(plan) // config.epochs))

    def keep(step: int, *, keep_last: int = config.keep_last) -> None:
        state = Progress(
            step=step,
            seconds=time.monotonic() - started,
            token_budget=learner.token_budget,
            baseline=(learner.baseline.level, learner.baseline.pairs),
            best=best,
        )
        moved = learner.moving.weights if learner.moving else None
        save_checkpoint(
            checkpoints, learner.policy, learner.optimizer, state, reference=moved, keep_last=keep_last, ranks=ranks
        )
        ranks.gathered(None, "the checkpoint")  # nobody goes on, or ends, while it is being written

    if ranks.first:
        drop_other_bests(checkpoints)
    with (
        _metrics_file(metrics, done.step) if ranks.first else nullcontext(lambda row: None) as write_metrics,
        task("train", len(plan), done=done.step) as bar,
        _stop_signal(alone=ranks.size == 1) as stop,
    ):
        for step in range(done.step, len(plan)):
            update = plan[step]
            if any(ranks.gathered(stop.is_set(), f"update {step + 1}")):
                keep(step)
                raise Interrupted(
                    f"{metrics.parent}: stopped after update {step} of {len(plan)}; the same command goes on"
                )
            update_began = time.monotonic()
            lr = learning_rate(step, len(plan), peak=config.peak_lr, warmup=config.warmup, schedule=config.schedule)
            for group in learner.optimizer.param_groups:
                group["lr"] = lr
            try:
                stats = learner.update(update, first=step == 0)
            except NonFinite as error:
                keep(step, keep_last=config.keep_last + 1)  # if these weights are the cause, the ones before are good
                raise _non_finite(error, step, checkpoints, learner.token_pairs) from error
            if learner.moving:
                learner.moving.after(step + 1)
            speed = len(update) / max(time.monotonic() - update_began, 1e-9)
            last = {"step": step + 1, **stats.row(), "lr": lr, "pairs_per_s": speed}
            last |= learner.held_out_figures(step + 1, len(plan))
            if "heldout_loss" in last and last["heldout_loss"] < (best.loss if best else math.inf):
                best = Best(step + 1, last["heldout_loss"])
                save_best(checkpoints, learner.policy, best, ranks=ranks)
            write_metrics(last)
            log(last)
            for warning in watch.after(last):
                say(f"warning: {warning}")
            bar.advance(1, _note(stats, speed))
            if (step + 1) % config.save_every == 0 and step + 1 < len(plan):
                keep(step + 1)
            heap.after_update()
    if done.step < len(plan):
        keep(len(plan))  # so that a full disk, met while the model is saved, costs nothing
    return Outcome(last or dict(watch.rows[-1]), watch.said, best)


def _non_finite(error: NonFinite, step: int, checkpoints: Path, token_pairs: Sequence[TokenExample]) -> NonFiniteLoss:
    named_ids = set(error.ids)
    places = {item.record.id: item.record.source for item in token_pairs if item.record.id in named_ids}
    named = ", ".join(f"{pair_id} ({places[pair_id] or 'no file'})" for pair_id in error.ids[:4])
    more = f" and {len(error.ids) - 4} more" if len(error.ids) > 4 else ""
    return NonFiniteLoss(
        f"the {error.what} of update {step + 1} is not finite, from pairs {named}{more}; the state before "
        f"it is kept in {checkpoints}; lower --lr, or look at these pairs",
        step=step + 1,
        pair_ids=error.ids,
    )


def _note(stats: StepStats, speed: float) -> str:
    margin = "" if stats.margin is None else f"margin {stats.margin:+.2f} "
    change = stats.chosen_logp_change_per_token
    chosen = "" if change is None else f"chosen {change:+.2f}/token "
    return f"loss {stats.loss:.3f} {margin}acc {stats.accuracy:.0%} {chosen}{speed:.1f} pairs/s"


def _read_metrics(path: Path) -> list[dict[str, float]]:
    """The updates written so far; a line that a kill cut short is none."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


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
def _stop_signal(*, alone: bool) -> Iterator[threading.Event]:
    """Turn Ctrl-C and SIGTERM into an event that the loop looks at between updates; a second one stops at once.

    A launcher of several ranks passes on what the terminal has told them already: for them, one soon after is no second.
    """
    event = threading.Event()
    told = math.inf
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def handle(number: int, frame: Any) -> None:
        nonlocal told
        if event.is_set():
            if alone or time.monotonic() - told > ECHO:
                raise KeyboardInterrupt
            return
        told = time.monotonic()
        event.set()
        say("stopping after this update; once more to stop at once")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
