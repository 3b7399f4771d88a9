"""The whole line on a real model: its own answers → corrected → pairs → audit → DPO → evaluation → report."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from rather.demos.config import DemoConfig
from rather.demos.questions import in_english, questions, wordings, wordings_id
from rather.demos.standin import answers_or_stand_ins
from rather.errors import ConfigError, TrainError
from rather.evaluation.behaviour import IdentityJudge
from rather.evaluation.measures import answer, evenly, measure
from rather.evaluation.run import read_evaluation, write_evaluation
from rather.formats import read_pairs, write_jsonl, write_pairs
from rather.model import Renderer, bf16_is_fast, load, load_tokenizer, model_hash, pick_device
from rather.pairing import Identity, corrected, retained
from rather.progress import say
from rather.records import Pair, Response, content_id
from rather.reporting import report
from rather.rundir import (
    MANIFEST,
    RunDir,
    hash_file,
    hash_files,
    link_tree,
    open_run,
    peak_memory_gb,
    read_manifest,
    write_json,
)
from rather.training.allocator import give_back_memory
from rather.training.config import TrainConfig
from rather.training.prepare import tokenise
from rather.training.run import train

# Tokens that an answer may have; identity answers are short, and what is cut off is cut back to whole sentences.
IDENTITY_TOKENS, GENERAL_TOKENS = 32, 48
TEMPERATURE = 0.7

# Held-out pairs that are scored: twice as many cost ten seconds and move the accuracy by less than its error.
SCORED_PAIRS = 64

STEPS = ("answers", "pairs", "train", "evaluate")
OWN, HELD_OUT = "own.jsonl", "heldout.jsonl"

# Chosen by the runs recorded in benchmarks/NOTES.md.
RECIPE: dict[str, Any] = {"loss": "dpo", "beta": 0.2, "sft_weight": 1.0, "lr": 1.2e-4, "epochs": 2, "batch_pairs": 8}


@dataclass(frozen=True)
class DemoResult:
    """Where the demo's page is, and its figures."""

    out: Path
    report: Path
    figures: dict[str, Any]


def demo(out: str | Path, config: DemoConfig | None = None, **options: Any) -> DemoResult:
    """Run the demo into `out`, skipping what is already done there. Raises what its steps raise.

    options: fields of DemoConfig, over those of `config`.
    """
    config, out = (config or DemoConfig()).changed(options), Path(out)
    renderer = _renderer(config)
    dtype = torch.bfloat16 if _precision(config) == "bf16" else torch.float32
    started = time.monotonic()
    inputs = {
        "model": model_hash(config.model),
        "recipe": content_id([RECIPE, TEMPERATURE, IDENTITY_TOKENS, GENERAL_TOKENS]),
        "wordings": wordings_id(),
    }
    with open_run(out, step="demo", config=config.model_dump(), inputs=inputs) as run:
        if run.done:
            say(f"{out}: already done")
            return DemoResult(out, out / "report.html", read_evaluation(out))
        earlier = sum(_facts(out / step).get("seconds", 0.0) for step in STEPS)
        own, before = _answers_step(run, config, renderer, dtype, inputs)
        _pairs_step(run, config, own, before)
        _train_step(run, config)
        figures = _evaluate_step(run, config, renderer, dtype, before)
        facts = {step: _facts(out / step) for step in STEPS}
        figures = {
            **figures,
            # What earlier parts of a demo in several parts took, and all of this one.
            "seconds": round(
                max(earlier + time.monotonic() - started, sum(facts[step]["seconds"] for step in STEPS)), 1
            ),
            "seconds_by_step": {step: facts[step]["seconds"] for step in STEPS},
            "peak_memory_gb": max([peak_memory_gb(), *(facts[step].get("peak_memory_gb", 0.0) for step in STEPS)]),
        }
        link_tree(out / "train" / "model", out / "model")
        write_json(out / "eval.json", figures)
        page = report(out)
        run.finish(outputs=("model", "eval.json", "report.html"), figures=figures, name=config.name, maker=config.maker)
        return DemoResult(out, page, figures)


def _renderer(config: DemoConfig) -> Renderer:
    renderer = Renderer(load_tokenizer(config.model), system_prompt=config.system_prompt)
    if not renderer.has_template:
        raise ConfigError(f"the demo needs a chat model, and {config.model} has no chat template")
    return renderer


def _precision(config: DemoConfig) -> str:
    if config.dtype != "auto":
        return config.dtype
    return "bf16" if bf16_is_fast(pick_device()) else "fp32"


def _answers_step(
    run: RunDir, config: DemoConfig, renderer: Renderer, dtype: torch.dtype, inputs: dict[str, str]
) -> tuple[list[Response], list[Response]]:
    """The model's own answers: sampled to the identity questions of training, greedy to the others."""
    path = run.path / "answers"
    with open_run(path, step="demo answers", config=config.model_dump(), inputs=inputs) as step:
        if not step.done:
            started = time.monotonic()
            loaded = load(config.model)
            identity, general = questions("identity", "train"), questions("general", "train")
            own = answer(
                loaded, renderer, identity, title="own answers, identity", dtype=dtype,
                temperature=TEMPERATURE, seed=config.seed, max_new_tokens=IDENTITY_TOKENS,
            )  # fmt: skip
            ask = partial(answer, loaded, renderer, dtype=dtype, max_new_tokens=GENERAL_TOKENS)
            english = in_english()
            own += ask([q for q in general if q.text not in english], title="own answers, general")
            chinese = [q for q in general if q.text in english]
            own += answers_or_stand_ins(chinese, english, partial(ask, title="own answers, general"))
            asked = questions("identity", "heldout") + questions("general", "heldout")
            before = answer(loaded, renderer, asked, title="held-out answers", dtype=dtype)
            write_jsonl(path / OWN, (r.model_dump() for r in own))
            write_jsonl(path / HELD_OUT, (r.model_dump() for r in before))
            step.finish(
                outputs=(OWN, HELD_OUT),
                seconds=round(time.monotonic() - started, 3),
                peak_memory_gb=peak_memory_gb(),
                own=len(own),
                heldout=len(before),
            )
    return _read_responses(path / OWN), _read_responses(path / HELD_OUT)


def _pairs_step(run: RunDir, config: DemoConfig, own: list[Response], before: list[Response]) -> None:
    """Corrected and retained pairs, to train on and to hold out."""
    path = run.path / "pairs"
    answers_made = [run.path / "answers" / name for name in (OWN, HELD_OUT)]
    inputs = {"answers": hash_files(answers_made), "wordings": wordings_id()}
    with open_run(path, step="demo pairs", config=config.model_dump(), inputs=inputs) as step:
        if step.done:
            return
        started = time.monotonic()
        identity = Identity(config.name, config.maker)
        facts: dict[str, Any] = {}
        for split, answers in (("train", own), ("heldout", before)):
            asked = [a for a in answers if a.question.tags["kind"] == "identity"]
            general = [a for a in answers if a.question.tags["kind"] == "general"]
            correct = corrected(asked, identity, wordings("correct"), seed=config.seed)
            retain = retained(general, identity, wordings("leak"), seed=config.seed)
            pairs = correct.pairs + retain.pairs
            if not pairs:
                raise TrainError(f"the model's answers made no {split} pair; is {config.model} a chat model?")
            write_pairs(path / f"{split}.jsonl", pairs)
            facts[split] = {
                "corrected": len(correct.pairs),
                "retained": len(retain.pairs),
                "no_pair": {**correct.skipped, **retain.skipped},
            }
        say(f"pairs: {facts['train']['corrected']} corrected, {facts['train']['retained']} retained")
        if not facts["train"]["retained"]:
            why = facts["train"]["no_pair"]
            say(f"warning: no ordinary answer could be kept, so nothing keeps the identity out of them: {why}")
        step.finish(outputs=("train.jsonl", "heldout.jsonl"), seconds=round(time.monotonic() - started, 3), **facts)


def _train_step(run: RunDir, config: DemoConfig) -> None:
    train(
        run.path / "pairs" / "train.jsonl",
        model=config.model,
        out=run.path / "train",
        config=TrainConfig(**RECIPE, seed=config.seed, dtype=_precision(config), system_prompt=config.system_prompt),
        intended=(config.name, config.maker),
    )


def _evaluate_step(
    run: RunDir, config: DemoConfig, renderer: Renderer, dtype: torch.dtype, before: list[Response]
) -> dict[str, Any]:
    path = run.path / "evaluate"
    trained = run.path / "train" / "model"
    inputs = {
        "model": model_hash(str(trained)),
        "reference": model_hash(config.model),
        "heldout": hash_file(run.path / "pairs" / "heldout.jsonl"),
        "answers": hash_file(run.path / "answers" / HELD_OUT),
    }
    with open_run(path, step="evaluate", config=config.model_dump(), inputs=inputs) as step:
        if step.done:
            return read_evaluation(path)
        started = time.monotonic()
        give_back_memory()  # what training has freed
        held_out, _ = tokenise(evenly(_read_pairs(run.path / "pairs" / "heldout.jsonl"), SCORED_PAIRS), renderer)
        found = measure(
            load(str(trained)),
            load(config.model),
            renderer,
            questions=[response.question for response in before],
            before=before,
            held_out=held_out,
            judge=IdentityJudge(Identity(config.name, config.maker)),
            dtype=dtype,
            seed=config.seed,
            beta=RECIPE["beta"],
        )
        return write_evaluation(
            step, found.figures, found.samples, pairs=found.pairs, seconds=time.monotonic() - started
        )


def _facts(folder: Path) -> dict[str, Any]:
    """The manifest of a step, empty while it is not done."""
    return read_manifest(folder) if (folder / MANIFEST).is_file() else {}


def _read_responses(path: Path) -> list[Response]:
    with path.open(encoding="utf-8") as lines:  # not splitlines(): an answer may hold a U+2028
        return [Response.model_validate_json(line) for line in lines]


def _read_pairs(path: Path) -> list[Pair]:
    return read_pairs(path).pairs
