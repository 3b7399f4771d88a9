"""What flows through the line: frozen values whose ids are hashes of their content.

A record that cannot be right cannot be made: empty prompts and answers are refused here, once, for every format.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Role = Literal["system", "user", "assistant", "tool"]
Verdict = Literal["pass", "warn", "stop"]
Kind = Literal["pair", "list", "sample"]


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


def _at_least_0(value: float) -> float:
    if value < 0:
        raise ValueError("is below 0: by it rejected is the better answer; exchange the sides")
    return value


def _two_or_more(texts: tuple[str, ...]) -> tuple[str, ...]:
    if len(texts) < 2:
        raise ValueError(f"has {len(texts)} answer{'s' * (len(texts) != 1)}; a ranking needs two or more")
    return texts


def _above_0(value: float) -> float:
    if value <= 0:
        raise ValueError("must be above 0; to leave a row out, remove it")
    return value


Text = Annotated[str, AfterValidator(_usable)]
NonBlank = Annotated[Text, AfterValidator(_not_blank)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Probability = Annotated[Finite, Field(ge=0, le=1)]
Margin = Annotated[Finite, AfterValidator(_at_least_0)]
Weight = Annotated[Finite, AfterValidator(_above_0)]


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


class Example(Record):
    """What one row teaches: answers to one prompt, and which of them are the better ones.

    weight  what the example's loss is multiplied with (1 if not given)
    source  where it came from (file:line); no part of the id
    """

    kind: ClassVar[Kind]

    prompt: Prompt
    weight: Weight | None = None
    tags: dict[Text, Text] = Field(default_factory=dict)
    source: str | None = None

    @property
    def named(self) -> tuple[tuple[str, str], ...]:
        """The answers under the names of their fields."""
        raise NotImplementedError

    @property
    def good(self) -> tuple[str, ...]:
        """The answers to become more like: chosen, the best of a list, one that was found good."""
        raise NotImplementedError

    @property
    def bad(self) -> tuple[str, ...]:
        """The others."""
        raise NotImplementedError

    @property
    def _text(self) -> list[Any]:
        raise NotImplementedError

    @property
    def answers(self) -> tuple[str, ...]:
        """Every answer, in the order of `named`."""
        return tuple(text for _, text in self.named)

    @property
    def id(self) -> str:
        """Of the text and of what is said of it: an example with another weight is another one to train on."""
        said = {name: value for name in JUDGED if (value := getattr(self, name, None)) is not None}
        return content_id([*self._text, said]) if said else self.text_id

    @property
    def text_id(self) -> str:
        """Of prompt, answers and which are the better ones alone."""
        return content_id(self._text)

    @property
    def same_question(self) -> str:
        """Id of the prompt with these answers, whichever is said to be better."""
        return content_id([_plain(self.prompt), sorted(self.answers)])

    @property
    def is_chat(self) -> bool:
        """True if the prompt is a conversation, to be rendered with the model's chat template."""
        return not isinstance(self.prompt, str)


class Pair(Example):
    """Two answers to one prompt, the first preferred.

    probability  that chosen is the better answer (1 if not given); ½ is a tie
    margin       by how much it is better, in units of reward (0 if not given)
    """

    kind: ClassVar[Kind] = "pair"

    chosen: NonBlank
    rejected: NonBlank
    probability: Probability | None = None
    margin: Margin | None = None

    @property
    def named(self) -> tuple[tuple[str, str], ...]:
        return ("chosen", self.chosen), ("rejected", self.rejected)

    @property
    def good(self) -> tuple[str, ...]:
        return (self.chosen,)

    @property
    def bad(self) -> tuple[str, ...]:
        return (self.rejected,)

    @property
    def _text(self) -> list[Any]:
        return [_plain(self.prompt), self.chosen, self.rejected]

    def swapped(self) -> Pair:
        """The opposite preference."""
        return self.model_copy(update={"chosen": self.rejected, "rejected": self.chosen})


class RankedList(Example):
    """Two answers or more to one prompt, best first."""

    kind: ClassVar[Kind] = "list"

    ranked: Annotated[tuple[NonBlank, ...], AfterValidator(_two_or_more)]

    @property
    def named(self) -> tuple[tuple[str, str], ...]:
        return tuple((f"ranked {place}", text) for place, text in enumerate(self.ranked, start=1))

    @property
    def good(self) -> tuple[str, ...]:
        return self.ranked[:1]

    @property
    def bad(self) -> tuple[str, ...]:
        return self.ranked[1:]

    @property
    def _text(self) -> list[Any]:
        return [_plain(self.prompt), list(self.ranked)]


class Single(Example):
    """One answer to a prompt, found good or bad by itself: nobody compared it with another."""

    kind: ClassVar[Kind] = "sample"

    completion: NonBlank
    label: bool

    @property
    def named(self) -> tuple[tuple[str, str], ...]:
        return (("completion", self.completion),)

    @property
    def good(self) -> tuple[str, ...]:
        return (self.completion,) if self.label else ()

    @property
    def bad(self) -> tuple[str, ...]:
        return () if self.label else (self.completion,)

    @property
    def _text(self) -> list[Any]:
        return [_plain(self.prompt), self.completion, self.label]


JUDGED = ("probability", "margin", "weight")
"""Fields that say more of an example than which answer is better."""

NOUNS: dict[Kind, str] = {"pair": "pairs", "list": "ranked lists", "sample": "single answers"}
"""What many examples of a kind are called."""


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
