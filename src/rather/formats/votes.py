"""Votes on pairs of answers that stand in another file, joined by the pair's `id`.

    pairs:  {"id": 7, "text": "…", "result_x": "…", "result_y": "…", "model_x": 97, "model_y": 98}
    votes:  id,worker,winner,left,right
            7,58,right,Airoboros L2 70B,Weaver 12k

The first answer was shown on the left. `winner` is left, right or tie; `left` and `right` name the models. A column `by` says what
kind of judge voted (person, model, metric or behaviour); without it all are people, unless `--by` says otherwise of the whole file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

from rather.errors import ConfigError, InputError, RowError
from rather.formats.refusals import Refusal
from rather.formats.rows import read_rows
from rather.formats.sources import source_rows
from rather.formats.values import Row, made, short, text_of, time_of, user_turn, word_of
from rather.records import By, Comparison, Message, Preference

WINNERS: dict[str, Preference] = {
    "left": "a", "right": "b", "a": "a", "b": "b", "model_a": "a", "model_b": "b", "1": "a", "2": "b", "tie": "tie",
    "both_bad": "both_bad", "bothbad": "both_bad", "tie (bothbad)": "both_bad",
}  # fmt: skip
"""What the field's files call the better of two answers."""

# The names under which a file of pairs holds its question and its two answers.
_QUESTIONS = ("text", "prompt", "instruction", "question")
_ANSWERS = (("result_x", "result_y"), ("answer_a", "answer_b"), ("response_a", "response_b"), ("output_1", "output_2"))

_Answers = tuple[tuple[Message, ...], tuple[str, str], dict[str, str]]


def read_votes(
    pairs: str | Path, votes: str | Path, *, judge: str | None = None, by: By | None = None
) -> Iterator[Comparison | Refusal]:
    """Every vote as a comparison in the order of its file, and a Refusal for each that cannot be used. Holds the pairs in memory.

    pairs: the answers, two a row with an id.
    votes: who voted for which side of which id.
    judge: who voted, where the votes have no column `worker`, `judge` or `annotator`. by: what kind of judge, where they have no
    column `by`; a person if nobody says.
    Raises InputError where a file as a whole cannot be read, ConfigError where nobody says who voted, or two do.
    """
    answers = _answers(Path(pairs))
    yield from each_vote(votes, lambda row: _vote(row, answers, judge, by), judge, by)


def each_vote(
    votes: str | Path, vote: Callable[[Row], Comparison], judge: str | None, by: By | None
) -> Iterator[Comparison | Refusal]:
    """`vote` of every row with its place, and a Refusal for each row that cannot be used. Raises as `read_votes`."""
    rows = 0
    for place, row in source_rows(votes):
        rows += 1
        if isinstance(row, RowError):
            yield Refusal(place, row.reason)
            continue
        if rows == 1:
            require_vote(row, place, judge, by)
        try:
            yield vote(row).model_copy(update={"source": place})
        except RowError as error:
            yield Refusal(place, error.reason)
    if rows == 0:
        raise InputError(f"{votes}: is empty; it must hold at least one row")


def verdict_of(value: object, name: str) -> Preference:
    """The better answer in the records' own word. Raises RowError for a word that is not known."""
    verdict = WINNERS.get(value.strip().lower()) if isinstance(value, str) else None
    if verdict is None:
        raise RowError(f'"{name}" is {short(value)!r}; known are {", ".join(WINNERS)}')
    return verdict


def _vote(row: Row, answers: dict[str, _Answers | RowError], judge: str | None, by: By | None) -> Comparison:
    pair = word_of(row.get("id"), "id")
    if pair not in answers:
        raise RowError(f'"id" is {short(pair)!r}, and the file of pairs has none of that id')
    found = answers[pair]
    if isinstance(found, RowError):
        raise found
    prompt, texts, tags = found
    names = (row.get("left"), row.get("right"))
    return made(
        Comparison,
        prompt=prompt,
        answers=texts,
        models=None if None in names else names,
        judge=judge or word_of(row.get(voter_column(row) or ""), "worker"),
        by=kind_of_judge(row, by),
        verdict=verdict_of(row.get("winner"), "winner"),
        at=time_of(row.get("time"), "time"),
        tags={"pair": pair, **tags},
    )


def voter_column(row: Row) -> str | None:
    """The column that says who voted."""
    return next((name for name in ("worker", "judge", "annotator") if name in row), None)


def kind_of_judge(row: Row, by: By | None) -> By:
    """What kind of judge voted: what was said of the whole file, else the column `by`, else a person. Raises RowError."""
    said = row.get("by")
    if by is not None or said is None:
        return by or "person"
    if said not in get_args(By):
        raise RowError(f'"by" is {short(said)!r}; known are {", ".join(get_args(By))}')
    return said


def require_vote(row: Row, place: str, judge: str | None, by: By | None) -> None:
    """Raise InputError for a first row that is no vote, ConfigError where nobody says who voted, or two do."""
    missing = next((name for name in ("id", "winner") if name not in row), None)
    if missing:
        raise InputError(f'{place}: a vote has no "{missing}" (it has {", ".join(short(key) for key in sorted(row))})')
    column = voter_column(row)
    if judge is None and column is None:
        raise ConfigError(
            f'{place}: no column says who voted; add a column "worker", or name the judge with --judge NAME (and --by model, if it '
            "is no person)"
        )
    if judge is not None and column is not None:
        raise ConfigError(f'--judge {judge}: but {place} has a column "{column}" that says who voted')
    if by is not None and "by" in row:
        raise ConfigError(f'--by {by}: but {place} has a column "by" that says what kind of judge voted')


def _answers(path: Path) -> dict[str, _Answers | RowError]:
    """id → question, answers and tags, or why no vote on them can be used."""
    found: dict[str, _Answers | RowError] = {}
    for number, row in read_rows(path):
        if isinstance(row, RowError):
            raise InputError(f"{path}:{number}: {row.reason}; the votes on it could not be told from others")
        try:
            key = word_of(row.get("id"), "id")
        except RowError as error:
            raise InputError(f"{path}:{number}: {error.reason}; votes name their pair by it") from error
        if key in found:
            raise InputError(f'{path}:{number}: a second pair with the id "{short(key)}"')
        try:
            found[key] = _pair(row)
        except RowError as error:
            found[key] = RowError(f"votes on {path}:{number}, which cannot be used: {error.reason}")
    return found


def _pair(row: Row) -> _Answers:
    question: Any = next((row[name] for name in _QUESTIONS if isinstance(row.get(name), str)), None)
    if question is None:
        raise RowError(f"has no question as text under any of {', '.join(_QUESTIONS)}")
    names = next((names for names in _ANSWERS if names[0] in row and names[1] in row), None)
    if names is None:
        raise RowError(f"has no two answers; known are {', '.join(' and '.join(pair) for pair in _ANSWERS)}")
    first, second = (text_of(row[name], name) for name in names)
    tags = {name: row[name] for name in ("type", "slug") if isinstance(row.get(name), str)}
    return user_turn(question, "question"), (first, second), tags
