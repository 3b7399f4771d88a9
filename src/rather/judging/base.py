"""What every judge is: a frozen config with one method, from the answers to each prompt to what is said of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Any, ClassVar, Literal

from rather.config import Config
from rather.errors import ConfigError, RowError
from rather.formats import Refusal
from rather.formats.responses import UNKNOWN
from rather.formats.rows import Row, kind_of
from rather.records import By, Judgment, Question, Rating, Response, content_id


@dataclass(frozen=True)
class Candidates:
    """The answers to one prompt, no two the same, each with its columns (tags, and what the file has beyond a response)."""

    question: Question
    responses: tuple[Response, ...]
    columns: tuple[Row, ...]

    @property
    def id(self) -> str:
        """Of prompt, answers and columns, in their order."""
        return content_id([self.question.id, [response.id for response in self.responses], list(self.columns)])

    @property
    def prompt_text(self) -> str:
        """The prompt as one text, turn after turn."""
        prompt = self.question.prompt
        return prompt if isinstance(prompt, str) else "\n\n".join(f"{turn.role}: {turn.content}" for turn in prompt)


@dataclass
class Outcome:
    """What one judge says of one prompt's answers.

    judgments   the result
    votes       what the result was made of, where that is more: each reply of a model that was asked several times
    refused     responses that cannot be judged, and why: the user's to mend
    unparsable  replies of a model in which there is no verdict
    counts      how often what happened ("asked", "unparsable", "abstained: …")
    facts       what else was found out, for the manifest
    """

    judgments: list[Judgment] = field(default_factory=list)
    votes: list[Judgment] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    unparsable: list[Refusal] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    facts: dict[str, Any] = field(default_factory=dict)

    def refuse(self, record: Response | Judgment, reason: str) -> None:
        self.refused.append(Refusal(place_of(record), reason))

    def abstain(self, reason: str) -> None:
        """Nothing can be said of an answer, and nobody is to blame."""
        self.counts[f"abstained: {reason}"] += 1


class Judge(Config):
    """A judge. Its fields are its options; their docstrings are the help.

    kind      what kind of judge its records say that it is
    subject   the field that `--by NAME:VALUE` fills, which also tells two judges of one kind apart
    reads     what it judges: responses, or a log of events
    whole     what it says of one prompt depends on the others too
    neutral   options that change how a run goes and not what it says, so that it may be resumed with others
    block     how many prompts a worker of a cluster is given at once
    """

    kind: ClassVar[By] = "metric"
    subject: ClassVar[str | None] = None
    reads: ClassVar[Literal["responses", "events"]] = "responses"
    whole: ClassVar[bool] = False
    neutral: ClassVar[frozenset[str]] = frozenset()
    block: ClassVar[int] = 256

    def judge(self, asked: Sequence[Any], *, signed: str) -> Iterator[Outcome]:
        """One Outcome for each of `asked`, in order. signed: the name that its records carry."""
        raise NotImplementedError

    def inputs(self) -> dict[str, str]:
        """Content hashes of the models and files that its judgments depend on, by name."""
        return {}

    def check(self, asked: Sequence[Any]) -> None:
        """Raise what can be known to be wrong before the work begins."""

    def one_of(self, workers: int) -> Judge:
        """The judge that each of so many workers is: what may be asked at once is dealt among them."""
        return self

    @property
    def runs_a_model(self) -> bool:
        """Whether it has a model in its process, which wants a GPU."""
        return self.kind == "model"


def place_of(record: Response | Judgment) -> str:
    """How a message calls a response or an event."""
    return record.source or record.id


def writer_of(response: Response) -> str | None:
    """The model that wrote it, where that is known."""
    return None if response.model == UNKNOWN else response.model


class Abstain(Exception):
    """Raised by a scorer that has nothing to say of an answer."""


Score = float | tuple[float, dict[str, str]]
Scorer = Callable[[Candidates, Response, Row], Score]


def rated(
    asked: Iterable[Candidates], scorer: Scorer, *, signed: str, kind: By, scale: tuple[float, float] | None = None
) -> Iterator[Outcome]:
    """Judge answer by answer. The scorer gives a score, or one with tags; a RowError of its refuses the row."""
    for candidates in asked:
        outcome = Outcome()
        for response, columns in zip(candidates.responses, candidates.columns, strict=True):
            try:
                score = scorer(candidates, response, columns)
            except RowError as error:
                outcome.refuse(response, error.reason)
            except Abstain as error:
                outcome.abstain(str(error))
            else:
                value, tags = score if isinstance(score, tuple) else (score, {})
                outcome.judgments.append(rating(response, value, signed=signed, kind=kind, scale=scale, tags=tags))
        yield outcome


def rating(response: Response, score: float, *, signed: str, kind: By, **said: Any) -> Rating:
    """One answer's rating."""
    return Rating(
        prompt=response.question.prompt, answers=(response.text,), models=(writer_of(response),),
        judge=signed, by=kind, score=float(score), **said,
    )  # fmt: skip


def texts_of(columns: Row, name: str) -> list[str]:
    """The texts in a column: one, or a list of several. Raises RowError where there is none."""
    value = columns.get(name)
    values = value if isinstance(value, list) else [value]
    if value is None or not values:
        raise RowError(f'has no "{name}"')
    texts = []
    for item in values:
        if isinstance(item, bool) or not isinstance(item, str | int | float):
            raise RowError(f'"{name}" holds {kind_of(item)}, not text')
        if not str(item).strip():
            raise RowError(f'"{name}" is empty')
        texts.append(str(item))
    return texts


def needs(package: str, extra: str) -> ModuleType:
    """A package of an extra. Raises ConfigError with the cure where it is not installed."""
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package.partition(".")[0]:
            raise
        raise ConfigError(f"this judge needs {error.name}; pip install 'rather[{extra}]'") from error
