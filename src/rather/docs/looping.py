"""docs/loop.md."""

from __future__ import annotations

from typing import Any

from rather.config import Config
from rather.looping.config import (
    OWN,
    AuditTable,
    LoopConfig,
    MixTable,
    OnlineTable,
    PeopleTable,
    RewardTable,
    StopConfig,
)

_TABLES: dict[str, type[Config]] = {
    "stop": StopConfig, "audit": AuditTable, "mix": MixTable, "reward_model": RewardTable, "people": PeopleTable,
    "online": OnlineTable,
}  # fmt: skip


def page() -> str:
    """The page."""
    tables = "\n\n".join(f"### `[{name}]`\n\n{_says(table)}\n\n{_keys(table)}" for name, table in _TABLES.items())
    own = "; ".join(
        f"`[{name}]` has no {', '.join(keys)}" for name, keys in OWN.items() if name in ("generate", "train")
    )
    return f"""# The loop: rounds until a rule stops them

Written by `make docs` from the code; do not edit.

```sh
rather loop examples/brevity.toml --out runs/brevity     # the same command goes on where it was stopped
rather loop examples/brevity.toml --out runs/brevity --rounds 5    # two more, if three are done
```

A round: the policy answers questions → judges say which answers are better → pairs → audit → training → the new policy is
verified on held-out questions. The next round begins with that policy. The best round by the held-out judges is the result,
`--out/model`, and not the last.

```toml
model = "smollm2-135m-instruct"
questions = "questions.txt"                # of these a share is held out, or name a file: heldout = "heldout.txt"
rounds = 3
reference = "first"                        # stay near to the first model; "previous": to the one that the round begins as
judge = ["function:judges:brief"]          # docs/judges.md; [[judge]] tables for judges with options
verify = ["pairwise:SOME-MODEL"]           # held-out judges, who make no pair

[generate]
n = 4
max_new_tokens = 64

[train]
lr = 1e-5
epochs = 2

[stop]
kl = 20                                    # nats an answer
no_gain = true                             # once a round is not surely better than the one before
```

Paths are relative to the file's folder, and reward functions are found beside it; a judge's own options (a model's folder, say) are
as on the command line.

## What a loop leaves

![The page of a loop that learned to answer in two sentences: rounds, win rate, mean score, KL to the first model](loop.png)

| in `--out` | what it is |
|---|---|
| `report.html`, `loop.json` | all rounds on one page, and its figures; written after every round |
| `model/` | the policy of the best round; none where no round won more held-out questions over the first model than it lost |
| `questions/` | what is learned from, and what is held out |
| `round-01/generate`, `judge`, `pair`, `audit`, `train`, `evaluate` | each step's own folder, as its own command writes it |
| `round-01/against` | this round's held-out answers beside those of the round before |
| `round-01/round.json` | what the round came to; written last |
| `round-02/result` | of the best round: what `[result]` asks for |

Each step finishes by its manifest, so `kill -9` anywhere loses what the step in hand had not yet kept, and nothing else:
answers and judgments are kept one by one, training by its checkpoints.

## How a round is made

| | key | |
|---|---|---|
| on-policy | (always) | answers are those of the policy that the round before left |
| stay near to | `reference` | `first`: the first model, kept. `previous`: the one that the round begins as |
| begin as | `start` | `previous`: train on. `first`: the first model anew, best with `pairs = "all"` |
| without risk | `drop_risky` | pairs whose learning would make the better answer less likely, too, are left out |
| mixed | `[mix]` | a share of the pairs from a fixed file |
| reward model | `[reward_model]` | trained in each round on what judges said in all rounds so far; it then judges every answer |
| people | `[people]` | asked about chosen pairs of answers, and about some at random |
| told in answering | `[generate] system_prompt` | answers are given under it; training goes without, and learns to do so untold |
| online | `[online]` | fresh answers every few updates, in one process |
| elsewhere | `judgments` | files of judgments (a service's log, votes); each round takes what is new in them |

## When it stops

After `rounds`; when the audit says stop (in the first round that is an error, since there is no result yet; what is allowed
stands in `[audit]`); when no two answers differ to the judges; and by `[stop]`. None of these is part of what a loop is:
change them and the same command goes on with what is done.

## Whose word counts

The judges of the pairs are the proxy: what they like is what is learned, also where it is not what they stand for. So
held-out judges (`verify`) look at greedy answers to held-out questions in every round: against the first model, against the
round before, and, where they rate, by their mean score. A round that the proxy finds better than the one before and the
held-out judges worse is a warning. With `[reward_model]` the judges that teach it verify, if no others are named. Where the
same judges do both, the page says so.

The page has KL to the first model over the whole vocabulary on fresh samples, entropy, length, loops, ends of turns and
changes of language of every round, and each round's own page is `round-01/evaluate/report.html`.

## People in the loop

`[people]` writes `round-01/people/items.jsonl` for `rather annotate import`. Put the export of their votes beside it, as
`votes.jsonl`:

```sh
rather annotate import desk runs/x/round-01/people/items.jsonl
rather annotate serve desk
rather annotate export desk runs/x/round-01/people/votes.jsonl
rather loop x.toml --out runs/x
```

With `wait = true` the loop ends there and goes on once the votes are there; without it the next round takes what has come.
Votes stand beside the judges' word when pairs are made; with `reliability` in `[pair]` they are weighed against it.

Which pairs are asked: the data map. Of each pair that the judges told apart, the margin by every policy of earlier rounds (how
much more likely than the first model it makes the better answer than the worse one). Where the margins lie around 0 nobody knows;
where all policies are sure of the other order the judge may be wrong. These two are asked by turns, the least certain and the
surest first. In the first round there is no policy yet, and all are drawn at random, as is `random_share` of the items always: the
page says how much oftener people's votes differ from the judges' on chosen items than on random ones, with its interval.

## Keys

{_keys(LoopConfig, without=(*_TABLES, "generate", "pair", "train", "evaluate", "result"))}

`[generate]`, `[pair]` and `[train]` hold the options of these commands, `[evaluate]` and `[result]` those of `rather
evaluate`, as flags have them with `_` for `-`. What the loop says itself is refused there: {own}.

{tables}

## Examples

| file | what is wanted |
|---|---|
| `examples/brevity.toml` | whole answers of at most two sentences |
| `examples/asking_back.toml` | answers that end with a question |
| `examples/language.toml` | Chinese answers to Chinese questions |
| `examples/identity.toml` | another name, said only where it is asked for |
| `examples/refusals.toml` | harmless questions answered, harmful ones declined; `too_careful.toml` made the model decline both |

Measured figures are in benchmarks/NOTES.md.
"""


def _says(table: type[Config]) -> str:
    return " ".join((table.__doc__ or "").split())


def _keys(config: type[Config], *, without: tuple[str, ...] = ()) -> str:
    rows = ["| key | if not given | meaning |", "|---|---|---|"]
    for name, field in config.model_fields.items():
        if name not in without:
            rows.append(f"| `{name}` | {_default(field)} | {' '.join((field.description or '').split())} |")
    return "\n".join(rows)


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if value is None or value == () or field.default_factory is not None:
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
