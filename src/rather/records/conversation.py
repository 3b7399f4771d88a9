"""What is said: turns, prompts, questions and a model's answers to them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from rather.records.base import Record, Text, content_id, not_blank, usable

Role = Literal["system", "user", "assistant", "tool"]


class Message(Record):
    """One turn of a conversation."""

    role: Role
    content: Text


def _answerable(prompt: str | tuple[Message, ...]) -> str | tuple[Message, ...]:
    if isinstance(prompt, str):
        return not_blank(usable(prompt))
    if not any(message.content.strip() for message in prompt):
        raise ValueError("is empty")
    if prompt[-1].role == "assistant":
        raise ValueError("ends with an assistant turn; it must end where the assistant should speak")
    return prompt


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
        return self.prompt if isinstance(self.prompt, str) else self.prompt[-1].content


class Response(Record):
    """An answer to a question.

    text         as the model said it; a model can say what no pair and no file may hold
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


def plain(prompt: Prompt) -> Any:
    """A prompt as JSON has it, for ids."""
    if isinstance(prompt, str):
        return prompt
    return [[message.role, message.content] for message in prompt]
