"""Pairs by correction: a model's own answer is rejected, its edit by rules or by a model that is told what to change chosen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rather.generation.log import Log
from rather.generation.plan import Ask, seed_of
from rather.pairing.correct import own_text
from rather.records import Message, Question, Response

_OPEN, _CLOSE = "<answer>", "</answer>"
_EDIT = """Change the answer below as the instruction says, and leave everything else as it is. \
Write the changed answer alone, without a word about it.

Instruction: {instruction}

The question that it answers: {question}

{open}
{answer}
{close}"""


def edit_asks(responses: Iterable[Response], model: str, instruction: str) -> Iterator[tuple[Response, Ask]]:
    """What an editor is asked of each answer. An answer that holds the marks around it, or no sentence, is not asked about."""
    for response in responses:
        own = own_text(response)
        if not own or _OPEN in own or _CLOSE in own:
            continue
        text = _EDIT.format(
            instruction=instruction, question=response.question.text, answer=own, open=_OPEN, close=_CLOSE
        )
        question = Question(prompt=(Message(role="user", content=text),))
        yield response, Ask(response.source or "", question, model, 0.0, None, 0, seed_of("edit", response.id, model))


def edits(asked: Iterable[tuple[Response, Ask]], log: Log) -> Iterator[tuple[Response, str, bool | None]]:
    """Each answer with its edit, and whether that came to its end."""
    for response, ask in asked:
        answer = log.get(ask)
        yield response, _bare(answer.text), answer.finished


def _bare(text: str) -> str:
    """The edit without the marks, which some models repeat."""
    text = text.strip()
    if text.startswith(_OPEN):
        text = text.removeprefix(_OPEN).partition(_CLOSE)[0]
    return text.strip()
