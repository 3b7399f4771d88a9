"""Checks for words, and pairs of words, that tell chosen from rejected, and for those that are declared as the lesson."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rather.auditing.findings import EXAMPLES, AuditInput, shown
from rather.auditing.material.words import FUNCTION_WORDS, as_written, words_of
from rather.auditing.shortcuts.antisymmetric import Told, curve, told
from rather.auditing.shortcuts.families import LEAST, bars, common_words
from rather.auditing.shortcuts.vocabulary import Sparse, Telling, vocabulary
from rather.records import Finding, Shown, Verdict

WORDS_LISTED = 12


def intended_words(given: AuditInput) -> list[Finding]:
    """Words declared as intended that excuse nothing, because no answer has them or nearly every text would."""
    if not given.intended or not given.pairs:
        return []
    said = {word for sides in given.pairs for side in sides for word in words_of(side)}
    common = [text for text in given.intended if not set(words_of(text)) - FUNCTION_WORDS]
    absent = [
        text for text in given.intended if text not in common and not said & (set(words_of(text)) - FUNCTION_WORDS)
    ]
    wrong = [f"not a word that can be a lesson: {_quoted(common)}"] if common else []
    wrong += [f"in no answer: {_quoted(absent)}"] if absent else []
    return [
        Finding(
            check="intended_words",
            verdict="warn" if wrong else "pass",
            message="; ".join(wrong) or "every intended word is there",
            cure="correct --intended or leave it out" if wrong else "",
            count=len(common) + len(absent),
            total=len(given.intended),
        )
    ]


def telling_words(given: AuditInput) -> list[Finding]:
    """Words, and pairs of words, that tell the label by themselves, those declared as intended aside.

    For each the prompts are counted in which one side alone has it; a fair word stands on either side equally often; of a
    ranked list the best answer stands against the last. Two-sided sign tests, Benjamini–Hochberg over all that occur so in at
    least 8 prompts.
    """
    limits, sample = given.thresholds.telling_words, given.sample
    words = vocabulary(sample, limits.prompts)
    if not words.words:
        return []
    telling = Telling.of(words, sample.group)
    places = telling.named(limits.level)
    rows: list[dict[str, Any]] = [telling.row(place) for place in places]
    unintended = [row for row in rows if not row["intended"]]
    # What matters is how many pairs one unintended word decides, and how surely. It never stops a run unless asked to:
    # only the user knows whether the word is the lesson.
    worst = float(np.abs(telling.decides[[place for place in places if not telling.intended[place]]]).max(initial=0.0))
    verdict: Verdict = "warn" if worst >= limits.warn else "pass"
    if limits.stop is not None and worst >= limits.stop:
        verdict = "stop"
    named = ", ".join(
        f'"{as_written(row["word"])}" ({row["side"]} in {row["share"]:.0%} of {row["prompts"]})'
        for row in unintended[:3]
    )
    model = _model(given)
    silenced = ", ".join(f'"{row["word"]}"' for row in rows if row["intended"] and " " not in str(row["word"]))
    return [
        Finding(
            check="telling_words",
            verdict=verdict,
            message=(f"words that tell the label: {named}" if named else "no unintended word tells the label")
            + (f"; intended: {silenced}" if silenced else "")
            + sample.said,
            cure="vary the wording, or declare what is meant with --intended" if verdict != "pass" else "",
            count=len(unintended),
            total=len(words.words),
            examples=_with_word(given, words.words, words.has, unintended),
            evidence={"words": _written(rows[:WORDS_LISTED]), "worst": worst, "warn_at": limits.warn, "stop_at": limits.stop,
                      "level": limits.level, **({} if model is None else {"model": model.as_evidence()})},
            plots=(
                *([bars("Words that tell the label", _written(unintended[:WORDS_LISTED]), "word")] if unintended else []),
                *([] if model is None else [curve("words alone", model)]),
            ),
        )
    ]  # fmt: skip


def _model(given: AuditInput) -> Told | None:
    """The cross-validated model of unintended words alone; None where there is nothing to learn it from."""
    words, group = common_words(given), given.sample.group
    return told(words, given.sample) if words.shape[1] and int(group.max(initial=-1)) + 1 >= LEAST else None


def _with_word(
    given: AuditInput, words: Sequence[str], has: Sparse, rows: Sequence[dict[str, Any]]
) -> tuple[Shown, ...]:
    """Pairs that the strongest words decide, in turn."""
    sample, found = given.sample, []
    for row in rows[:EXAMPLES]:
        side = 1 if row["side"] == "chosen" else -1
        column = has[:, [words.index(str(row["word"]))]].toarray().ravel()
        found += [
            (sample.rows[place], row["word"]) for place in np.flatnonzero(column == side)[: EXAMPLES // len(rows) + 1]
        ]
    return tuple(shown(given.records[int(row)], f'"{as_written(word)}"') for row, word in found[:EXAMPLES])


def _written(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "word": as_written(row["word"])} for row in rows]


def _quoted(texts: Sequence[str]) -> str:
    return ", ".join(f'"{text}"' for text in texts)
