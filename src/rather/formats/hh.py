r"""Anthropic HH transcripts: both sides whole, turns marked by "\n\nHuman:" and "\n\nAssistant:"."""

from __future__ import annotations

import re

from rather.errors import RowError
from rather.formats.preference import make_pair
from rather.formats.rows import Row, kind_of
from rather.records import Message, Pair

FIELDS = frozenset({"chosen", "rejected"})
REQUIRED = ("chosen", "rejected")

_ANSWER = "\n\nAssistant:"
_HUMAN = "\n\nHuman:"
_TURN = re.compile(r"\n\n(Human|Assistant):")


def matches(row: Row) -> bool:
    """Two whole transcripts and nothing else."""
    chosen = row.get("chosen")
    return set(row) == FIELDS and isinstance(chosen, str) and chosen.startswith(_HUMAN)


def parse(row: Row) -> Pair:
    """The prompt ends at chosen's last assistant mark, and rejected must begin with the same prompt.

    Each side's answer is cut at that place in *its own* text; a row where the prompts differ is refused.
    """
    chosen, rejected = row["chosen"], row["rejected"]
    for name, side in (("chosen", chosen), ("rejected", rejected)):
        if not isinstance(side, str):
            raise RowError(f'"{name}" is {kind_of(side)}, not a transcript')
    end = chosen.rfind(_ANSWER)
    if end < 0:
        raise RowError('"chosen" has no assistant turn')
    transcript = chosen[: end + len(_ANSWER)]
    if not rejected.startswith(transcript):
        raise RowError("the two sides differ before the last assistant turn, so they answer different prompts")
    answers = chosen[len(transcript) :], rejected[len(transcript) :]
    if any(_HUMAN in answer for answer in answers):
        raise RowError("a side goes on with a human turn behind its answer; cut it there")
    return make_pair(_turns(chosen[:end]), answers[0].strip(), answers[1].strip())


def _turns(transcript: str) -> tuple[Message, ...]:
    parts = _TURN.split(transcript)  # "", speaker, text, speaker, text, …
    if parts[0].strip():
        raise RowError(r'"chosen" has text before its first "\n\nHuman:"')
    speakers, texts = parts[1::2], parts[2::2]
    return tuple(
        Message(role="user" if speaker == "Human" else "assistant", content=text.strip())
        for speaker, text in zip(speakers, texts, strict=True)
    )
