"""What flows through the line: frozen values whose ids are hashes of their content.

A record that cannot be right cannot be made: empty prompts, and empty answers to train on, are refused here, once, for every
format. Only a Judgment may be about an answer that says nothing.

    Question → Response → Comparison, Ranking, Rating, Event → Pair, RankedList, Single → Finding
"""

from rather.records.base import NonBlank, Probability, Record, Text, content_id
from rather.records.conversation import Message, Prompt, Question, Response, Role, asked, told, turns
from rather.records.examples import JUDGED, NOUNS, Example, Kind, Pair, RankedList, Single, counted
from rather.records.findings import Bars, Curves, Finding, Histogram, Map, Plot, Shown, Verdict
from rather.records.judgments import (
    NO_ORDER,
    ORDER,
    By,
    Comparison,
    Event,
    EventName,
    Judgment,
    JudgmentKind,
    Preference,
    Ranking,
    Rating,
    saw_an_order,
)

__all__ = [
    "JUDGED", "NOUNS", "NO_ORDER", "ORDER", "Bars", "By", "Comparison", "Curves", "Event", "EventName", "Example",
    "Finding", "Histogram", "Judgment", "JudgmentKind", "Kind", "Map", "Message", "NonBlank", "Pair", "Plot",
    "Preference", "Probability", "Prompt", "Question", "RankedList", "Ranking", "Rating", "Record", "Response", "Role",
    "Shown", "Single", "Text", "Verdict", "asked", "content_id", "counted", "saw_an_order", "told", "turns",
]  # fmt: skip
