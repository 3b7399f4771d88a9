"""Reward models on pairs: how often the better answer gets the higher score, by subset, and as benchmarks of them report it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from rather.auditing.material.keys import Keys
from rather.auditing.material.packed import Packed
from rather.auditing.material.sampled import Sampled
from rather.auditing.thresholds import Sample
from rather.errors import InputError, RowError
from rather.evaluation.baselines import BASELINES, right_by
from rather.evaluation.rewardbench import SECTIONS, sections
from rather.evaluation.run import read_evaluation, write_evaluation
from rather.evaluation.slices import sliced
from rather.formats import Refusal, Source, load_pairs, name_of, require_clean, rows_said, say_refused
from rather.formats.rows import Row
from rather.judging.classify import Opened, open_reward
from rather.model import Sample as Tokens
from rather.model import model_hash
from rather.progress import say, task
from rather.records import Pair, Question, Response, content_id
from rather.rundir import open_run
from rather.stats.bootstrap import share_of_clusters
from rather.stats.calibration import calibration
from rather.stats.votes import Floats

BATCH_TOKENS = 8192
SUBSET = "subset"


def evaluate_rewards(
    model: str,
    pairs: Source,
    *,
    out: Path,
    plan: dict[str, Any],
    inputs: dict[str, str],
    limit: int | None,
    as_chat: bool,
    skip_bad: bool,
    dtype: str,
    max_length: int,
    topics: int,
    started: float,
) -> dict[str, Any]:
    """Score every answer of the pairs, and write what `rather evaluate` writes. Raises ModelError for no reward model."""
    records, refused, rows = load_pairs(pairs, limit=limit, as_chat=as_chat)
    if not skip_bad:
        require_clean(refused, rows)
    scorer = open_reward(model, max_length=max_length, dtype=cast(Literal["fp32", "bf16"], dtype))
    kept, samples = _tokenised(records, scorer, refused)
    if not skip_bad:
        require_clean(refused, rows)
    if not kept:
        raise InputError(f"{name_of(pairs)}: nothing to score in {rows_said(rows)}")
    say_refused(refused, rows)
    inputs = {"model": model_hash(model), "pairs": content_id([pair.id for pair in kept]), **inputs}
    with open_run(out, step="evaluate", config=plan, inputs=inputs) as run:
        if run.done:
            say(f"{out}: already evaluated")
            return read_evaluation(out)
        scores = _scored(scorer, samples)
        figures = {"reward": about(kept, scores, topics=topics)}
        return write_evaluation(
            run, figures, [], seconds=time.monotonic() - started, pairs=_rows(kept, scores), name=model
        )


def about(pairs: Sequence[Pair], scores: Floats, *, topics: int = 6) -> dict[str, Any]:
    """For eval.json. scores: of chosen and rejected [P, 2]. A Bradley–Terry model's σ(difference) is also read as a probability."""
    packed = Packed(pairs)
    sample = Sampled.of(packed, Keys.of(packed), Sample(pairs=max(len(pairs), 100)))
    margin = scores[:, 0] - scores[:, 1]
    right = right_by(margin)
    size = int(sample.group.max(initial=-1)) + 1
    counts = np.bincount(sample.group, minlength=size)
    label = np.array([1.0 if pair.probability is None else pair.probability for pair in pairs])
    figures: dict[str, Any] = {
        "pairs": len(pairs),
        "accuracy": dict(
            zip(
                ("value", "low", "high"), share_of_clusters(np.bincount(sample.group, right, size), counts), strict=True
            )
        ),
        "ties": int((margin == 0).sum()),
        "margin": float(margin.mean()),
        "calibration": asdict(calibration(margin, label, group=sample.group)),
        "baselines": {
            name: float(found.mean()) for name, rule in BASELINES.items() if (found := rule(sample)) is not None
        },
        "slices": [asdict(each) for each in sliced(packed, sample, right, topics=topics)],
    }
    subsets = [pair.tags.get(SUBSET) for pair in pairs]
    if any(name in SECTIONS for name in subsets):
        figures["rewardbench"] = sections(subsets, right)
    return figures


def _tokenised(
    records: Sequence[Pair], scorer: Opened, refused: list[Refusal]
) -> tuple[list[Pair], list[tuple[Tokens, Tokens]]]:
    kept, samples = [], []
    for pair in records:
        question = Question(prompt=pair.prompt)
        try:
            both = [scorer.sample(Response(question=question, text=text, model="")) for text in pair.answers]
        except RowError as error:
            refused.append(Refusal(pair.source or f"pair {pair.id}", error.reason))
            continue
        kept.append(pair)
        samples.append((both[0], both[1]))
    return kept, samples


def _scored(scorer: Opened, samples: Sequence[tuple[Tokens, Tokens]]) -> Floats:
    """[P, 2], some pairs in one pass."""
    found: list[float] = []
    batch: list[Tokens] = []
    with task("scores", len(samples)) as bar:
        for place, both in enumerate(samples):
            batch += both
            if place + 1 == len(samples) or sum(len(each.tokens) for each in batch) >= BATCH_TOKENS:
                found += scorer.scores(batch)
                bar.advance(len(batch) // 2)
                batch = []
    return np.array(found).reshape(-1, 2)


def _rows(pairs: Sequence[Pair], scores: Floats) -> list[Row]:
    return [
        {
            "id": pair.text_id,
            "prompt": Question(prompt=pair.prompt).id,
            "place": pair.source,
            "margin": float(one - other),
            "chosen": float(one),
            "rejected": float(other),
        }
        for pair, (one, other) in zip(pairs, scores.tolist(), strict=True)
    ]
