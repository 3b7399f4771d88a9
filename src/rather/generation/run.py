"""`rather generate`: questions → candidate answers, each asked for once, whatever interrupts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import import_module
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import Any

from rather.errors import ConfigError, InputError
from rather.formats import Refusal, require_clean, say_refused, write_jsonl, write_pairs, write_refused
from rather.formats.questions import Placed, as_chat, iter_questions
from rather.formats.responses import NAME, iter_responses, response_rows
from rather.formats.sources import files_of
from rather.generation import BACKENDS
from rather.generation.answering import Answerer
from rather.generation.config import NEUTRAL_OPTIONS, GenerateConfig
from rather.generation.correction import edit_asks, edits
from rather.generation.diversity import Diversity
from rather.generation.log import Log
from rather.generation.plan import Answer, Ask, plan
from rather.onray.cluster import wanted
from rather.onray.spread import Workers
from rather.pairing.correct import Rules, edited, read_rules
from rather.pairing.correct import correct as correct_by_rules
from rather.pairing.identity import Made
from rather.progress import say, task
from rather.records import Response
from rather.records.base import usable
from rather.rundir import (
    RunDir,
    hash_file,
    hash_files,
    open_run,
    peak_memory_gb,
    read_manifest,
    require_usable,
    sweep_scratch,
    write_json,
)

LOG, REFUSED, DIVERSITY = "answers.jsonl", "refused.jsonl", "diversity.json"
PAIRS, EDITS = "pairs.jsonl", "edits.jsonl"


@dataclass(frozen=True)
class Generated:
    """Where the answers are, and what was counted."""

    responses: Path
    figures: dict[str, Any]
    pairs: Path | None = None


@dataclass
class Tally:
    """What is counted while the answers are written."""

    refused: list[Refusal] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    diversity: Diversity = field(default_factory=Diversity)


def generate(
    questions: str | Path,
    *,
    out: str | Path,
    model: str | Sequence[str] = (),
    limit: int | None = None,
    as_chat: bool = False,
    skip_bad: bool = False,
    correct: str | Path | None = None,
    ray: int | None = None,
    ray_address: str | None = None,
    config: GenerateConfig | None = None,
    **options: Any,
) -> Generated:
    """Answers to the questions in a file, into `out`. The same call goes on where one was stopped.

    correct: a file of rules; with it, or with `correct_with`, answers and their corrections also become pairs. ray: so many
    workers of a cluster answer, of the one at `ray_address` where that is given.
    options: fields of GenerateConfig, over those of `config`. Raises what reading, loading and asking raise.
    """
    config, out, file = (config or GenerateConfig()).changed(options), Path(out), Path(questions)
    models = _models(model, config)
    backend = import_module(BACKENDS["api" if config.api else config.backend])
    rules = _rules(correct, config)
    cluster = wanted(ray, ray_address)
    require_usable(out)
    asked, refused, rows = _read(file, limit, as_chat=as_chat)
    if not skip_bad:
        require_clean(refused, rows)
    say_refused(refused, rows)
    asks = list(plan(asked, models, config))
    inputs = _inputs(backend, {"questions": file, "rules": correct}, [*models, config.correct_with])
    settings = {**config.model_dump(exclude=set(NEUTRAL_OPTIONS)), "models": models, "limit": limit, "as_chat": as_chat}
    with open_run(out, step="generate", config=settings, inputs=inputs) as run, ExitStack() as stack:
        if run.done:
            say(f"{out}: already done")
            return _result(out, read_manifest(out)["figures"])
        sweep_scratch(out)
        started = time.monotonic()
        workers = None if cluster is None else stack.enter_context(Workers(cluster))
        answerer = Answerer(backend, config, workers)
        with Log(out / LOG) as log:
            before = len(log)
            _ask_all("answers", answerer, asks, log, skip_bad=skip_bad)
            tally = _write(run, asks, log, refused)
            asked_now = len(log) - before
        figures = _figures(tally, asked_now, time.monotonic() - started)
        write_json(out / DIVERSITY, tally.diversity.figures())
        outputs = [NAME, REFUSED, DIVERSITY, LOG]
        if rules is not None:
            figures["correction"] = _write_pairs(out, correct_by_rules(_written(out), rules))
            outputs += [PAIRS]
        elif config.correct_with:
            figures["correction"] = _write_pairs(out, _edited(out, answerer, skip_bad=skip_bad))
            outputs += [PAIRS, EDITS]
        run.finish(outputs=outputs, figures=figures)
        return _result(out, figures)


def _inputs(
    backend: ModuleType, files: Mapping[str, str | Path | None], models: Sequence[str | None]
) -> dict[str, str]:
    """What the answers depend on, by content."""
    found = {name: _hash_of(file) for name, file in files.items() if file is not None}
    for model in dict.fromkeys(models):
        if model is not None:
            found |= backend.inputs(model)
    return found


def _hash_of(source: str | Path) -> str:
    files = files_of(source)
    return hash_file(files[0]) if len(files) == 1 else hash_files(files)


def _result(out: Path, figures: dict[str, Any]) -> Generated:
    return Generated(out / NAME, figures, out / PAIRS if "correction" in figures else None)


def _models(given: str | Sequence[str], config: GenerateConfig) -> list[str]:
    """Who answers. Raises ConfigError where nobody does, or two kinds."""
    models = [given] if isinstance(given, str) else list(given)
    if models and config.api:
        raise ConfigError("--model and --api exclude each other: a model in this process, or one behind a server")
    if not models and not config.api:
        raise ConfigError("name what answers: --model, or --api with --api-model")
    if len(set(models)) < len(models):
        raise ConfigError("--model has one value twice; --n asks for more answers")
    return models or list(config.api_model)


def _rules(file: str | Path | None, config: GenerateConfig) -> Rules | None:
    """The rules in a file. Raises ConfigError also where a model is to correct as well."""
    if file is None:
        return None
    if config.correct_with:
        raise ConfigError("--correct and --correct-with exclude each other: rules, or a model")
    return read_rules(Path(file))


def _read(file: Path, limit: int | None, *, as_chat: bool) -> tuple[list[Placed], list[Refusal], int]:
    """Each question once, with its place; refusals; rows read. Raises InputError if no question is left."""
    found: dict[str, Placed] = {}
    refused: list[Refusal] = []
    rows = 0
    texts = 0
    for item in iter_questions(file):
        rows += 1
        if isinstance(item, Refusal):
            refused.append(item)
            continue
        place, question = item
        texts += isinstance(question.prompt, str)
        if as_chat:
            question = _as_chat(question)
        found.setdefault(question.id, (place, question))
        if limit is not None and len(found) >= limit:
            break
    if not found:
        raise InputError(f"{refused[0].place}: {refused[0].reason}; no question is left")
    _say_read(file, rows - len(refused) - len(found), texts, as_chat=as_chat)
    return list(found.values()), refused, rows


_as_chat = as_chat  # the option has the function's name


def _say_read(file: Path, again: int, texts: int, *, as_chat: bool) -> None:
    if as_chat and not texts:
        raise ConfigError("--as-chat does nothing: every question is a conversation already")
    if again:
        say(f"note: {file}: {again:,} rows ask what another row asks; each question is asked once")
    if texts and not as_chat:
        say(
            f"note: {file}: {texts:,} of the prompts are plain text, which is continued; --as-chat asks it as questions"
        )


def _ask_all(title: str, answerer: Answerer, asks: Sequence[Ask], log: Log, *, skip_bad: bool) -> None:
    """Ask what the log does not hold, model by model."""
    left = [ask for ask in asks if ask not in log]
    if len(left) < len(asks):
        say(f"{len(asks) - len(left):,} of {len(asks):,} {title} are there already")
    if not left:
        return
    with task(title, len(asks), done=len(asks) - len(left)) as bar:

        def done(ask: Ask, answer: Answer) -> None:
            if answer.refused is not None and not skip_bad:
                raise InputError(f"{ask.place}: {answer.refused}; remove the row or pass --skip-bad")
            log.add(ask, answer)
            bar.advance()

        for model in dict.fromkeys(ask.model for ask in left):
            answerer.answer(model, [ask for ask in left if ask.model == model], done)


def _write(run: RunDir, asks: Sequence[Ask], log: Log, refused: Sequence[Refusal]) -> Tally:
    """Write responses.jsonl and refused.jsonl, a question at a time, identical answers merged."""
    tally = Tally(list(refused))
    tally.counts["rows_refused"] = len(refused)
    write_jsonl(run.path / NAME, response_rows(_responses(asks, log, tally)))
    write_refused(run.path / REFUSED, tally.refused)
    if not tally.counts["responses"]:
        raise InputError(f"no answer says anything; the first: {tally.refused[0].place}: {tally.refused[0].reason}")
    return tally


def _responses(asks: Sequence[Ask], log: Log, tally: Tally) -> Iterator[Response]:
    for _, group in groupby(asks, key=lambda ask: ask.question.id):
        merged: dict[str, Response] = {}
        texts: list[str] = []
        for ask in group:
            answer = log.get(ask)
            response = _usable(ask, answer, tally)
            if response is None:
                continue
            texts.append(response.text)
            tally.counts["unfinished"] += answer.finished is False
            tally.counts["tokens"] += len(answer.tokens or ())
            if (same := merged.get(response.id)) is not None:
                response = same.model_copy(update={"count": same.count + 1})
            merged[response.id] = response
        tally.counts["answers"] += len(texts)
        tally.counts["merged"] += len(texts) - len(merged)
        tally.counts["responses"] += len(merged)
        tally.counts["questions"] += 1
        tally.diversity.add(texts)
        yield from merged.values()


def _usable(ask: Ask, answer: Answer, tally: Tally) -> Response | None:
    """The answer as a record; None, counted and listed, where it is no candidate."""

    def refuse(kind: str, reason: str) -> None:
        tally.counts[kind] += 1
        tally.refused.append(Refusal(ask.place, f"{ask.model}, answer {ask.number + 1}: {reason}"))

    if answer.refused is not None:
        return refuse("not_asked", answer.refused)
    if not answer.text.strip():
        return refuse("empty", "says nothing")
    try:
        usable(answer.text)
    except ValueError as error:
        return refuse("unusable", str(error))
    return Response(
        question=ask.question, text=answer.text, model=ask.model, tokens=answer.tokens, seed=ask.seed,
        finished=answer.finished, temperature=ask.temperature, system=ask.system,
    )  # fmt: skip


def _written(out: Path) -> Iterator[Response]:
    return (response for response in iter_responses(out / NAME) if isinstance(response, Response))


def _edited(out: Path, answerer: Answerer, *, skip_bad: bool) -> Made:
    """What a model makes of each answer when it is told what to change; asked for once, as the answers are."""
    config = answerer.config
    asked = list(edit_asks(_written(out), config.correct_with or "", config.instruction or ""))
    with Log(out / EDITS) as log:
        _ask_all("edits", answerer, [ask for _, ask in asked], log, skip_bad=skip_bad)
        made = edited(edits(asked, log))
    if unasked := sum(1 for _ in _written(out)) - len(asked):
        made.skipped["no whole sentence, or the editor's own marks"] = unasked
    return made


def _write_pairs(out: Path, made: Made) -> dict[str, Any]:
    """Write pairs.jsonl. Raises InputError where there is none to write."""
    if not made.pairs:
        why = ", ".join(f"{reason}: {count:,}" for reason, count in made.skipped.items())
        raise InputError(f"{out / NAME}: no answer makes a pair ({why}); correct something else")
    write_pairs(out / PAIRS, made.pairs)
    return {"pairs": len(made.pairs), "skipped": dict(made.skipped)}


def _figures(tally: Tally, asked_now: int, seconds: float) -> dict[str, Any]:
    counted = {name: tally.counts[name] for name in (
        "questions", "answers", "responses", "merged", "unfinished", "empty", "unusable", "not_asked", "rows_refused",
        "tokens",
    )}  # fmt: skip
    return {
        **counted,
        "diversity": tally.diversity.figures(),
        "asked_in_last_run": asked_now,
        "seconds_of_last_run": round(seconds, 3),
        "peak_memory_gb": peak_memory_gb(),
    }
