"""Models as judges: two answers in both orders, one answer by a rubric, all answers in order."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import Field, field_validator, model_validator

from rather.errors import ConfigError
from rather.formats import Refusal
from rather.generation.config import address
from rather.generation.server import Server, key_in
from rather.judging.asking import AT_ONCE, Ask, Refused, Remembering, from_server, in_process
from rather.judging.base import Candidates, Judge, Outcome, place_of, rating, writer_of
from rather.judging.family import warn_of_kinship
from rather.judging.prompts import LABELS, RUBRIC, Form, ask_about, choice, ordering, read
from rather.onray.once import once
from rather.records import By, Comparison, Preference, Prompt, Ranking, Response

# Raise it when the same question to the same model could be answered otherwise: what older versions kept is then asked again.
ENGINE = 1

_SERVER_ONLY = ("concurrency", "requests_per_minute", "timeout", "retries", "api_key_env")

# Prompts that a server is given before their replies are read, for each that it works on at once: it stays full meanwhile.
_ROUNDS = 16


class ModelJudge(Judge):
    """What all models that judge have in common."""

    kind: ClassVar[By] = "model"
    subject: ClassVar[str | None] = "judge_model"
    neutral: ClassVar[frozenset[str]] = frozenset({*_SERVER_ONLY, "max_unparsable"})
    block: ClassVar[int] = 16

    judge_model: str
    """The model that judges: a folder, hub id or catalogued name, or what the server calls it."""
    server: str | None = None
    """Address of an OpenAI-compatible server (http://localhost:8000/v1)."""
    rubric: str = RUBRIC
    """By what a model is to judge, in words."""
    structured: bool = True
    """Hold the model to the form of a reply: a server by response_format where it knows that, a model in this process by the
    likeliest of the replies that there are."""
    judge_tokens: int = Field(default=64, ge=4)
    """Longest reply of a model that judges, in tokens, where it is not held to a form."""
    max_unparsable: float = Field(default=0.02, ge=0, le=1)
    """Share of replies without a verdict above which the step stops."""
    concurrency: int = Field(default=64, ge=1, le=10_000)
    """Requests that a server is given at once."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    """Requests to a server in any minute, retries included."""
    timeout: float = Field(default=120.0, gt=0)
    """Seconds that a server has for a reply."""
    retries: int = Field(default=5, ge=0, le=100)
    """How often a request is sent again, with growing pauses, when the server is busy or fails."""
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the server's key."""
    dtype: Literal["fp32", "bf16"] = "fp32"
    """Precision in which a model in this process computes."""

    @field_validator("rubric", "judge_model")
    @classmethod
    def _says_something(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("is empty")
        return value

    @field_validator("server")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        return None if value is None else address(value)

    @model_validator(mode="after")
    def _every_option_acts(self) -> ModelJudge:
        for name in _SERVER_ONLY if self.server is None else ("dtype",):
            if name in self.model_fields_set:
                which = "without --server" if self.server is None else "with --server"
                raise ConfigError(f"--{name.replace('_', '-')} does nothing {which}")
        return self

    def inputs(self) -> dict[str, str]:
        return {"model": self._model_id} if self.server is None else {}

    def check(self, asked: Sequence[Candidates]) -> None:
        if self.server is not None:
            _ = self._api_key  # known to be there before the work begins
        writers = {writer for each in asked for response in each.responses if (writer := writer_of(response))}
        warn_of_kinship(self.judge_model, writers, local=self.server is None)

    def one_of(self, workers: int) -> ModelJudge:
        pace = self.requests_per_minute
        return self.model_copy(update={
            "concurrency": max(1, self.concurrency // workers), "requests_per_minute": None if pace is None else pace / workers,
        })  # fmt: skip

    @property
    def runs_a_model(self) -> bool:
        return self.server is None

    @property
    def _model_id(self) -> str:
        if self.server is not None:
            return f"{self.server} {self.judge_model}"
        from rather.model import model_hash

        return once(model_hash, self.judge_model)

    def ask(self, form: Form) -> Remembering:
        """The way to the model, for replies of one form."""
        from rather.model.catalog import cache_dir

        held = form if self.structured else None
        key = {
            "engine": ENGINE, "model": self._model_id, "form": held.schema if held else None, "tokens": self.judge_tokens,
            "temperature": 0, "dtype": None if self.server else self.dtype,
        }  # fmt: skip

        def opened() -> Ask:
            if self.server is None:
                return once(in_process, self.judge_model, held, max_new_tokens=self.judge_tokens, dtype=self.dtype)
            server = Server(
                self.server, self._api_key, self.api_key_env, self.timeout, self.retries, self.requests_per_minute, "--server"
            )  # fmt: skip
            return from_server(
                self.judge_model, held, server=server, max_new_tokens=self.judge_tokens, concurrency=self.concurrency,
                heard=remembering.heard,
            )  # fmt: skip

        at_once = AT_ONCE if self.server is None else _ROUNDS * self.concurrency
        remembering = Remembering(opened, key=key, folder=cache_dir() / "asked", at_once=at_once)
        return remembering

    @property
    def _api_key(self) -> str:
        return key_in(self.api_key_env, needed="api_key_env" in self.model_fields_set)


class Pairwise(ModelJudge):
    """Which of two answers a model prefers, each pair shown in both orders; where the two verdicts differ it is a tie.

    Both verdicts are kept, in the order shown, in votes.jsonl.
    """

    max_pairs: int | None = Field(default=None, ge=1)
    """Compare at most so many pairs of a prompt's answers, drawn at random; all if not given."""

    def judge(self, asked: Sequence[Candidates], *, signed: str) -> Iterator[Outcome]:
        form = choice("better", ("A", "B", "tie"))
        task = "Say which answer is better, A or B, or tie if neither is."

        def plan(candidates: Candidates) -> list[tuple[tuple[Response, Response], Prompt]]:
            shown = [order for pair in self._pairs(candidates) for order in (pair, pair[::-1])]
            prompt = candidates.question.prompt
            return [
                ((left, right), ask_about(prompt, (left.text, right.text), rubric=self.rubric, task=task, form=form))
                for left, right in shown
            ]

        return _outcomes(asked, plan, self.ask(form), lambda replied: _both_orders(replied, form, signed))

    def _pairs(self, candidates: Candidates) -> list[tuple[Response, Response]]:
        pairs = list(itertools.combinations(candidates.responses, 2))
        if self.max_pairs is None or len(pairs) <= self.max_pairs:
            return pairs
        drawn = random.Random(candidates.question.id).sample(range(len(pairs)), self.max_pairs)
        return [pairs[index] for index in sorted(drawn)]


class Rubric(ModelJudge):
    """A model's score of each answer by a rubric, as a whole or aspect by aspect."""

    aspects: tuple[str, ...] = ()
    """What to score by itself (helpfulness, truth …), a score each; without any the answer as a whole."""
    scale: tuple[int, int] = (1, 5)
    """The lowest and the highest score."""

    @model_validator(mode="after")
    def _has_room(self) -> Rubric:
        if not self.scale[0] < self.scale[1]:
            raise ConfigError(f"--scale {self.scale[0]} {self.scale[1]}: the first must be below the second")
        if len(set(self.aspects)) < len(self.aspects) or not all(aspect.strip() for aspect in self.aspects):
            raise ConfigError("--aspects: each must be a word or more, and none may stand there twice")
        return self

    def judge(self, asked: Sequence[Candidates], *, signed: str) -> Iterator[Outcome]:
        low, high = self.scale
        form = choice("score", range(low, high + 1))

        def plan(candidates: Candidates) -> list[tuple[tuple[Response, str | None], Prompt]]:
            items = [(response, aspect) for response in candidates.responses for aspect in self.aspects or (None,)]
            return [
                ((response, aspect), self._prompt(candidates, response, aspect, form)) for response, aspect in items
            ]

        return _outcomes(asked, plan, self.ask(form), lambda replied: _scores(replied, form, self.scale, signed))

    def _prompt(self, candidates: Candidates, response: Response, aspect: str | None, form: Form) -> Prompt:
        low, high = self.scale
        what = "the answer" if aspect is None else f"one aspect of the answer alone: {aspect}"
        task = f"Score {what}, from {low} (worst) to {high} (best)."
        return ask_about(candidates.question.prompt, (response.text,), rubric=self.rubric, task=task, form=form)


class Listwise(ModelJudge):
    """A model's order of all answers to a prompt, best first, ties and gaps allowed. They are shown in an order drawn by chance."""

    def judge(self, asked: Sequence[Candidates], *, signed: str) -> Iterator[Outcome]:
        task = "Put the answers in order, the best first; answers that are equally good go into one list."

        def plan(candidates: Candidates) -> list[tuple[list[Response], Prompt]]:
            shown = list(candidates.responses)
            if not 2 <= len(shown) <= len(LABELS):
                return []
            random.Random(candidates.question.id).shuffle(shown)
            form, texts = ordering("order", LABELS[: len(shown)]), [each.text for each in shown]
            return [(shown, ask_about(candidates.question.prompt, texts, rubric=self.rubric, task=task, form=form))]

        # The schema is the same for any number of answers; only the example in the prompt is not.
        return _outcomes(asked, plan, self.ask(ordering("order", "ABC")), lambda replied: _in_order(replied, signed))


def agreed(first: Comparison, second: Comparison) -> Comparison:
    """What two votes on the same answers, shown in both orders, come to: the verdict of both, or a tie.

    The answers stand as in `first`; the tags say what each vote was, in that order of the answers.
    """
    back = second.swapped()
    verdict: Preference = first.verdict if first.verdict == back.verdict else "tie"
    tags = {"order": "both", "in_order": first.verdict, "reversed": back.verdict}
    return first.model_copy(update={"verdict": verdict, "tags": tags})


Asked = TypeVar("Asked")
Plan = Callable[[Candidates], list[tuple[Asked, Prompt]]]
Reader = Callable[[list[tuple[Asked, str]]], Outcome]


def _outcomes(
    asked: Sequence[Candidates], plan: Plan[Asked], ask: Remembering, read: Reader[Asked]
) -> Iterator[Outcome]:
    """What `read` makes of the replies to each prompt's plan. Prompts go together until there is enough to ask at once."""
    waiting: list[tuple[Candidates, list[tuple[Asked, Prompt]]]] = []
    for number, candidates in enumerate(asked, start=1):
        waiting.append((candidates, plan(candidates)))
        if number == len(asked) or sum(len(items) for _, items in waiting) >= ask.at_once:
            yield from _together(waiting, ask, read)
            waiting = []


def _together(
    waiting: Sequence[tuple[Candidates, list[tuple[Asked, Prompt]]]], ask: Remembering, read: Reader[Asked]
) -> Iterator[Outcome]:
    """The same for some prompts at once. One that the model cannot be asked is refused, and the others are asked without it."""
    refused: dict[int, str] = {}
    while True:
        try:
            left = [items for place, (_, items) in enumerate(waiting) if place not in refused]
            replies = iter(ask([prompt for items in left for _, prompt in items]))
            break
        except Refused as error:
            for place, (_, items) in enumerate(waiting):
                if any(prompt == error.prompt for _, prompt in items):
                    refused[place] = error.reason
    for place, (candidates, items) in enumerate(waiting):
        if place in refused:
            outcome = Outcome()
            outcome.refuse(candidates.responses[0], refused[place])
            yield outcome
        else:
            yield read([(what, next(replies)) for what, _ in items])


def _both_orders(replied: Sequence[tuple[tuple[Response, Response], str]], form: Form, signed: str) -> Outcome:
    outcome = Outcome()
    if not replied:
        outcome.abstain("a single answer")
    for place in range(0, len(replied), 2):
        votes = [_vote(outcome, *replied[place + order], form, signed, order) for order in (0, 1)]
        cast = [vote for vote in votes if vote is not None]
        outcome.votes += cast
        outcome.counts.update(votes=len(cast), **_sides(cast))
        if len(cast) == 2:
            result = agreed(cast[0], cast[1])
            outcome.counts["flips"] += result.tags["in_order"] != result.tags["reversed"]
            outcome.judgments.append(result)
        else:
            outcome.abstain("a pair with a reply without a verdict")
    return outcome


def _scores(
    replied: Sequence[tuple[tuple[Response, str | None], str]], form: Form, scale: tuple[int, int], signed: str
) -> Outcome:
    outcome, (low, high) = Outcome(), scale
    for (response, aspect), reply in replied:
        outcome.counts["asked"] += 1
        try:
            score = _whole(read(reply, form.key), low, high)
        except ValueError as error:
            _unparsable(outcome, response, reply, error)
            continue
        said = {"scale": (float(low), float(high)), "aspect": aspect}
        outcome.judgments.append(rating(response, score, signed=signed, kind="model", **said))
    return outcome


def _in_order(replied: Sequence[tuple[list[Response], str]], signed: str) -> Outcome:
    outcome = Outcome()
    if not replied:
        outcome.abstain(f"a single answer, or more than {len(LABELS)}")
    for shown, reply in replied:
        outcome.counts["asked"] += 1
        try:
            ranks = _ranks(read(reply, "order"), LABELS[: len(shown)])
        except ValueError as error:
            _unparsable(outcome, shown[0], reply, error)
            continue
        ranking = Ranking(
            prompt=shown[0].question.prompt, answers=tuple(each.text for each in shown),
            models=tuple(writer_of(each) for each in shown), judge=signed, by="model", ranks=ranks,
        )  # fmt: skip
        outcome.judgments.append(ranking)
    return outcome


def _sides(votes: Sequence[Comparison]) -> Counter[str]:
    names = {"a": "for_the_first_shown", "b": "for_the_second_shown", "tie": "tied_votes", "both_bad": "tied_votes"}
    return Counter(names[vote.verdict] for vote in votes)


def _vote(
    outcome: Outcome, shown: tuple[Response, Response], reply: str, form: Form, signed: str, order: int
) -> Comparison | None:
    verdicts: dict[Any, Preference] = {"A": "a", "B": "b", "tie": "tie"}
    outcome.counts["asked"] += 1
    try:
        verdict = _one_of(read(reply, form.key), verdicts)
    except ValueError as error:
        _unparsable(outcome, shown[0], reply, error)
        return None
    return Comparison(
        prompt=shown[0].question.prompt, answers=(shown[0].text, shown[1].text),
        models=(writer_of(shown[0]), writer_of(shown[1])), judge=signed, by="model", verdict=verdicts[verdict],
        tags={"order": "reversed" if order else "in_order"},
    )  # fmt: skip


def _unparsable(outcome: Outcome, response: Response, reply: str, error: ValueError) -> None:
    shown = " ".join(reply.split())
    reason = "is not JSON" if "JSON" in type(error).__name__ else str(error)
    outcome.unparsable.append(Refusal(place_of(response), f'"{shown:.120}" {reason}'))
    outcome.counts["unparsable"] += 1


def _one_of(value: Any, known: dict[Any, Preference]) -> str:
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"is none of {', '.join(known)}")
    return value


def _whole(value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("is no whole number")
    if not low <= value <= high:
        raise ValueError(f"is outside the scale, {low} to {high}")
    return value


def _ranks(value: Any, labels: str) -> tuple[int | None, ...]:
    """Places by label of a list of labels or lists of them; after a tie of n the next place is n further. Raises ValueError."""
    if not isinstance(value, list):
        raise ValueError("is no list")
    places: dict[str, int] = {}
    for item in value:
        tied = item if isinstance(item, list) else [item]
        if not tied or not all(isinstance(label, str) and label in labels and len(label) == 1 for label in tied):
            raise ValueError(f"holds what is none of {', '.join(labels)}")
        if len(set(tied)) < len(tied) or any(label in places for label in tied):
            raise ValueError("has a label twice")
        places |= dict.fromkeys(tied, len(places) + 1)
    if len(places) < 2:
        raise ValueError("puts fewer than two answers in order")
    return tuple(places.get(label) for label in labels)
