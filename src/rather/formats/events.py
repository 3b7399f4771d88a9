"""Event logs: what a `user` did with a `response` to a `prompt`; perhaps its `position`, a `value`, a `text` and the `time`.

    user,prompt,response,event,position,time,value
    u7,Why?,So.,shown,1,2024-05-01T12:00:00Z,
    u7,Why?,So.,dwell,1,2024-05-01T12:00:09Z,9

Events: shown, like, dislike, bookmark, copy, edit (with the edited `text`), regenerate, dwell (`value` in seconds).
"""

from __future__ import annotations

from typing import Any, get_args

from rather.errors import RowError
from rather.formats.preference import prompt_of, prompt_row
from rather.formats.values import Row, made, number_of, short, text_of, time_of, word_of
from rather.records import Event, EventName, Judgment

FIELDS = frozenset({"user", "prompt", "response", "event", "position", "time", "value", "text", "model"})
REQUIRED = ("user", "prompt", "response", "event")


def matches(row: Row) -> bool:
    """A response to which something happened."""
    return "event" in row and "response" in row


def parse(row: Row) -> list[Judgment]:
    """One row is one event."""
    known = get_args(EventName)
    if row["event"] not in known:
        raise RowError(f'"event" is {short(row["event"])!r}; known are {", ".join(known)}')
    given: dict[str, Any] = {}
    if row.get("position") is not None:
        place = number_of(row["position"], "position")
        if place != int(place):
            raise RowError(f'"position" is {place:g}, not a whole number')
        given["position"] = int(place)
    if row.get("value") is not None:
        given["value"] = number_of(row["value"], "value")
    if row.get("text") is not None:
        given["text"] = text_of(row["text"], "text")
    if row.get("model") is not None:
        given["models"] = (text_of(row["model"], "model"),)
    return [
        made(
            Event,
            prompt=prompt_of(row["prompt"]),
            answers=(text_of(row["response"], "response"),),
            event=row["event"],
            judge=word_of(row["user"], "user"),
            at=time_of(row.get("time"), "time"),
            **given,
        )
    ]


def write(record: Event) -> Row:
    """The row of an event; what was not said is left out."""
    row = {
        "user": record.judge, "prompt": prompt_row(record.prompt), "response": record.answer, "event": record.event,
        "position": record.position, "time": record.at, "value": record.value, "text": record.text,
        "model": record.models[0] if record.models else None,
    }  # fmt: skip
    return {name: value for name, value in row.items() if value is not None}
