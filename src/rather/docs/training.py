"""docs/training.md."""

from __future__ import annotations

import inspect

from rather.auditing import CHECKS
from rather.demos.config import DemoConfig
from rather.docs.tables import fields, first_paragraph
from rather.training.config import TrainConfig
from rather.training.guards import GUARDS
from rather.training.metrics import METRICS


def page() -> str:
    """The page."""
    checks = "\n".join(f"| `{name}` | {first_paragraph(inspect.getdoc(check))} |" for name, check in CHECKS.items())
    guards = "\n".join(f"| `{name}` | {first_paragraph(inspect.getdoc(guard))} |" for name, guard in GUARDS.items())
    metrics = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in METRICS.items())
    return f"""# Training: options, losses, metrics, checks

Written by `make docs` from the code; do not edit.

## Options of `rather train`

Flags and TOML keys have the same names (`--batch-pairs 16`, or `batch_pairs = 16` in the file given with `--config`).

{fields(TrainConfig)}

Losses and the options that belong to them are in `docs/losses.md`. With `--sweep` every combination is checked, against
the pairs and the model too, before the first is trained.

A run takes a CUDA GPU where torch finds one, else Apple's (mps, on the plain path: one answer at a time), else the CPU, and
says which; the environment variable `RATHER_DEVICE` (cuda, mps, cpu) chooses another. Several GPUs and machines are in
`docs/scaling.md`.

## What a run leaves

| in `--out` | what it is |
|---|---|
| `model/` | the last state, a plain Hugging Face folder; an adapter is folded in |
| `best/` | with `--heldout`: the state in which the held-out loss was lowest, in the same form |
| `adapter/` | with `--lora-rank`: the last adapter and a reward model's head, in peft's layout, with tokenizer and chat template |
| `metrics.jsonl`, `refused.jsonl`, `audit.json`, `manifest.json` | what was measured, left out, found and done |
| `checkpoints/` | only while the run goes on: what it resumes from, the last `--keep-last` of them |

There is no export: `model/` and `best/` are what transformers itself saves and loads, and
`rather merge ADAPTER --out DIR` makes the same of any peft adapter in safetensors whose weights can be folded in.

What an adapter is folded into: if its base was held in fp32, into that, and `model/` is fp32. If it was held in bf16 (on a GPU
with `--dtype bf16`) or in 4 bits, into the base as it is stored, in the precision in which it is stored, with sums in fp32
that are rounded once; so does `rather merge`. The rounding that the adapter was trained on is then not in the result: after
`--load-in-4bit`, `model/` is close to the policy that was trained and not the same; `rather evaluate` measures it.

An adapter counts on its base: `adapter/` names it by folder or hub id, and is worth nothing without it.

With `--heldout`, what has a loss that depends on others of its update (aot, aot_unpaired, beta_dpo) is measured as one
update. The reference of held-out pairs is the model before its first update, also where `--ref-sync-steps` moves that of the
pairs trained on.
Ranked lists, single answers and the pairs of a reward model are held out in the same way, with the losses that take them;
their weights, margins and probabilities count as in training.

## `metrics.jsonl`: one object an update, means over its pairs

| key | meaning |
|---|---|
{metrics}

## Guards: what a run says of itself

Each speaks once, as a warning and in the run's manifest.

| guard | what it sees |
|---|---|
{guards}

## Audit checks

`--allow CHECK="reason"` lets one pass; the reason stays in the run's manifest and report.

| check | what it looks for |
|---|---|
{checks}

The forms of pairs that can be read are in `docs/formats.md`.

## Options of `rather demo`

{fields(DemoConfig)}
"""
