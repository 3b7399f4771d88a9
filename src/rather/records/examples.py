"""What is trained on: pairs, ranked lists and single answers."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from rather.records.base import Margin, NonBlank, Probability, Record, Text, Weight, content_id
from rather.records.conversation import Prompt, plain

Kind = Literal["pair", "list", "sample"]


def _two_or_more(texts: tuple[str, ...]) -> tuple[str, ...]:
    if len(texts) < 2:
        raise ValueError(f"has {len(texts)} answer{'s' * (len(texts) != 1)}; a ranking needs two or more")
    return texts


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
        return content_id([plain(self.prompt), sorted(self.answers)])

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
        return [plain(self.prompt), self.chosen, self.rejected]

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
        return [plain(self.prompt), list(self.ranked)]


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
        return [plain(self.prompt), self.completion, self.label]


JUDGED = ("probability", "margin", "weight")
"""Fields that say more of an example than which answer is better."""

NOUNS: dict[Kind, str] = {"pair": "pairs", "list": "ranked lists", "sample": "single answers"}
"""What many examples of a kind are called."""


def counted(number: int, kind: Kind) -> str:
    """So many examples: "1 pair", "1,000 single answers"."""
    return f"{number:,} {NOUNS[kind] if number != 1 else NOUNS[kind].removesuffix('s')}"
