"""Write the documentation pages that come from the code: `make docs`. A test checks that they are up to date."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path

from rather.auditing import CHECKS
from rather.demos.config import DemoConfig
from rather.formats import READERS
from rather.losses import FACTS, LOSSES, loss_options
from rather.pairing.aggregates import AGGREGATES, RELIABILITY
from rather.pairing.config import PairConfig
from rather.pairing.rules import RULES
from rather.training.config import TrainConfig
from rather.training.guards import GUARDS
from rather.training.metrics import METRICS

DOCS = Path(__file__).parents[2] / "docs"


def pages() -> dict[str, str]:
    """File name → content."""
    return {"training.md": _training(), "losses.md": _losses(), "pairing.md": _pairing()}


def _losses() -> str:
    sections = []
    for name, loss in LOSSES.items():
        facts = FACTS[name]
        said = [f"Takes {_INPUTS[facts.input]}; options: {_options(name)}."]
        if facts.takes:
            said.append(f"Uses a pair's {' and '.join(_SAID[take] for take in facts.takes)} if given.")
        if not facts.reference:
            said.append("Needs no reference.")
        if facts.batch:
            said.append(
                "Compares the pairs of an update with each other: the whole update counts, however it is cut, and no pair has "
                "a weight."
            )
        if facts.unbounded:
            said.append("Has no lower bound.")
        body = (inspect.getdoc(loss) or "").replace("|", "\\|")
        sections.append(f"## `{name}`\n\n{body}\n\n{' '.join(said)}\n")
    return f"""# Losses: what each minimises

Written by `make docs` from the code; do not edit.

`rather train … --loss NAME`, or a weighted sum: `--loss dpo:0.8,sft:0.2`. An option reaches every loss of the sum that takes
it; one that none of them takes is refused. Every loss gives one value a pair; the sum over an update is divided once, by
the pairs of the update. As functions: `rather.losses.LOSSES["dpo"](pair_logps, beta=0.1)`.

A row of pairs may say more than which answer is better: `probability` (that chosen is; the `label` of the formulas), `margin`
(by how much, in units of reward) and `weight` (what the pair's loss is multiplied with). A loss that does not use what a row
says refuses the row. The sum is divided by the number of pairs, not by the sum of their weights: weight 2 is the pair told
twice, whoever its neighbours are, so weights with a mean of 1 leave the learning rate's meaning as it is.

Notation: r_c, r_r are log π(y) − log π_ref(y) of the chosen and the rejected answer, in nats; h = r_c − r_r; \\|y\\| is the number
of tokens of an answer, its end-of-turn included.

{chr(10).join(sections)}"""


_SAID = {"label": "probability", "margin": "margin"}
_INPUTS = {
    "pair": "pairs",
    "sample": "single answers, each good or bad (of a pair both; their mean counts as the pair's loss)",
    "list": "ranked lists",
    "score": "a reward model's scores of pairs (`--objective reward`)",
}


def _training() -> str:
    checks = "\n".join(f"| `{name}` | {_first_sentence(inspect.getdoc(check))} |" for name, check in CHECKS.items())
    guards = "\n".join(f"| `{name}` | {_first_sentence(inspect.getdoc(guard))} |" for name, guard in GUARDS.items())
    formats = "\n".join(f"| `{name}` | {_first_sentence(module.__doc__)} |" for name, module in READERS.items())
    metrics = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in METRICS.items())
    return f"""# Training: options, losses, metrics, checks

Written by `make docs` from the code; do not edit.

## Options of `rather train`

Flags and TOML keys have the same names (`--batch-pairs 16`, or `batch_pairs = 16` in the file given with `--config`).

{_fields(TrainConfig)}

Losses and the options that belong to them are in `docs/losses.md`.

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

With `--heldout`, pairs whose loss depends on others of their update (aot, beta_dpo) are measured as one update. The reference
of held-out pairs is the model before its first update, also where `--ref-sync-steps` moves that of the pairs trained on.
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

## Forms of a row, in the order in which they are tried

| form | what it is |
|---|---|
{formats}

## Options of `rather demo`

{_fields(DemoConfig)}
"""


def _pairing() -> str:
    def table(functions: Mapping[str, object]) -> str:
        return "\n".join(f"| `{name}` | {_first_paragraph(inspect.getdoc(one))} |" for name, one in functions.items())

    return f"""# Pairs from judgments: rules, aggregates, options

Written by `make docs` from the code; do not edit.

`rather pair JUDGMENTS… --out DIR` reads comparisons, rankings and ratings from files (or folders of earlier steps) together, makes
a score of each answer, applies a rule to each prompt, and writes:

| in `--out` | what it is |
|---|---|
| `pairs.jsonl`, `heldout.jsonl` | the pairs (with `--rule list` ranked lists, with `--form unpaired` single answers) |
| `unpaired.jsonl` | with `--ties unpaired`: tied answers by themselves |
| `reliability.json` | each judge's votes, agreement, share of first-named, and with `--reliability` its skill and side bias |
| `refused.jsonl`, `manifest.json` | rows that could not be used; what went in and came out, by reason |

A pair is a tie if its scores are equal, if those who compared the two mostly called it one, or, where nobody compared them, if
a tie is the likeliest verdict (dawid-skene: if its truth is likeliest a tie). A tie is never a pair of which one side is chosen.
The same judgments in any order, from any number of files, make the same files.

## Rules (`--rule`)

| rule | what it makes |
|---|---|
{table(RULES)}

## Aggregates (`--aggregate`)

| aggregate | what an answer's score is |
|---|---|
{table(AGGREGATES)}

## Reliability (`--reliability`)

| model | what it finds |
|---|---|
{table(RELIABILITY)}

What they find in a real crowd is measured in `docs/reliability.md`.

## Options of `rather pair`

{_fields(PairConfig)}
"""


def _fields(config: type[TrainConfig] | type[DemoConfig] | type[PairConfig]) -> str:
    rows = ["| option | default | meaning |", "|---|---|---|"]
    for name, field in config.model_fields.items():
        default = (
            ""
            if field.default is None
            else f"`{str(field.default).lower() if field.annotation is bool else field.default}`"
        )
        rows.append(f"| `--{name.replace('_', '-')}` | {default} | {' '.join((field.description or '').split())} |")
    return "\n".join(rows)


def _options(name: str) -> str:
    return ", ".join(f"`{option}` ({default})" for option, default in loss_options(name).items()) or "none"


def _first_paragraph(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split()).replace("|", "\\|")


def _first_sentence(text: str | None) -> str:
    paragraph = " ".join((text or "").split("\n\n")[0].split())
    return paragraph.replace("|", "\\|")


def main() -> None:
    """Write every page."""
    for name, content in pages().items():
        (DOCS / name).write_text(content, encoding="utf-8")
        print(DOCS / name)


if __name__ == "__main__":
    main()
