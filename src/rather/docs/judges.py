"""docs/judges.md."""

from __future__ import annotations

import inspect

from rather.docs.tables import first_paragraph
from rather.judging import JUDGES


def page() -> str:
    """The page."""
    table = "\n".join(f"| `{name}` | {first_paragraph(inspect.getdoc(judge))} |" for name, judge in JUDGES.items())
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

The `--out` of `rather generate`, or a file (JSONL, JSON, Parquet, also .gz; several as `"parts/*.parquet"`) with `prompt` (text or
turns) and `response`, and with `model` if it is known who wrote it. Answers to one prompt belong together wherever they are; equal
ones count once.
They lie in a scratch file on the disk of `--out` and not in memory, which holds their places alone; a log of events is held whole.
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
`--ray N` has N workers of a Ray cluster judge (docs/scaling.md).

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
tell. `rather` brings no classifier of its own. What was looked at, and why it was not taken:

| package | licence | why not |
|---|---|---|
| toxic-comment-classifier (weights inside) | MIT | English; needs TensorFlow beside torch; unpickles its tokenizer before 0.4 |
| detoxify, and models of a hub | Apache-2.0 and others | fetch their weights when first used |
| alt-profanity-check | MIT | profanity in English alone; pins one version of scikit-learn, and unpickles |
| better-profanity and its like | MIT | lists of words: an answer may quote one, and an unsafe one needs none |

So it takes what you have, offline: a text-classification model in safetensors (`--by classifier:FOLDER --label toxic --label-is
bad`), or any package, one of the above too, in three lines of a reward function.

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
