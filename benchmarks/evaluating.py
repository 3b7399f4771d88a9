"""Where an evaluation's time goes: answers and probabilities of the two models, or judging, statistics and the page.

    python -m benchmarks.evaluating --data ../shared/data [--prompts 1000] [--tokens 16] [--model MODEL]

1,000 questions of HH helpful, both models (or one model twice: its time is the same), three judges that are rules, as
`rather evaluate MODEL --reference REFERENCE --prompts FILE --by length --by refusal --by language` asks them; and what is said of
1,000 held-out pairs once their probabilities are known (drawn here: they would take minutes, and statistics do not see whose they
are). Answers are cut at so few tokens that the models' share is as small as it can be.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rather.evaluation import held_out, measures, two_models
from rather.evaluation.run import evaluate
from rather.records import Pair, Question
from rather.reporting import report

spent: Counter[str] = Counter()


def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, its seconds counted under a name."""

    def wrapped(*given: Any, **named: Any) -> Any:
        begun = time.monotonic()
        try:
            return function(*given, **named)
        finally:
            spent[name] += time.monotonic() - begun

    return wrapped


def rows_of(data: Path, count: int) -> list[tuple[str, str, str]]:
    """First questions of HH helpful, each once, with both answers."""
    found: dict[str, tuple[str, str, str]] = {}
    with gzip.open(data / "hh_helpful_test.jsonl.gz", "rt", encoding="utf-8") as file:
        for row in map(json.loads, file):
            question = row["chosen"].removeprefix("\n\nHuman: ").partition("\n\nAssistant:")[0].strip()
            sides = [row[side].rpartition("\n\nAssistant:")[2].strip() for side in ("chosen", "rejected")]
            if question and all(sides) and sides[0] != sides[1]:
                found.setdefault(question, (question, *sides))
    return list(found.values())[:count]


def of_prompts(questions: list[str], model: str, tokens: int) -> dict[str, float]:
    """Seconds of an evaluation on questions, by what they were spent on."""
    measures.sample = timed("answers", measures.sample)
    measures.kl_on_samples = timed("drift", measures.kl_on_samples)
    two_models.load = timed("loading", two_models.load)
    two_models.judge = timed("judging", two_models.judge)
    two_models.who_wins = timed("who wins", two_models.who_wins)
    asked = [Question(prompt=question) for question in questions]
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "out"
        begun = time.monotonic()
        evaluate(model, reference=model, out=out, questions=asked, dtype="bf16", by=("length", "refusal", "language"),
                 max_new_tokens=tokens)  # fmt: skip
        evaluated = time.monotonic()
        report(out)
        spent["page"] = time.monotonic() - evaluated
        total = time.monotonic() - begun
    models = sum(spent[name] for name in ("answers", "drift", "loading"))
    return {"all": total, "models": models, "judging, statistics, page": total - models, **spent}


def of_pairs(rows: list[tuple[str, str, str]]) -> float:
    """Seconds of what is said of held-out pairs."""
    random = np.random.default_rng(0)
    pairs = [Pair(prompt=prompt, chosen=chosen, rejected=rejected) for prompt, chosen, rejected in rows]
    columns = held_out.Columns(*random.normal(0.5, 2, (5, len(pairs))), tokens=np.full((len(pairs), 2), 60))
    begun = time.monotonic()
    held_out.about(pairs, columns, beta=0.1, topics=6)
    return time.monotonic() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--prompts", type=int, default=1000)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    given = parser.parse_args()
    rows = rows_of(given.data, given.prompts)
    print(f"statistics of {len(rows):,} held-out pairs: {of_pairs(rows):.1f} s")
    found = of_prompts([row[0] for row in rows], given.model, given.tokens)
    for name, seconds in found.items():
        print(f"{name}: {seconds:.1f} s, {seconds / found['all']:.1%}")


if __name__ == "__main__":
    main()
