"""Pairs left out because learning from them would make the better answer less likely, too (Razin et al. 2024)."""

from __future__ import annotations

from pathlib import Path

from rather.errors import NothingToPair
from rather.formats import WRITERS, read_pairs, say_refused, write_jsonl
from rather.looping.config import LoopConfig
from rather.progress import task
from rather.records import Pair
from rather.rundir import hash_file, open_run, read_manifest, sweep_scratch

PAIRS, DROPPED = "pairs.jsonl", "dropped.jsonl"


def without_risky(out: Path, pairs: Path, model: str, config: LoopConfig) -> int:
    """Write `out/pairs.jsonl` without the share of highest CHES by `model`, and these as `out/dropped.jsonl`; how many they are."""
    from rather.model import model_hash

    settings = {
        "share": config.drop_risky,
        "max_length": config.train.max_length,
        "system_prompt": config.system_prompt,
    }
    inputs = {"pairs": hash_file(pairs), "model": model_hash(model)}
    with open_run(out, step="loop risk", config=settings, inputs=inputs) as step:
        if not step.done:
            sweep_scratch(step.path)
            kept, dropped = _apart(pairs, model, config)
            write_jsonl(out / PAIRS, (WRITERS["pair"].write(pair) for pair in kept))
            write_jsonl(out / DROPPED, (WRITERS["pair"].write(pair) for pair in dropped))
            step.finish(outputs=(PAIRS, DROPPED), kept=len(kept), dropped=len(dropped))
    return int(read_manifest(out)["dropped"])


def _apart(file: Path, model: str, config: LoopConfig) -> tuple[list[Pair], list[Pair]]:
    """Those that stay, and those that do not, the riskiest first. Imports torch."""
    from rather.model import Renderer, load, load_tokenizer
    from rather.model.ches import ches_scores
    from rather.training.prepare import tokenise

    read = read_pairs(file)
    renderer = Renderer(load_tokenizer(model), max_length=config.train.max_length, system_prompt=config.system_prompt)
    items, refused = tokenise(read.pairs, renderer)
    say_refused(refused, len(read.pairs))
    weights, scores = load(model).model.eval(), []
    with task("displacement risk", len(items)) as bar:
        for item in items:
            scores.append(float(ches_scores(weights, [item.samples], by_length=True)[0]))
            bar.advance()
    riskiest = sorted(range(len(items)), key=lambda place: -scores[place])[: round(config.drop_risky * len(items))]
    chosen = set(riskiest)
    kept = [item.pair for place, item in enumerate(items) if place not in chosen]
    if not kept:
        raise NothingToPair("no pair is left once the riskiest are dropped; lower drop_risky")
    return kept, [items[place].pair for place in riskiest]
