"""docs/generation.md."""

from __future__ import annotations

from rather.docs.tables import fields
from rather.generation.config import GenerateConfig


def page() -> str:
    """The page."""
    return f"""# Generation: several answers to each question

Written by `make docs` from the code; do not edit.

```
rather generate questions.txt --model smollm2-135m-instruct --n 4 --temperature 0.7 --temperature 1.0 --out runs/answers
rather generate questions.txt --api http://127.0.0.1:8000/v1 --api-model NAME --out runs/answers
```

Questions are lines of a `.txt`, rows with a `prompt` (text or turns, and `tags`), or any file of pairs, whose prompts are asked;
each is asked once, however often it stands there. Plain text is continued; `--as-chat` asks it. `"parts/*.parquet"` names several
files, in the order of their names. `--ray N` has N workers of a Ray cluster answer (docs/scaling.md).

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
process it alone decides the answer's random numbers, whatever is drawn beside it; a server is sent it and does what it does. What
is computed beside an answer still changes the last bits of its probabilities: of 1,600 answers in bf16, eleven ended otherwise
where the run had been killed and went on.

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

{fields(GenerateConfig)}
"""
