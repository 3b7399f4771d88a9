"""What a round's policy is worth on held-out questions: beside the first model, and beside the round before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from rather.evaluation.judged import who_wins
from rather.evaluation.run import evaluate
from rather.evaluation.two_models import JUDGED_FOLDER, RESPONSES, add_unasked
from rather.evaluation.verdicts import Verdicts, read_verdicts
from rather.formats import write_jsonl
from rather.formats.responses import iter_responses, response_rows
from rather.judging.options import members_of
from rather.judging.run import judge
from rather.looping.config import LoopConfig
from rather.records import Question, Response
from rather.reporting import report
from rather.stats.intervals import rate, ratio
from rather.stats.winning import win_rate

PREVIOUS = "the round before"

KEPT = (
    "kl_detail", "suites", "forgetting", "lm_eval", "answers_before", "answers_after", "answers_changed",
)  # fmt: skip
"""Of eval.json, for round.json."""


def verify(
    config: LoopConfig,
    policy: str,
    heldout: Sequence[Question],
    *,
    panel: Path,
    out: Path,
    dtype: str,
    seed: int,
) -> dict[str, Any]:
    """Evaluate a policy beside the first model. For round.json: who wins by each judge, mean scores, KL, looks of the answers."""
    options: dict[str, Any] = {"panel": panel}
    if "max_new_tokens" not in config.evaluate.model_fields_set:
        options["max_new_tokens"] = config.generate.max_new_tokens
    figures = evaluate(
        policy, reference=config.model, out=out, questions=heldout, dtype=dtype, seed=seed,
        system_prompt=config.system_prompt, config=config.evaluate.changed(options),
    )  # fmt: skip
    report(out)
    facts = {name: figures[name] for name in KEPT if name in figures}
    judges = [member.signed for member in members_of((), {}, panel)]
    facts["judged"] = {name: _wins(figures.get("judged", {}), name, policy, len(heldout)) for name in judges}
    facts["scores"] = _scores(out, policy, config.model)
    return facts


def further(config: LoopConfig, best: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    """What is measured of the result alone; nothing where nothing is asked for."""
    table = config.result
    if not (table.suite or table.forgetting or table.lm_eval):
        return {}
    out = Path(best["folder"]) / "result"
    figures = evaluate(
        best["policy"], reference=config.model, out=out, dtype=dtype, system_prompt=config.system_prompt, config=table
    )
    report(out)
    return figures


def against(evaluated: Path, policy: str, before: Path | None, *, panel: Path, out: Path) -> dict[str, dict[str, Any]]:
    """judge → how often the policy's held-out answers are better than those of the round before, from files of both.

    before: the answers of the round before; None in the first round, whose first model the evaluation itself is against.
    """
    judges = [member.signed for member in members_of((), {}, panel)]
    now = [answer for answer in _answers(evaluated / RESPONSES) if answer.model == policy]
    if before is None:
        verdicts, old = read_verdicts([evaluated / JUDGED_FOLDER]), _others(evaluated / RESPONSES, policy)
    else:
        last = _others(before, None)
        old = [answer.model_copy(update={"model": PREVIOUS}) for answer in last]
        if all(new.text == was.text for new, was in zip(now, old, strict=True)):
            return {name: asdict(win_rate(np.full(len(now), 0.5))) for name in judges}
        out.mkdir(exist_ok=True)
        file = out.parent / "both.jsonl"
        write_jsonl(file, response_rows([*old, *now]))
        judge(file, out=out, panel=panel, skip_bad=True)
        verdicts = read_verdicts([out])
    add_unasked(verdicts, list(zip(old, now, strict=True)))
    said = who_wins(verdicts, old[0].model) if verdicts.by_judge else {}
    return {name: _wins(said, name, policy, len(now)) for name in judges}


def _others(file: Path, policy: str | None) -> list[Response]:
    """The reference's answers of an evaluation, or without `policy` the policy's own: those that stand second."""
    answers = _answers(file)
    half = len(answers) // 2
    return answers[half:] if policy is None else answers[:half]


def _answers(file: Path) -> list[Response]:
    return [found for found in iter_responses(file) if isinstance(found, Response)]


def _wins(judged: Mapping[str, Any], judge: str, policy: str, prompts: int) -> dict[str, Any]:
    """A judge's win rate of the policy. One that found no two different answers to compare finds them all equal."""
    found = judged.get(judge, {}).get("models", {}).get(policy)
    return asdict(win_rate(np.full(prompts, 0.5))) if found is None else dict(found)


def _scores(evaluated: Path, policy: str, first: str) -> dict[str, dict[str, Any]]:
    """judge → mean score of the answers before and after with its interval, of judges that rate."""
    folder = evaluated / JUDGED_FOLDER
    if not folder.is_dir():
        return {}
    verdicts, answers = read_verdicts([folder]), _answers(evaluated / RESPONSES)
    half = len(answers) // 2
    sides = {"before": answers[:half], "after": answers[half:]}
    return {name: {side: _mean(verdicts, name, own) for side, own in sides.items()} for name in sorted(verdicts.scores)}


def _mean(verdicts: Verdicts, judge: str, answers: Sequence[Response]) -> dict[str, Any]:
    scores = verdicts.scores[judge]
    found = [np.mean(scores[key]) for a in answers if (key := (a.question.id, a.text)) in scores]
    if len(found) < 2:  # of one alone nobody knows the spread
        return {"value": float(found[0]) if found else None, "low": None, "high": None, "answers": len(found)}
    if set(found) <= {0.0, 1.0}:  # a rule that is kept or not
        kept = rate(int(sum(found)), len(found))
        value, low, high = kept.value, kept.low, kept.high
    else:
        value, low, high = ratio(np.array(found), np.ones(len(found)))
    return {"value": value, "low": low, "high": high, "answers": len(found)}
