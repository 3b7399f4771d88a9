"""The part of an evaluation that asks two models: held-out examples, questions, suites, what was forgotten, and judges."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from rather.errors import ConfigError, InputError
from rather.evaluation import run as whole
from rather.evaluation.behaving import asked_suites, require_askable
from rather.evaluation.behaviour import IdentityJudge
from rather.evaluation.config import EvaluateConfig
from rather.evaluation.forgetting import forgetting
from rather.evaluation.harness import lm_eval_figures, require_lm_eval
from rather.evaluation.held_out import beta_of
from rather.evaluation.judged import who_wins
from rather.evaluation.measures import Measured, answer, measure
from rather.evaluation.suites import Suite
from rather.evaluation.verdicts import Verdicts, read_verdicts
from rather.formats import Source, load_examples, name_of, require_clean, rows_said, say_refused, write_jsonl
from rather.formats.responses import response_rows
from rather.judging.options import members_of
from rather.judging.run import judge
from rather.model import Renderer, TokenExample, load, load_tokenizer, model_hash
from rather.progress import say
from rather.records import JUDGED, NOUNS, Question, Response, content_id
from rather.rundir import RunDir, open_run
from rather.training.prepare import tokenise_examples

RESPONSES, JUDGED_FOLDER = "responses.jsonl", "judged"


@dataclass(frozen=True)
class Asked:
    """What an evaluation of two models was asked for."""

    model: str
    reference: str
    pairs: Source | None
    questions: tuple[Question, ...]
    identity: IdentityJudge | None
    suites: Sequence[Suite]
    limit: int | None
    as_chat: bool
    skip_bad: bool
    system_prompt: str | None
    max_length: int
    dtype: str
    seed: int
    config: EvaluateConfig

    @property
    def judged_by(self) -> bool:
        return bool(self.config.by) or self.config.panel is not None


def evaluate_two(
    asked: Asked, *, out: Path, plan: dict[str, Any], inputs: dict[str, str], started: float
) -> dict[str, Any]:
    """Everything from the tokenizers to the manifest. Raises what reading and loading raise."""
    renderer, held_out = _prepared(asked)
    require_askable(asked.suites, asked.identity)
    if asked.judged_by:
        members_of(asked.config.by, {}, asked.config.panel)  # a wrong one is said before the work
    if asked.config.lm_eval:
        require_lm_eval()
    inputs = {
        "model": model_hash(asked.model),
        "reference": model_hash(asked.reference),
        "pairs": content_id([item.record.id for item in held_out]),
        **inputs,
    }
    with open_run(out, step="evaluate", config=plan, inputs=inputs) as run:
        if run.done:
            say(f"{out}: already evaluated")
            return whole.read_evaluation(out)
        return _measured(run, asked, renderer, held_out, started=started)


def _prepared(asked: Asked) -> tuple[Renderer, list[TokenExample]]:
    """Tokenizer and held-out examples, with every complaint that needs no weights."""
    tokenizer = load_tokenizer(asked.model)
    if load_tokenizer(asked.reference).get_vocab() != tokenizer.get_vocab():
        raise ConfigError(
            f"{asked.model} and {asked.reference} have different tokenizers, so their probabilities cannot be compared"
        )
    renderer = Renderer(tokenizer, max_length=asked.max_length, system_prompt=asked.system_prompt)
    held_out: list[TokenExample] = []
    if asked.pairs is not None:
        records, refused, rows = load_examples(asked.pairs, limit=asked.limit, as_chat=asked.as_chat)
        held_out, unfit = tokenise_examples(records, renderer)
        if not asked.skip_bad:
            require_clean(refused + unfit, rows)
        if not held_out:
            raise InputError(f"{name_of(asked.pairs)}: nothing to score in {rows_said(rows)}")
        say_refused(refused + unfit, rows)
        _say_unused(held_out, calibrated=_beta(asked) is not None)
    prompts = [question.prompt for question in asked.questions] + [item.record.prompt for item in held_out]
    prompts += [item.question.prompt for suite in asked.suites for item in suite.items]
    renderer.require_system_prompt_acts(prompts)
    return renderer, held_out


def _beta(asked: Asked) -> float | None:
    return asked.config.beta or beta_of(asked.model)


def _say_unused(held_out: Sequence[TokenExample], *, calibrated: bool) -> None:
    kind = held_out[0].record.kind
    said = [name for name in JUDGED if any(getattr(item.record, name, None) is not None for item in held_out)]
    said = [name for name in said if not (name == "probability" and calibrated)]  # the calibration reads it
    if said:
        say(f"note: {' and '.join(said)} of the {NOUNS[kind]} are not used here: all count alike")
    if kind == "pair" and not calibrated:
        say("note: calibration is not measured: the model lies in no training run's folder; --beta says its β")


def _measured(
    run: RunDir, asked: Asked, renderer: Renderer, held_out: list[TokenExample], *, started: float
) -> dict[str, Any]:
    config = asked.config
    precision = torch.bfloat16 if asked.dtype == "bf16" else torch.float32
    policy, base = load(asked.model), load(asked.reference)
    ask = partial(answer, dtype=precision, max_new_tokens=config.max_new_tokens)
    before = ask(base, renderer, asked.questions, title="answers before")
    measured = measure(
        policy, base, renderer,
        questions=asked.questions, before=before, held_out=held_out, judge=asked.identity, dtype=precision,
        seed=asked.seed, beta=_beta(asked), topics=config.topics, max_new_tokens=config.max_new_tokens,
        kl_samples=config.kl_samples,
    )  # fmt: skip
    figures, suite_rows = dict(measured.figures), []
    if config.forgetting:
        figures["forgetting"] = forgetting(policy, base, renderer, dtype=precision)
    if asked.suites:
        figures["suites"], suite_rows = asked_suites(
            asked.suites, policy, base, renderer,
            identity=asked.identity, dtype=precision, max_new_tokens=config.suite_tokens,
        )  # fmt: skip
    if config.lm_eval:
        figures["lm_eval"] = lm_eval_figures(config.lm_eval, policy, base, limit=config.lm_eval_limit)
    generated = time.monotonic() - started
    del policy, base  # judges may be large
    if asked.judged_by:
        figures["judged"] = _judged(run, asked, before, measured)
    if config.judgments:
        given = whole.judged_figures(None, config, skip_bad=asked.skip_bad)
        figures |= {**given, "judged": {**figures.get("judged", {}), **given.get("judged", {})}}
    seconds = time.monotonic() - started
    return whole.write_evaluation(
        run, figures, measured.samples, seconds=seconds, pairs=measured.pairs, suites=suite_rows,
        seconds_of_models=round(generated, 3), name=asked.model, reference=asked.reference,
    )  # fmt: skip


def _judged(run: RunDir, asked: Asked, before: Sequence[Response], measured: Measured) -> dict[str, Any]:
    """Ask the judges about both models' answers, where there is something to ask."""
    # Under the names by which the user knows them.
    before = [answer.model_copy(update={"model": asked.reference}) for answer in before]
    after = [answer.model_copy(update={"model": asked.model}) for answer in measured.after]
    write_jsonl(run.path / RESPONSES, response_rows([*before, *after]))
    folder = run.path / JUDGED_FOLDER
    both = list(zip(before, after, strict=True))
    try:
        judge(
            run.path / RESPONSES, by=asked.config.by, panel=asked.config.panel, out=folder, skip_bad=True,
        )  # fmt: skip
    except InputError:
        if any(new.text != old.text and new.text.strip() and old.text.strip() for old, new in both):
            raise
        return {}  # who compares answers finds none that differ
    verdicts = read_verdicts([folder])
    add_unasked(verdicts, both)
    return who_wins(verdicts, before[0].model) if verdicts.by_judge else {}


def add_unasked(verdicts: Verdicts, both: Sequence[tuple[Response, Response]]) -> None:
    """What no judge is asked for: two equal answers tie, and one that says nothing loses to one that says something."""
    for gathered in verdicts.by_judge.values():
        for old, new in both:
            said = bool(new.text.strip()), bool(old.text.strip())
            if new.text == old.text or not all(said):
                points = 0.5 if said[0] == said[1] else float(said[0])
                gathered.add((new.model, old.model), points, (new.text, old.text), old.question.id, False)
