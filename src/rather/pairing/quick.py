"""Ordinary rows of the native form and of tables of ratings, checked and taken without making a record of each.

A record checks more than most rows need, and a million of them take a minute. A row is taken here only where every field is of
the plainest kind; any other goes the long way, where it is understood or refused with its reason. A test holds the two ways
against each other.
"""

from __future__ import annotations

from typing import Any

from rather.errors import RowError
from rather.formats.rows import Row
from rather.formats.values import number_of, time_of, word_of
from rather.pairing.ledger import OUTCOMES, Ledger, turns_key
from rather.records import content_id, saw_an_order

_FIELDS = frozenset(
    {"id", "prompt", "answers", "models", "judge", "by", "aspect", "at", "tags", "score", "scale", "verdict"}
)
_BY = frozenset({"person", "model", "metric", "behaviour"})
_ROLES = frozenset({"system", "user", "assistant", "tool"})
_LARGEST = 2.0**53


def native(ledger: Ledger, row: Row) -> bool:
    """Take a rating or a comparison. False: the row is not ordinary, and nothing was taken."""
    if not row.keys() <= _FIELDS or ("score" in row) == ("verdict" in row) or ("scale" in row and "verdict" in row):
        return False
    judge: Any = row.get("judge")
    prompt, aspect, tags = row.get("prompt"), row.get("aspect"), row.get("tags", _NONE)
    if not (_words(judge) and ((aspect is None and "aspect" not in row) or _words(aspect)) and _tags(tags)):
        return False
    key = _key(prompt)
    texts = _answers(row.get("answers"), 1 if "score" in row else 2)
    if key is None or texts is None or not _frame(row, len(texts)):
        return False
    if not (_rating(row) if "score" in row else row["verdict"] in _VERDICTS) or not _own_id(row):
        return False
    if ledger.takes(aspect):
        number = ledger.prompt(key, tags)
        models = row.get("models") or (None,) * len(texts)
        answers = [ledger.answer(number, text, model) for text, model in zip(texts, models, strict=True)]
        if "score" in row:
            scale = row.get("scale")
            ledger.rate(
                answers[0],
                float(row["score"]),
                judge,
                aspect,
                None if scale is None else (float(scale[0]), float(scale[1])),
            )
        else:
            sided = saw_an_order(row.get("by", "person"), tags)
            ledger.compare(answers[0], answers[1], row["verdict"], judge, None, sided=sided)
    return True


def rating(ledger: Ledger, row: Row) -> bool:
    """Take a rating of a table. False: the row is not ordinary, and nothing was taken."""
    key, response = _key(row.get("prompt")), row.get("response")
    text = _usable(response) if isinstance(response, str) else None
    if key is None or text is None:
        return False
    aspect, model, rater = row.get("aspect"), row.get("model"), row.get("rater")
    if not ((aspect is None or _words(aspect)) and (model is None or _words(model))):
        return False
    try:
        score, scale = number_of(row.get("score"), "score"), _table_scale(row)
        judge = "ratings" if rater is None else word_of(rater, "rater")
        time_of(row.get("time"), "time")
    except RowError:
        return False
    if not _words(judge) or not (scale is None or (scale[0] < scale[1] and scale[0] <= score <= scale[1])):
        return False
    if ledger.takes(aspect):
        ledger.rate(ledger.answer(ledger.prompt(key, _NONE), text, model), score, judge, aspect, scale)
    return True


def _table_scale(row: Row) -> tuple[float, float] | None:
    """The scale in the columns `low` and `high`. Raises RowError, also where one of them stands alone."""
    low, high = row.get("low"), row.get("high")
    return None if low is None and high is None else (number_of(low, "low"), number_of(high, "high"))


_NONE: dict[str, str] = {}


class _Verdicts(dict[Any, None]):
    """The verdicts; what cannot be hashed is none of them."""

    def __contains__(self, value: object) -> bool:
        return isinstance(value, str) and super().__contains__(value)


_VERDICTS = _Verdicts.fromkeys(OUTCOMES)


def _words(value: Any) -> bool:
    """Text that says something, and that a file can hold."""
    return isinstance(value, str) and _encoded(value) is not None


def _encoded(text: str) -> bytes | None:
    return None if not text or text.isspace() else _usable(text)


def _usable(text: str) -> bytes | None:
    if "\x00" in text:
        return None
    try:
        return text.encode()
    except UnicodeEncodeError:  # half of a UTF-16 pair
        return None


def _key(prompt: Any) -> bytes | None:
    if isinstance(prompt, str):
        text = _encoded(prompt)
        return None if text is None else b"t" + text
    if not isinstance(prompt, list) or not prompt:
        return None
    for turn in prompt:
        if not isinstance(turn, dict) or turn.keys() != {"role", "content"}:
            return None
        if not (_words(turn["role"]) and turn["role"] in _ROLES and _words(turn["content"])):
            return None
    if prompt[-1]["role"] == "assistant":
        return None
    return turns_key([[turn["role"], turn["content"]] for turn in prompt])


def _answers(answers: Any, count: int) -> list[bytes] | None:
    if not isinstance(answers, list) or len(answers) != count:
        return None
    texts = [_usable(answer) if isinstance(answer, str) else None for answer in answers]
    if None in texts or (count == 2 and texts[0] == texts[1]):
        return None
    return texts  # pyright: ignore[reportReturnType]


def _tags(tags: Any) -> bool:
    return tags is _NONE or (
        isinstance(tags, dict) and all(_words(name) and _words(value) for name, value in tags.items())
    )


def _frame(row: Row, answers: int) -> bool:
    """Who wrote the answers, what kind of judge it is, when."""
    if "models" in row:
        models = row["models"]
        if not isinstance(models, list) or len(models) != answers:
            return False
        if not all(model is None or _words(model) for model in models):
            return False
    if "by" in row and not (isinstance(row["by"], str) and row["by"] in _BY):
        return False
    return "at" not in row or _number(row["at"])


def _rating(row: Row) -> bool:
    score = row["score"]
    if not _number(score):
        return False
    if "scale" not in row:
        return True
    scale = row["scale"]
    if not isinstance(scale, list) or len(scale) != 2 or not (_number(scale[0]) and _number(scale[1])):
        return False
    return scale[0] < scale[1] and scale[0] <= score <= scale[1]


def _number(value: Any) -> bool:
    """A number that is exact as a float; NaN and infinities are not."""
    return type(value) in (int, float) and -_LARGEST < value < _LARGEST


def _own_id(row: Row) -> bool:
    """True if the row has no id, or the one that its record has."""
    if "id" not in row:
        return True
    said = {name: row[name] for name in ("answers", "models", "judge", "aspect", "verdict") if name in row}
    said |= {name: float(row[name]) for name in ("at", "score") if name in row}
    said |= {"by": row.get("by", "person"), "tags": row.get("tags", {})}
    if "scale" in row:
        said["scale"] = [float(bound) for bound in row["scale"]]
    prompt = row["prompt"]
    plain = prompt if isinstance(prompt, str) else [[turn["role"], turn["content"]] for turn in prompt]
    return row["id"] == content_id(["rating" if "score" in row else "comparison", plain, said])
