r"""Anthropic HH transcripts: both sides whole, turns marked by "\n\nHuman:" and "\n\nAssistant:"."""

from __future__ import annotations

import re

from rather.errors import RowError
from rather.formats.preference import make_pair
from rather.formats.values import Row, kind_of
from rather.records import Message, Pair, Prompt

FIELDS = frozenset({"chosen", "rejected"})
REQUIRED = ("chosen", "rejected")

_ANSWER = "\n\nAssistant:"
_HUMAN = "\n\nHuman:"
_SPEAKERS = {"user": "Human", "assistant": "Assistant"}
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
    return make_pair(turns_of_transcript(chosen[:end]), answers[0].strip(), answers[1].strip())


def write(pair: Pair) -> Row:
    """The row of a pair. Raises RowError for what a transcript cannot hold: it has two speakers, and trims their turns."""
    transcript = transcript_of(pair.prompt)
    for text in (pair.chosen, pair.rejected):
        _require_kept(
            text, marks=(_HUMAN,) if text == pair.rejected else (_HUMAN, _ANSWER)
        )  # chosen's last mark is looked for
    return {"chosen": f"{transcript} {pair.chosen}", "rejected": f"{transcript} {pair.rejected}"}


def transcript_of(prompt: Prompt) -> str:
    """A prompt as a transcript that ends where the assistant should speak. Raises RowError for what it cannot hold."""
    if isinstance(prompt, str):
        raise RowError("its prompt is plain text; --as-chat makes it a conversation")
    for turn in prompt:
        if turn.role not in _SPEAKERS:
            raise RowError(f"has a {turn.role} turn; a transcript has only Human and Assistant")
    if prompt[0].role != "user":
        raise RowError("begins with an assistant turn; a transcript begins with Human")
    for turn in prompt:
        _require_kept(turn.content, marks=(_HUMAN, _ANSWER))
    return "".join(f"\n\n{_SPEAKERS[turn.role]}: {turn.content}" for turn in prompt) + _ANSWER


def _require_kept(text: str, *, marks: tuple[str, ...]) -> None:
    """Raise RowError for a turn that would be read as another."""
    if text != text.strip():
        raise RowError("a turn begins or ends with white space, which a transcript does not keep")
    if any(mark in text for mark in marks):
        raise RowError('a turn contains a mark of the transcript ("Human:" or "Assistant:" behind a blank line)')


def turns_of_transcript(transcript: str) -> tuple[Message, ...]:
    """The turns of a transcript that ends where the assistant should speak."""
    parts = _TURN.split(transcript)  # "", speaker, text, speaker, text, …
    if parts[0].strip():
        raise RowError(r'"chosen" has text before its first "\n\nHuman:"')
    speakers, texts = parts[1::2], parts[2::2]
    return tuple(
        Message(role="user" if speaker == "Human" else "assistant", content=text.strip())
        for speaker, text in zip(speakers, texts, strict=True)
    )
