"""docs/evaluation.md."""

from __future__ import annotations

import inspect

from rather.docs.tables import fields, first_paragraph
from rather.evaluation.baselines import BASELINES
from rather.evaluation.config import EvaluateConfig
from rather.evaluation.suites import SUITES, load_suite
from rather.evaluation.suites.rules import RULES


def page() -> str:
    """The page."""
    suites = "\n".join(f"| `{name}` | {len(load_suite(name).items)} | {says} |" for name, says in SUITES.items())
    rules = "\n".join(f"| `{name}` | {rule.takes} | {rule.says} |" for name, rule in RULES.items())
    baselines = "\n".join(f"| {name} | {first_paragraph(inspect.getdoc(rule))} |" for name, rule in BASELINES.items())
    return f"""# Evaluation: did it work?

Written by `make docs` from the code; do not edit.

```sh
rather evaluate runs/a/model --reference MODEL --pairs heldout.jsonl --out runs/a-pairs
rather evaluate runs/a/model --reference MODEL --prompts questions.txt --by length --by pairwise:JUDGE --out runs/a-answers
rather evaluate runs/a/model --reference MODEL --suite language --suite safety --forgetting --out runs/a-suites
rather evaluate runs/rm/model --pairs rewardbench.parquet --out runs/rm-eval          # a reward model has no reference
rather evaluate --judgments runs/judged --judgments votes.jsonl --reference NAME --out runs/who-wins    # no model at all
rather compare runs/a-pairs runs/b-pairs --out runs/a-or-b
rather chat runs/a/model MODEL --votes votes.jsonl
```

Every part is measured if it is asked for. `--out` holds `eval.json`, `samples.jsonl` (answers side by side),
`pairs_scored.jsonl` (a row a held-out pair), `suites.jsonl` (a row a question, with the first rule that an answer breaks),
`judged/` (of `--by`), and `report.html`. The same command goes on or finds it done.

All intervals are of 95 %. They are over prompts, for what is said of one prompt is not independent; `benchmarks/coverage.py`
counts how often each holds the truth.

## Pairs

Accuracy is how often chosen gained more over the reference than rejected did (a tie half), and stands beside what tells the
better answer without reading it. Each has its interval, and so has the model's lead on the same pairs (paired bootstrap; p by
exchanging the two a prompt at a time). Where the interval includes a baseline, that is a warning: the model may have learned
no more.

| baseline | what it does |
|---|---|
{baselines}
| reference's likelihood | The answer that the model was likelier to give before training wins; and the same per token. |

- **Calibration**: σ(β·h) against how often it is right, h the log-ratio margin. A reliability diagram, the expected
  calibration error beside what a calibrated model shows on so many pairs (it is never 0), mean confidence less share right,
  and the slope by which the logits would have to be multiplied. β is read from the training run in whose folder the model
  lies, or given by `--beta`.
- **Slices** by topic (words in common), by which answer is longer, by language, by file where there are several, and by every tag
  with at most 20 values; those that differ from the rest are named, false discoveries held at 5 %.
- **Displacement**, pair by pair: the change of chosen's log-probability a token.
- KL(policy ‖ reference) and entropy along both answers.

Ranked lists and single answers have their accuracy, as before.

## Answers

`--prompts` are answered greedily by both models, and by the trained one at temperature 1 for the KL. `--by` and `--panel`
take any [judge](judges.md); people's votes come by `--judgments`, or from `rather chat A B --votes`.

![The leaderboard of an evaluation's page: 8,931 votes of a crowd between 59 models, with intervals and places](evaluation.png)

| figure | what it is |
|---|---|
| win rate | mean over prompts: 1, ½ for a tie, 0; both orders of a prompt are one. Interval by drawing prompts |
| of decided prompts | prompts won of those won or lost, with the exact interval (Clopper–Pearson), and the sign test's p |
| smallest found | the win rate above ½ that so many prompts show in 80 % of all samples: less was not looked for |
| at equal lengths | logistic regression on the length difference, read at 0; of three models, on how hard a prompt is too |
| shown first named | where the judge saw an order: how often it named the first |
| leaderboard | of three models or more: Bradley–Terry with intervals by prompts, and the places that a model may have |

Two equal answers are a tie, and an answer that says nothing loses to one that says something; no judge is asked for these.

The length-controlled rate asks what AlpacaEval 2 asks (arXiv 2404.04475), of any judgments. AlpacaEval's own number needs its
files: `--judgments annotations.json --alpaca-files FOLDER`, where FOLDER holds `df_gamed.csv` of its data set, does what it
does (L1 by liblinear, five-fold cross-validation, rows of two models that game length) and gives its digits: a test asks both
for the same annotations, to 1e-6, where alpaca-eval is installed, and another for the numbers of its leaderboard, where
`RATHER_ALPACA_EVAL` names a folder with df_gamed.csv, leaderboard.csv and MODEL/annotations.json.

With two judges that rate (`--proxy reward:rm --gold people-judge`) the page has the curve of the best of n: how good the
answer is, by the one, that the other takes; in closed form over all draws from the answers at hand.

Which items to ask people about is another question: [choosing.md](choosing.md) holds the ways against asking at random.

## Drift and forgetting

KL(policy ‖ reference) on fresh samples, twice: the mean of log π − log π_ref, and the sum over tokens of the KL of the two
predictions over the whole vocabulary, which has the same mean and less noise. Entropy; length; distinct-1, -2, -3; and
answers that loop, decline, change the language, say nothing, or end their turn, before and after, with McNemar's exact test.

`--forgetting`: perplexity on texts written for this project (English, Chinese, code), and the suite of general questions.
`--lm-eval TASK` asks both models a task of lm-eval (`pip install lm-eval`), which fetches its data.

## Behaviour suites

| suite | questions | what it asks |
|---|---|---|
{suites}

Written for this project, and checked by rules that read words: an answer that says nothing keeps none. A suite of your own is
JSONL:

```json
{{"prompt": "Say hello in one word.", "rules": {{"max_words": 1, "no_pattern": "!"}}, "kind": "length", "language": "en"}}
```

Every rule of a row must hold; `kind` groups rows. An unknown rule or field is refused.

| rule | takes | the answer |
|---|---|---|
{rules}

## Reward models

Without `--reference`, MODEL is a reward model: accuracy with its interval, by subset (tags) and slice, calibration of
σ(difference), the same baselines. Files of RewardBench (`subset`, `chosen_model` …) are read as they are; their sections and
the mean of these are shown as the benchmark has them.

## Options

{fields(EvaluateConfig)}

`rather evaluate --help` has the others.
"""
