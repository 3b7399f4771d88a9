"""Write the documentation pages that come from the code: `make docs`. A test checks that they are up to date."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from textwrap import dedent
from types import ModuleType

from rather.auditing import CHECKS
from rather.config import Config
from rather.demos.config import DemoConfig
from rather.formats import JUDGMENT_READERS, READERS, TARGETS, tools, votes
from rather.generation.config import GenerateConfig
from rather.judging import JUDGES
from rather.losses import FACTS, LOSSES, Loss, loss_options
from rather.training.config import TrainConfig
from rather.training.guards import GUARDS
from rather.training.metrics import METRICS

DOCS = Path(__file__).parents[2] / "docs"


def pages() -> dict[str, str]:
    """File name → content."""
    return {
        "training.md": _training(),
        "formats.md": _formats(),
        "losses.md": _losses(),
        "generation.md": _generation(),
        "judges.md": _judges(),
    }


def _losses() -> str:
    rows = [f"| [`{name}`](#{name}) | {' | '.join(_overview(name, loss))} |" for name, loss in LOSSES.items()]
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
                "Compares what stands in one update: the whole update counts, however it is cut, and nothing in it has a "
                "weight."
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
of tokens of an answer, its end-of-turn included; q is the probability that chosen is better, 1 unless something says less.

| loss | what it is of each pair [P], single answer [R] or list [L] | takes | options | source |
|---|---|---|---|---|
{chr(10).join(rows)}

The SFT term of `--sft-weight` is `sft`; TR-DPO's moving reference is `--ref-sync-steps` with any loss that has a reference
but tdpo; f-divergences are `--f-divergence` with the losses that list it.

{chr(10).join(sections)}"""


def _overview(name: str, loss: Loss) -> tuple[str, str, str, str]:
    """Formula, kinds of data, options and paper of a loss; formula and paper as its docstring begins."""
    text = " ".join((inspect.getdoc(loss) or "").split()).replace("|", "\\|")
    formula, kind, _ = re.split(r"( ?\[[PRL]\])", text, maxsplit=1)
    papers = [f"[{number}](https://arxiv.org/abs/{number})" for number in re.findall(r"arXiv (\d+\.\d+)", text)]
    return formula + kind, _KINDS[FACTS[name].input], _options(name), papers[0] if papers else "–"


_KINDS = {
    "pair": "pairs",
    "sample": "single answers, pairs",
    "list": "ranked lists",
    "score": "pairs (`--objective reward`)",
}


def _generation() -> str:
    return f"""# Generation: several answers to each question

Written by `make docs` from the code; do not edit.

```
rather generate questions.txt --model smollm2-135m-instruct --n 4 --temperature 0.7 --temperature 1.0 --out runs/answers
rather generate questions.txt --api http://127.0.0.1:8000/v1 --api-model NAME --out runs/answers
```

Questions are lines of a `.txt`, rows with a `prompt` (text or turns, and `tags`), or any file of pairs, whose prompts are asked;
each is asked once, however often it stands there. Plain text is continued; `--as-chat` asks it.

## What a run leaves

| in `--out` | what it is |
|---|---|
| `responses.jsonl` | every different answer: `prompt`, `response`, `model`, `tokens`, `seed`, \
`finished`, `temperature`, `system`, \
`tags`; `count` where it was drawn more than once |
| `refused.jsonl` | what was not asked, and answers that are no candidates, with place and reason |
| `diversity.json` | how much the answers to a question differ: distinct-1, -2, -3, self-BLEU, exact and near duplicates |
| `pairs.jsonl` | with `--correct` or `--correct-with`: each answer corrected, over the answer as it was |
| `answers.jsonl`, `edits.jsonl` | every answer as it came, appended at once: the same command goes on from \
here, whatever stopped it |
| `manifest.json` | configuration, inputs by content, counts; written last |

Every answer has a seed of its own, made from `--seed`, question, place of the model, system prompt, temperature and number. In this
process it alone decides the answer's random numbers, whatever is drawn beside it; a server is sent it and does what it does.

Models of the families llama, mistral, qwen2 and qwen3 are decoded by a loop of `rather`'s own; others by transformers' `generate`,
which is said. A model's own suggestions (top-k, penalties) have no say: answers are drawn from the model's distribution.

A server that fails in a way that may pass (timeouts, 408, 409, 425, 429, 5xx, a reply that is none) is asked again after growing
pauses, or after what it asks for in `Retry-After`. At its end the run stops with exit status 2, and what was answered is kept. A
prompt that it refuses (400, 413, 422) is the error, or with `--skip-bad` listed.

## Correction

`--correct rules.toml` replaces whole words in the model's own answers. Rules act in one pass, the longest find first, and a second
pass must find nothing more; answers that no rule changes make no pair, and are counted. Of an answer that was cut off, the whole
sentences are taken.

```toml
[[rule]]
find = ["ChatGPT", "GPT-4"]
replace = "Athene"
ignore_case = false
```

`--correct-with MODEL --instruction TEXT` asks a model (with `--api` one of the server's) to make the change, at temperature 0.

## Options of `rather generate`

{_fields(GenerateConfig)}
"""


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

Losses and the options that belong to them are in `docs/losses.md`. With `--sweep` every combination is checked, against
the pairs and the model too, before the first is trained.

A run takes a CUDA GPU where torch finds one, else Apple's (mps, on the plain path: one answer at a time), else the CPU, and
says which; the environment variable `RATHER_DEVICE` (cuda, mps, cpu) chooses another.

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

{_fields(DemoConfig)}
"""


def _judges() -> str:
    table = "\n".join(f"| `{name}` | {_first_sentence(inspect.getdoc(judge))} |" for name, judge in JUDGES.items())
    options: dict[str, list[str]] = {}
    for name, judge in JUDGES.items():
        for option in judge.model_fields:
            options.setdefault(option, []).append(name)
    rows = []
    for option, takers in options.items():
        field = JUDGES[takers[0]].model_fields[option]
        required = "needed" if field.is_required() else ""
        default = (
            "" if field.is_required() or field.default is None or option == "rubric" else f"`{_shown(field.default)}`"
        )
        text = " ".join((field.description or "").split()).replace("|", "\\|")
        rows.append(f"| `--{option.replace('_', '-')}` | {required or default} | {', '.join(takers)} | {text} |")
    return f"""# Judges: who says which answer is better

Written by `make docs` from the code; do not edit.

```sh
rather judge responses.jsonl --by rougeL --by length --out runs/metrics
rather judge runs/generated --by pairwise:smollm2-135m-instruct --out runs/model
rather judge runs/generated --by rubric:gpt-4o --server https://api.openai.com/v1 --aspects truth style --out runs/rated
rather judge runs/generated --by function:my_rewards:politeness --by reward:runs/rm/model --out runs/scored
rather judge events.jsonl --by behaviour --out runs/users
```

`--by` may be repeated: each judge judges by itself, under its own name. Judges with options of their own stand in a file,
`--panel panel.toml`:

```toml
[[judges]]
by = "rubric:smollm2-135m-instruct"
name = "strict"
rubric = "The answer is true, and no longer than it must be."

[[judges]]
by = "length"
length_target = 200
```

| judge | what it says |
|---|---|
{table}

## Options

An option reaches every judge of the run that has it; one that no judge has is refused. In Python the same names are keywords:
`rather.judge("responses.jsonl", by="length", length_target=200, out="runs/judged")`.

| option | default | judges | meaning |
|---|---|---|---|
{chr(10).join(rows)}

## What is judged

The `--out` of `rather generate`, or a file (JSONL, JSON, Parquet, also .gz) with `prompt` (text or turns) and `response`, and with
`model` if it is known who wrote it. Answers to one prompt belong together wherever they stand in the file; equal ones count once.
Every other column, and every tag, is there for metrics and functions under its name: `reference` for BLEU, chrF and ROUGE (text, or
a list of texts), `answer` for `exact` and `numeric`, any for a reward function. So a question's tags come through `rather generate`
to its judges. For `behaviour`, a log of events: `{_EVENT}`
with the events shown, like, dislike, bookmark, copy, edit (with `text`), regenerate and dwell (with `value`, in seconds).

## What a run leaves

| in `--out` | what it is |
|---|---|
| `judgments.jsonl` | one judgment a line: what `rather pair` reads |
| `votes.jsonl` | `pairwise`: both votes on each pair, in the order in which the answers were shown: there a side bias is seen |
| `refused.jsonl` | rows that could not be judged, by file and line, and why; without `--skip-bad` the first stops the step |
| `unparsable.jsonl` | replies of a model in which there was no verdict |
| `manifest.json` | what was judged by whom, and how often what happened (flips, first or second shown, abstentions) |

A killed run goes on with the same command. What a model was asked is kept by content in the cache folder, so that the same question
is asked once, by whatever run.

## Models that judge

Answers are data. Prompt and answers stand between marks with a number that is a hash of all that is shown, so that no answer can
hold it; the task is repeated behind the last answer; spellings of special tokens are broken up. That keeps an answer inside of its
marks. Whether a model is swayed by what it reads there is its own weakness: `flips` and a second judge of another family show it.
A judge of the family of a writer is warned of, by name, by content and by the shape of the configs.

A model in this process is held to the form of a verdict by taking the likeliest of the replies that there are (`pairwise`,
`rubric`); a server by `response_format`, or not at all if it does not know that, which is said. A reply must be the JSON asked
for and nothing else. Replies that are not are counted, and above `--max-unparsable` the step stops.

## Content safety

`refusal` tells whether an answer declines, by rules that can be read. Whether it *should* have declined no rule of words can
tell. `rather` brings no classifier of its own: the packages known to us fetch their weights when first used, unpickle them, are
lists of words, or stand on a second deep-learning framework (toxic-comment-classifier: English, weights inside). So it takes what
you have, offline: a text-classification model in safetensors (`--by classifier:FOLDER --label toxic --label-is bad`), or any
package in three lines of a reward function.

## Behaviour

Only answers that a user was shown count, and a user is one voice for each answer, however often they click; one who likes and
dislikes the same answer is half of each. How much a place on the page is looked at is fitted to the log itself by a
position-based click model, which needs answers that were shown in several places; where there are none, nothing is corrected and
it is said. Reactions are then counted by the looks that there were to expect. Two answers are compared in the time in which both
were shown. The confidence of a comparison is the probability, by the counts, that the one is liked more than the other a look:
users who disagree make it small.
"""


_EVENT = '{"prompt": …, "answers": ["…"], "judge": "user-7", "event": "shown", "position": 1, "at": 1700000000}'


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _fields(config: type[Config]) -> str:
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
