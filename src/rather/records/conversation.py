"""What is said: turns, prompts, questions and a model's answers to them."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from rather.records.base import Record, Text, content_id, not_blank, usable
from rather.records.tools import TOOLS, names_of, said

Role = Literal["system", "user", "assistant", "tool", "tools"]


class Message(Record):
    """One turn of a conversation."""

    role: Role
    content: Text


def _answerable(prompt: str | tuple[Message, ...]) -> str | tuple[Message, ...]:
    if isinstance(prompt, str):
        return not_blank(usable(prompt))
    if not any(message.content.strip() for message in prompt if message.role != TOOLS):
        raise ValueError("is empty")
    if any(message.role == TOOLS for message in prompt):
        _require_tools(prompt)
    if prompt[-1].role == "assistant":
        raise ValueError("ends with an assistant turn; it must end where the assistant should speak")
    return prompt


def _require_tools(prompt: tuple[Message, ...]) -> None:
    """Raise ValueError where what the model is told of its tools does not stand first, or is no list of tools with names."""
    if prompt[0].role != TOOLS or sum(message.role == TOOLS for message in prompt) > 1:
        raise ValueError(f'has a "{TOOLS}" turn behind another; it stands first')
    try:
        tools = json.loads(prompt[0].content)
    except (ValueError, RecursionError):
        tools = None
    if not isinstance(tools, list) or len(names_of(tools)) < len(tools):
        raise ValueError(f'has a "{TOOLS}" turn that is no JSON list of tools with names')


Prompt = Annotated[str | tuple[Message, ...], AfterValidator(_answerable)]
"""A conversation that ends where the assistant should speak, or plain text to be continued."""


class Question(Record):
    """A prompt with tags that say what it is for (`kind`, `language`, `split`, …)."""

    prompt: Prompt
    tags: dict[str, str] = Field(default_factory=dict)

    @property
    def id(self) -> str:
        return content_id(plain(self.prompt))

    @property
    def text(self) -> str:
        """What is asked: the text, or the conversation's last turn."""
        return asked(self.prompt)


class Response(Record):
    """An answer to a question.

    text         whatever it said, be it nothing or a NUL: only what is made of it must be usable
    model        who wrote it: a model's folder or name, or whatever a file says of it
    tokens       the ids that the model produced, end-of-turn included if it `finished` its turn by itself. They are kept
                 because tokenising `text` again need not give the same ids, and only those were drawn with the model's
                 probability. None where they are not known, as from a server.
    temperature  0 for greedy
    system       a system prompt that this answer alone was asked with; it is no part of the question
    count        how often this text was drawn, where identical answers were merged
    source       where it came from (file:line); no part of the id
    """

    question: Question
    text: str
    model: str
    tokens: tuple[int, ...] | None = None
    seed: int | None = None
    finished: bool | None = None
    temperature: float | None = None
    system: str | None = None
    count: Annotated[int, Field(ge=1)] = 1
    source: str | None = None

    @property
    def id(self) -> str:
        """Of prompt and text: equal answers of two models are one answer."""
        return content_id([plain(self.question.prompt), self.text])


def told(prompt: tuple[Message, ...]) -> tuple[list[Any] | None, tuple[Message, ...]]:
    """What the model is told of its tools (None if the conversation is not of that kind), and the turns behind that."""
    if prompt[0].role != TOOLS:
        return None, prompt
    return json.loads(prompt[0].content), prompt[1:]


def turns(prompt: tuple[Message, ...], answer: str | None = None) -> list[dict[str, Any]]:
    """The turns, and perhaps an answer's, as chat templates and servers take them; `told` has the tools."""
    tools, messages = told(prompt)
    texts = [(str(message.role), message.content) for message in messages]
    texts += [] if answer is None else [("assistant", answer)]
    return [{"role": role, "content": text} if tools is None else said(role, text) for role, text in texts]


def asked(prompt: Prompt) -> str:
    """What is asked: the text, or the conversation's last turn."""
    return prompt if isinstance(prompt, str) else prompt[-1].content


def plain(prompt: Prompt) -> Any:
    """A prompt as JSON has it, for ids."""
    if isinstance(prompt, str):
        return prompt
    return [[message.role, message.content] for message in prompt]
