"""docs/runs.md: what stands in the folders that steps leave; `tests/test_reference.py` holds it against the code."""

from __future__ import annotations

from rather.rundir import MANIFEST, STARTED
from rather.training.metrics import METRICS

# step (as run.json names it) → who makes such a folder, and what is in it beside run.json and manifest.json.
STEPS: dict[str, tuple[str, dict[str, str]]] = {
    "generate": (
        "`rather generate`",
        {
            "responses.jsonl": "an answer a row, with its prompt, who wrote it and how it was drawn; identical ones merged",
            "answers.jsonl": "the log of answers as they came, which a stopped run goes on from",
            "diversity.json": "how different the answers to one prompt are",
            "refused.jsonl": "rows left out, with place and reason",
            "pairs.jsonl, edits.jsonl": "with `--correct`: pairs of corrections, and each change that rules made",
        },
    ),
    "judge": (
        "`rather judge`",
        {
            "judgments.jsonl": "a judgment a row ([formats](formats.md))",
            "votes.jsonl": "each single vote of a judge that is asked several times",
            "unparsable.jsonl": "what a model said that was no verdict, word for word",
            "refused.jsonl": "answers left out, with reason",
        },
    ),
    "signals": (
        "`rather signals`",
        {"judgments.jsonl": "what the log says of which answer", "refused.jsonl": "every event left out, with reason"},
    ),
    "pair": (
        "`rather pair`",
        {
            "pairs.jsonl": "pairs to train on",
            "heldout.jsonl": "pairs of other prompts, to evaluate on",
            "unpaired.jsonl": "single answers, where the rule leaves them",
            "reliability.json": "what is known of each judge",
            "refused.jsonl": "judgments left out, with reason",
        },
    ),
    "audit": (
        "`rather audit --out`",
        {
            "audit.json": "verdict and findings with their evidence",
            "audit.html": "the same as a page",
            "refused.jsonl": "rows left out, with reason",
        },
    ),
    "train": (
        "`rather train`",
        {
            "model/": "the last state, a plain Hugging Face folder",
            "best/": "with `--heldout`: the state of the lowest held-out loss",
            "adapter/": "with `--lora-rank`: the adapter in peft's layout",
            "metrics.jsonl": "a row an update ([its keys](#metricsjsonl))",
            "audit.json": "what the audit found before",
            "refused.jsonl": "rows left out, with reason",
            "checkpoints/": "while the run goes on: what it resumes from",
        },
    ),
    "train sweep": (
        "`rather train --sweep`",
        {"NAME/": "for each combination a folder as `train` leaves it", "report.html": "the page that compares them"},
    ),
    "evaluate": (
        "`rather evaluate`",
        {
            "eval.json": "every figure with its interval ([evaluation](evaluation.md))",
            "samples.jsonl": "the answers of both models",
            "pairs_scored.jsonl": "log-probabilities of held-out pairs",
            "suites.jsonl": "answers to behaviour suites and what their rules said",
            "report.html": "the page",
        },
    ),
    "compare": (
        "`rather compare`",
        {"compare.json": "runs side by side", "report.html": "the page"},
    ),
    "demo": (
        "`rather demo`, with the folders of its steps (`demo answers`, `demo pairs`, `train`, `evaluate`) inside",
        {"model/": "the trained model", "eval.json": "the figures", "report.html": "the page"},
    ),
    "loop": (
        "`rather loop`, with a folder a round, and in it those of its steps "
        "(`loop questions`, `loop mix`, `loop people`, `loop risk`, `loop online` and the steps above)",
        {"loop.json": "all rounds, and why it stopped", "model/": "the best round's model", "report.html": "the page"},
    ),
}

_MANIFEST = (
    "the same, and `outputs`, `versions` (of Python, `rather`, torch and what else a result depends on); where the step has "
    "them counts of what came in, went out and was refused, `seconds`, `peak_memory_gb`"
)


def page() -> str:
    """The page."""
    sections = []
    for step, (maker, files) in STEPS.items():
        table = "\n".join(
            f"| {', '.join(f'`{each}`' for each in name.split(', '))} | {said} |" for name, said in files.items()
        )
        sections.append(f"## {step}\n\nLeft by {maker}.\n\n| file | what it holds |\n|---|---|\n{table}")
    metrics = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in METRICS.items())
    return f"""# Folders that steps leave

Written by `make docs` from the code; do not edit.

A step reads files or folders and writes one folder. Two files in each say what it is:

| file | written | holds |
|---|---|---|
| `{STARTED}` | first | `step`, `config` (every option), `inputs` (name → content hash): what this folder is for |
| `{MANIFEST}` | last | {_MANIFEST} |

- A `{MANIFEST}` that matches the command, with all its `outputs` there: the step is done, and the command says so.
- A `{STARTED}` that matches and no manifest: the command goes on from there.
- Anything else inside: somebody's work; the command refuses and touches nothing.
- `.lock` is held by the process that works there; two of one folder at once is an error of the second.
- Files take their names when they are whole: a reader sees the old one, the new one, or none.

{(chr(10) * 2).join(sections)}

## metrics.jsonl

An object an update; means over its pairs.

| key | meaning |
|---|---|
{metrics}

A page is made of any of these folders by `rather report FOLDER`; nothing in it is known only to the page.
"""
