"""Where an evaluation's time goes: answers of the two models, or judging, statistics and the page.

    python -m benchmarks.evaluating --data ../shared/data [--prompts 1000] [--asked 60] [--tokens 48] [--model MODEL]

Judging and statistics of 1,000 questions of HH helpful, as `rather evaluate … --by length --by refusal --by language` has them: its
two answers stand for those of two models, for neither judges nor statistics see whose they are. Beside it what answering takes:
some of the questions by one model, bf16 and greedy, as the evaluation asks both (what is drawn afresh for the KL is left out, which
makes the models' share smaller than it is). The same of 1,000 held-out pairs, whose probabilities are drawn.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from rather.evaluation import held_out
from rather.evaluation.answers import changes, looks
from rather.evaluation.judged import who_wins
from rather.evaluation.verdicts import read_verdicts
from rather.formats import write_jsonl
from rather.formats.responses import response_rows
from rather.judging.run import judge
from rather.records import Pair, Question, Response

Rows = list[tuple[str, str, str]]


def rows_of(data: Path, count: int) -> Rows:
    """First questions of HH helpful, each once, with both answers."""
    found: dict[str, tuple[str, str, str]] = {}
    with gzip.open(data / "hh_helpful_test.jsonl.gz", "rt", encoding="utf-8") as file:
        for row in map(json.loads, file):
            question = row["chosen"].removeprefix("\n\nHuman: ").partition("\n\nAssistant:")[0].strip()
            sides = [row[side].rpartition("\n\nAssistant:")[2].strip() for side in ("chosen", "rejected")]
            if question and all(sides) and sides[0] != sides[1]:
                found.setdefault(question, (question, *sides))
    return list(found.values())[:count]


def of_answers(rows: Rows) -> float:
    """Seconds of judging both answers to each question, and of all that is said of them."""
    before, after = (
        [Response(question=Question(prompt=row[0]), text=row[side], model=name) for row in rows]
        for side, name in ((1, "old"), (2, "new"))
    )
    with tempfile.TemporaryDirectory() as scratch:
        begun = time.monotonic()
        file, out = Path(scratch) / "responses.jsonl", Path(scratch) / "judged"
        write_jsonl(file, response_rows([*before, *after]))
        judge(file, by=("length", "refusal", "language"), out=out, skip_bad=True)
        who_wins(read_verdicts([out]), "old")
        looks(before), looks(after), changes(before, after)
        return time.monotonic() - begun


def of_pairs(rows: Rows) -> float:
    """Seconds of what is said of held-out pairs."""
    random = np.random.default_rng(0)
    pairs = [Pair(prompt=prompt, chosen=chosen, rejected=rejected) for prompt, chosen, rejected in rows]
    columns = held_out.Columns(*random.normal(0.5, 2, (5, len(pairs))), tokens=np.full((len(pairs), 2), 60))
    begun = time.monotonic()
    held_out.about(pairs, columns, beta=0.1, topics=6)
    return time.monotonic() - begun


def of_model(questions: list[str], model: str, tokens: int) -> float:
    """Seconds in which one model answers."""
    import torch

    from rather.generation import sample
    from rather.model import Renderer, load

    loaded = load(model)
    asked = [Question(prompt=question) for question in questions]
    renderer = Renderer(loaded.tokenizer, max_length=1024)
    begun = time.monotonic()
    sample(loaded, renderer, asked, max_new_tokens=tokens, temperature=0.0, seed=0, dtype=torch.bfloat16)
    return time.monotonic() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--prompts", type=int, default=1000)
    parser.add_argument("--asked", type=int, default=60)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    given = parser.parse_args()
    rows = rows_of(given.data, given.prompts)
    of_answers(rows[:50])  # imports are no work
    said, pairs = of_answers(rows), of_pairs(rows)
    print(
        f"judging and statistics of {len(rows):,} prompts: {said:.1f} s; statistics of as many pairs: {pairs:.1f} s",
        flush=True,
    )
    one = of_model([row[0] for row in rows[: given.asked]], given.model, given.tokens)
    both = 2 * one * len(rows) / given.asked
    print(f"{given.asked} answers of {given.tokens} tokens: {one:.1f} s; of two models to all prompts: {both:.0f} s")
    print(f"judging and statistics: {said / (said + both):.1%}")


if __name__ == "__main__":
    main()
