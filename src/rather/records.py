"""What flows through the line: frozen values whose ids are hashes of their content.

A record that cannot be right cannot be made: empty prompts and answers are refused here, once, for every format.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Role = Literal["system", "user", "assistant", "tool"]
Verdict = Literal["pass", "warn", "stop"]


def _usable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("contains a NUL character")
    # Half of a UTF-16 pair, as broken JSON escapes give it: no file and no tokenizer takes it.
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("contains a lone surrogate, which is no character")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    return text


Text = Annotated[str, AfterValidator(_usable)]
NonBlank = Annotated[Text, AfterValidator(_not_blank)]


def content_id(value: Any) -> str:
    """Sixteen hex digits of the SHA-256 of `value`'s canonical JSON: same content, same id, on every machine."""
    canonical = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    # A lone surrogate has no UTF-8 form; no record holds one, but a model's own output might, and must still hash.
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Record(BaseModel):
    """Base of all records: frozen, strict, closed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Message(Record):
    """One turn of a conversation."""

    role: Role
    content: Text


def _answerable(prompt: str | tuple[Message, ...]) -> str | tuple[Message, ...]:
    if isinstance(prompt, str):
        return _not_blank(_usable(prompt))
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
        return content_id(_plain(self.prompt))

    @property
    def text(self) -> str:
        """What is asked: the text, or the conversation's last turn."""
        return self.prompt if isinstance(self.prompt, str) else self.prompt[-1].content


class Response(Record):
    """A model's answer to a question.

    `tokens` are the ids that it produced, end-of-turn included if it `finished` its turn by itself. They are kept
    because tokenising `text` again need not give the same ids, and only those were drawn with the model's probability.
    """

    question: Question
    text: str
    tokens: tuple[int, ...]
    model: str
    seed: int
    finished: bool


class Pair(Record):
    """Two answers to one prompt, the first preferred.

    `source` (file:line) says where it came from and is no part of the id.
    """

    prompt: Prompt
    chosen: NonBlank
    rejected: NonBlank
    tags: dict[Text, Text] = Field(default_factory=dict)
    source: str | None = None

    @property
    def id(self) -> str:
        return content_id([_plain(self.prompt), self.chosen, self.rejected])

    @property
    def is_chat(self) -> bool:
        """True if the prompt is a conversation, to be rendered with the model's chat template."""
        return not isinstance(self.prompt, str)

    def swapped(self) -> Pair:
        """The opposite preference."""
        return self.model_copy(update={"chosen": self.rejected, "rejected": self.chosen})


class Finding(Record):
    """One thing that the audit has to say."""

    check: str
    verdict: Verdict
    message: str
    cure: str = ""
    count: int = 0
    total: int = 0
    examples: tuple[str, ...] = ()
    evidence: dict[str, Any] = Field(default_factory=dict)


def _plain(prompt: Prompt) -> Any:
    if isinstance(prompt, str):
        return prompt
    return [[message.role, message.content] for message in prompt]
