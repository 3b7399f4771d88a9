"""Write the documentation pages that come from the code: `make docs`. A test checks that they are up to date."""

from __future__ import annotations

import inspect
from pathlib import Path
from textwrap import dedent
from types import ModuleType

from rather.auditing import CHECKS
from rather.demos.config import DemoConfig
from rather.formats import JUDGMENT_READERS, READERS, TARGETS, tools, votes
from rather.losses import FACTS, LOSSES, loss_options
from rather.training.config import TrainConfig
from rather.training.guards import GUARDS
from rather.training.metrics import METRICS

DOCS = Path(__file__).parents[2] / "docs"


def pages() -> dict[str, str]:
    """File name → content."""
    return {"training.md": _training(), "losses.md": _losses(), "formats.md": _formats()}


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


def _formats() -> str:
    def sections(readers: dict[str, ModuleType]) -> str:
        return "\n".join(f"### `{name}`\n\n{_literal(module.__doc__)}\n" for name, module in readers.items())

    targets = "\n".join(f"| `{name}` | {target.about} |" for name, target in TARGETS.items())
    carried = _literal(tools.__doc__).partition("\n\n")[2]
    return f"""# Formats: files that are read and written

Written by `make docs` from the code; do not edit.

## Sources

Wherever a command takes a file of pairs or judgments, it takes

| source | as |
|---|---|
| a file | JSONL, a JSON array, CSV or TSV with a header; each also .gz or .zst; Parquet |
| several files | a quoted pattern: `"parts/*.jsonl.gz"`, `"runs/**/pairs.jsonl"`; in the order of their names |
| the folder of a step | what the step left: its `pairs.jsonl` or `judgments.jsonl` |
| a Hugging Face data set | `hf:org/name`, `hf:org/name:split`, `hf:org/name/config:split` |
| a folder that `datasets` saved | its name, or `hf:FOLDER:split` |

Rows are read one at a time, however large the file. The form is told by the first row that can be read; a later row that does not
fit it is refused with its line and the reason, never dropped in silence. A data set's own code is never run.

## Pairs, ranked lists and single answers

In the order in which they are tried on the first row.

{sections(READERS)}
### Conversations with tools

{carried}

## Judgments

In the order in which they are tried on the first row. Times are seconds since 1970 or ISO 8601 (without a zone: UTC).

{sections(JUDGMENT_READERS)}
### Votes on pairs in another file

{_literal(votes.__doc__)}

`rather convert VOTES OUT --to judgments --answers PAIRS`, or `rather.read_votes(pairs, votes)`.

## What `rather convert` writes

`rather convert IN OUT --to FORM`: the ending of OUT tells the container (.jsonl, .json, also .gz, .zst; .parquet). A form that
cannot hold what a record says refuses it: a tie is no pair of HH, and a ranked list no pair of TRL.

| form | what it is |
|---|---|
{targets}
"""


def _literal(text: str | None) -> str:
    """A docstring as Markdown: its indented parts are code."""
    parts = (text or "").strip("\n").split("\n\n")
    return "\n\n".join(
        f"```\n{dedent(part).rstrip()}\n```" if part.startswith("    ") else part.rstrip() for part in parts
    )


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

The forms of pairs that can be read are in `docs/formats.md`.

## Options of `rather demo`

{_fields(DemoConfig)}
"""


def _fields(config: type[TrainConfig] | type[DemoConfig]) -> str:
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
