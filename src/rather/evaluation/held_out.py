"""Held-out pairs, beyond accuracy and margin: against what tells them without reading, calibrated or not, slice by slice.

Shapes: `P` pairs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from rather.auditing.material.keys import Keys
from rather.auditing.material.packed import Packed
from rather.auditing.material.sampled import Sampled
from rather.auditing.thresholds import Sample
from rather.errors import RatherError
from rather.evaluation.baselines import BASELINES, right_by
from rather.evaluation.slices import sliced, worst
from rather.records import Pair, Question
from rather.stats.bootstrap import paired_difference, share_of_clusters
from rather.stats.calibration import calibration
from rather.stats.intervals import rate
from rather.stats.votes import Floats, Ints
from rather.training.config import TrainConfig

# An ordinary answer's tokens hardly move by less than this; below it an answer is becoming less likely.
DISPLACED = -0.1


@dataclass(frozen=True)
class Columns:
    """What two models say of each pair, in nats [P].

    margin               how much more chosen gained over the reference than rejected did, h
    reference            by how much the reference itself finds chosen likelier, of the whole answers and per token
    chosen_change, rejected_change  change of either answer's log-probability per token
    kl, entropy          KL(policy ‖ reference) and the policy's entropy, per token of both answers; None where not measured
    tokens               of either answer [P, 2]
    """

    margin: Floats
    reference: Floats
    reference_per_token: Floats
    chosen_change: Floats
    rejected_change: Floats
    tokens: Ints
    kl: Floats | None = None
    entropy: Floats | None = None


def about(pairs: Sequence[Pair], found: Columns, *, beta: float | None, topics: int) -> dict[str, Any]:
    """For eval.json, under the key `heldout`. beta: of the training; calibration needs it."""
    packed = Packed(pairs)
    sample = Sampled.of(packed, Keys.of(packed), Sample(pairs=max(len(pairs), 100)))
    right = right_by(found.margin)
    size = int(sample.group.max(initial=-1)) + 1
    pairs_of = np.bincount(sample.group, minlength=size)
    accuracy = share_of_clusters(np.bincount(sample.group, right, size), pairs_of)
    baselines = _baselines(sample, right, found)
    slices = sliced(packed, sample, right, topics=topics)
    figures: dict[str, Any] = {
        "pairs": len(pairs),
        "prompts": size,
        "accuracy": dict(zip(("value", "low", "high"), accuracy, strict=True)),
        "baselines": baselines,
        "slices": [asdict(each) for each in slices],
        "slices_apart": [f"{each.by}: {each.name}" for each in worst(slices)],
        "displacement": displacement(found),
    }
    if beta is not None:
        label = np.array([1.0 if pair.probability is None else pair.probability for pair in pairs])
        figures["beta"] = beta
        figures["calibration"] = asdict(calibration(beta * found.margin, label, group=sample.group))
    for name, column in (("kl_per_token", found.kl), ("entropy_per_token", found.entropy)):
        if column is not None:
            figures[name] = float(column.mean())
    return {**figures, "warnings": warnings_of(figures)}


def _baselines(sample: Sampled, right: Floats, found: Columns) -> dict[str, dict[str, float | str]]:
    """Each with its accuracy and interval, and what the model is above it on the same pairs, with interval and p."""
    rights = {name: baseline(sample) for name, baseline in BASELINES.items()}
    rights["reference's likelihood"] = right_by(found.reference)
    rights["reference's likelihood per token"] = right_by(found.reference_per_token)
    counts = np.bincount(sample.group)
    rows: dict[str, dict[str, float | str]] = {}
    for name, theirs in rights.items():
        if theirs is None:
            continue
        turned = name in ("longer wins", "list wins") and theirs.mean() < 0.5  # then the shorter one tells as much
        theirs, name = (1 - theirs, _TURNED[name]) if turned else (theirs, name)
        value, low, high = share_of_clusters(np.bincount(sample.group, theirs), counts)
        above, above_low, above_high, p = paired_difference(right, theirs, sample.group)
        rows[name] = {
            "accuracy": value, "low": low, "high": high,
            "above": above, "above_low": above_low, "above_high": above_high, "p": p,
        }  # fmt: skip
    return rows


_TURNED = {"longer wins": "shorter wins", "list wins": "fewer lists win"}


def warnings_of(figures: dict[str, Any]) -> list[str]:
    """What a reader of the accuracy must know, a sentence each."""
    accuracy, said = figures["accuracy"], []
    as_good = [
        f'"{name}" ({row["accuracy"]:.0%})'
        for name, row in figures["baselines"].items()
        if accuracy["low"] <= row["accuracy"] and row["above_low"] <= 0
    ]
    if as_good:
        said.append(
            f"the accuracy, {accuracy['value']:.0%} ({accuracy['low']:.0%} to {accuracy['high']:.0%}), is not certainly above "
            f"{', '.join(as_good)}"
        )
    if accuracy["low"] <= 0.5 <= accuracy["high"]:
        said.append(f"the interval of the accuracy ({accuracy['low']:.0%} to {accuracy['high']:.0%}) includes chance")
    found = figures.get("calibration")
    if found and found["ece"] > found["ece_chance_high"]:
        which = "surer than it is right" if found["over"] > 0 else "less sure than it is right"
        said.append(
            f"σ(β·h) is not the frequency with which it is right: ECE {found['ece']:.3f}, where a calibrated model shows "
            f"{found['ece_chance']:.3f} (up to {found['ece_chance_high']:.3f}); it is {which}"
        )
    gone = figures["displacement"]["share"]
    if gone["low"] > 0.5:
        said.append(f"chosen became less likely in {gone['hits'] / gone['total']:.0%} of the pairs: displacement")
    return said


def displacement(found: Columns) -> dict[str, Any]:
    """How chosen's log-probability per token moved: share of pairs in which it fell, and quantiles over pairs."""
    change = found.chosen_change
    fell = rate(int((change < 0).sum()), len(change))
    return {
        "share": asdict(fell),
        "far": asdict(rate(int((change < DISPLACED).sum()), len(change))),
        "far_below": DISPLACED,
        "quantiles": {f"{at:g}": float(np.quantile(change, at)) for at in (0.05, 0.25, 0.5, 0.75, 0.95)},
        "rejected_mean": float(found.rejected_change.mean()),
    }


def rows_of(pairs: Sequence[Pair], found: Columns) -> Iterator[dict[str, Any]]:
    """A row a pair, for other runs to be compared with pair by pair."""
    for place, pair in enumerate(pairs):
        yield {
            "id": pair.text_id,
            "prompt": Question(prompt=pair.prompt).id,
            "place": pair.source,
            "margin": float(found.margin[place]),
            "reference": float(found.reference[place]),
            "chosen_change_per_token": float(found.chosen_change[place]),
            "rejected_change_per_token": float(found.rejected_change[place]),
            "chosen_tokens": int(found.tokens[place, 0]),
            "rejected_tokens": int(found.tokens[place, 1]),
        }


def beta_of(model: str) -> float | None:
    """β with which a model was trained, if it lies in the folder of its run (RUN/model, RUN/best) and its loss has one."""
    manifest = Path(model).parent / "manifest.json"
    try:
        known = json.loads(manifest.read_text(encoding="utf-8"))
        given = {name: value for name, value in known["config"].items() if name in TrainConfig.model_fields}
        losses = TrainConfig.build(given).in_force["losses"] if known["step"] == "train" else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ValidationError, RatherError):
        return None  # somebody else's folder, or an older version's run: then --beta says it
    return next((float(o["beta"]) for o in losses.values() if isinstance(o.get("beta"), float | int)), None)
