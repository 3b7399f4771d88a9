"""What users did with answers → comparisons, corrected for what they were shown, where, and when."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

from pydantic import Field

from rather.judging.base import Judge, Outcome
from rather.judging.exposure import exposure
from rather.progress import say
from rather.records import By, Comparison, Event, Preference, Prompt, content_id

LIKES, DISLIKES = frozenset({"like", "bookmark", "copy"}), frozenset({"dislike", "regenerate"})

# Showings' worth of the average answer that each answer is taken to have had besides its own.
PRIOR = 2.0


@dataclass(frozen=True)
class Happened:
    """What happened with the answers to one prompt."""

    prompt: Prompt
    events: tuple[Event, ...]

    @cached_property
    def id(self) -> str:
        return content_id([event.id for event in self.events])


@dataclass
class Voice:
    """One user on one answer that was shown to them: one voice, however often they were shown it or clicked.

    place   where it was shown, the best of several; None where the log does not say
    likes, dislikes   1 and 0, 0 and 1, ½ and ½ of one who did both, or 0 and 0
    """

    user: str
    answer: str
    place: int | None
    first: float | None
    last: float | None
    likes: float = 0.0
    dislikes: float = 0.0

    @property
    def reacted(self) -> float:
        return self.likes + self.dislikes


@dataclass(frozen=True)
class Standing:
    """How an answer stands: the mean and the variance of likes − dislikes a look, and by how many users."""

    users: int
    mean: float
    variance: float
    likes: float
    dislikes: float


class Behaviour(Judge):
    """Comparisons from a log of events: of two answers the one that users liked more often for each time they looked at it.

    The confidence is the probability of that by the counts. An edit is a comparison of its own, by its user: edited over original.
    """

    kind: ClassVar[By] = "behaviour"
    reads: ClassVar[Literal["responses", "events"]] = "events"
    whole: ClassVar[bool] = True

    rule: Literal["rates", "later"] = "rates"
    """rates: likes − dislikes a look, in the time in which both answers were shown, looks corrected for the place on the page.
    later: by SHP's rule, only where the answer with more likes − dislikes was first shown no earlier than the other."""
    min_support: int = Field(default=5, ge=1)
    """Users who must have been shown each of two answers for a comparison of them."""
    dwell_seconds: float = Field(default=30.0, gt=0)
    """A dwell of at least so many seconds counts as a like."""

    def judge(self, asked: Sequence[Happened], *, signed: str) -> Iterator[Outcome]:  # pyright: ignore[reportIncompatibleMethodOverride]
        outcomes = [Outcome() for _ in asked]
        voices = [self._voices(happened, outcome) for happened, outcome in zip(asked, outcomes, strict=True)]
        theta = self._looks(voices, outcomes[0])
        average = _average([voice for group in voices for voice in group], theta)
        for happened, group, outcome in zip(asked, voices, outcomes, strict=True):
            _edits(happened, group, outcome)
            self._compare(happened, group, theta, average, outcome, signed)
            yield outcome

    def _voices(self, happened: Happened, outcome: Outcome) -> list[Voice]:
        """One voice for each user and answer shown to them. An event for an answer that was not is refused."""
        found: dict[tuple[str, str], Voice] = {}
        for event in happened.events:
            if event.event == "shown":
                _show(found, event)
        for event in happened.events:
            voice = found.get((event.judge, event.answer))
            if voice is None:
                outcome.refuse(event, f'"{event.event}" of an answer that "{event.judge}" was never shown')
            elif event.event in LIKES or (event.event == "dwell" and (event.value or 0) >= self.dwell_seconds):
                voice.likes = 1.0
            elif event.event in DISLIKES:
                voice.dislikes = 1.0
        for voice in found.values():
            if voice.likes and voice.dislikes:
                voice.likes = voice.dislikes = 0.5
                outcome.counts["users_of_two_minds"] += 1
        return list(found.values())

    def _looks(self, voices: Sequence[Sequence[Voice]], outcome: Outcome) -> dict[int, float]:
        """How likely a place is looked at; empty where nothing is corrected, and why is said."""
        if self.rule == "later":
            return {}
        placed = [(group, voice) for group, each in enumerate(voices) for voice in each if voice.place is not None]
        if not placed:
            say("note: the log says no positions, so that nothing is corrected for them")
            return {}
        numbers: dict[tuple[int, str], int] = {}
        answers = [numbers.setdefault((group, voice.answer), len(numbers)) for group, voice in placed]
        found = exposure(answers, [voice.place or 0 for _, voice in placed], [voice.reacted for _, voice in placed])
        if found.reason:
            say(f"note: nothing is corrected for positions: {found.reason}")
        else:
            shown = ", ".join(f"{place}: {theta:.2f}" for place, theta in sorted(found.theta.items())[:8])
            say(f"looked at, by position: {shown}")
        outcome.facts = {"looked_at_by_position": {str(place): round(t, 4) for place, t in sorted(found.theta.items())}}
        return found.theta

    def _compare(
        self, happened: Happened, group: Sequence[Voice], theta: dict[int, float], average: tuple[float, float],
        outcome: Outcome, signed: str,
    ) -> None:  # fmt: skip
        of: dict[str, list[Voice]] = {}
        for voice in group:
            of.setdefault(voice.answer, []).append(voice)
        for left, right in itertools.combinations(of, 2):
            sides = [of[left], of[right]]
            if self.rule == "rates":
                sides = _in_common_time(*sides)
            if min(len({voice.user for voice in side}) for side in sides) < self.min_support:
                outcome.abstain(f"a pair of answers that fewer than {self.min_support} users were shown")
                continue
            standing = [_standing(side, theta, average) for side in sides]
            if not any(each.likes or each.dislikes for each in standing):
                outcome.abstain("a pair of answers that nobody reacted to")
                continue
            verdict, confidence = _verdict(*standing)
            if self.rule == "later" and not _later_and_higher(*sides):
                outcome.abstain("a pair in which the answer with more likes came first")
                continue
            tags = {"users": " ".join(str(each.users) for each in standing)}
            outcome.judgments.append(
                Comparison(
                    prompt=happened.prompt, answers=(left, right), judge=signed, by="behaviour", verdict=verdict,
                    confidence=confidence, tags=tags,
                )
            )  # fmt: skip


def _show(found: dict[tuple[str, str], Voice], event: Event) -> None:
    key = (event.judge, event.answer)
    voice = found.get(key)
    if voice is None:
        found[key] = Voice(event.judge, event.answer, event.position, event.at, event.at)
        return
    places = [place for place in (voice.place, event.position) if place is not None]
    times = [at for at in (voice.first, voice.last, event.at) if at is not None]
    voice.place = min(places) if places else None
    voice.first, voice.last = (min(times), max(times)) if times else (None, None)


def _edits(happened: Happened, group: Sequence[Voice], outcome: Outcome) -> None:
    """Edited > original, once for each user and answer: the last edit."""
    shown = {(voice.user, voice.answer) for voice in group}
    last: dict[tuple[str, str], Event] = {}
    for event in happened.events:
        if event.event == "edit" and (event.judge, event.answer) in shown:
            last[event.judge, event.answer] = event
    for event in last.values():
        if event.text is None or event.text.strip() == event.answer.strip():
            outcome.abstain("an edit that changes nothing")
            continue
        edit = Comparison(
            prompt=happened.prompt, answers=(event.answer, event.text), judge=event.judge, by="behaviour", verdict="b",
            at=event.at, tags={"event": "edit"},
        )  # fmt: skip
        outcome.judgments.append(edit)


def _in_common_time(left: Sequence[Voice], right: Sequence[Voice]) -> list[list[Voice]]:
    """Both sides without who was shown an answer while the other was not yet, or no longer, shown. Without times: all."""
    spans = []
    for side in (left, right):
        firsts, lasts = [v.first for v in side if v.first is not None], [v.last for v in side if v.last is not None]
        if not firsts or not lasts:
            return [list(left), list(right)]
        spans.append((min(firsts), max(lasts)))
    begin, end = max(span[0] for span in spans), min(span[1] for span in spans)
    return [
        [v for v in side if v.first is None or v.last is None or (v.last >= begin and v.first <= end)]
        for side in (left, right)
    ]


def _standing(side: Sequence[Voice], theta: dict[int, float], average: tuple[float, float]) -> Standing:
    """By inverse propensity: reactions over the looks that there were to expect, drawn a little to the average answer."""
    likes, dislikes = sum(voice.likes for voice in side), sum(voice.dislikes for voice in side)
    looks = max(_looked(side, theta), likes + dislikes) + PRIOR
    up, down = (likes + PRIOR * average[0]) / looks, (dislikes + PRIOR * average[1]) / looks
    mean = up - down
    return Standing(len({v.user for v in side}), mean, max(up + down - mean**2, 1e-9) / (looks + 1), likes, dislikes)


def _average(voices: Sequence[Voice], theta: dict[int, float]) -> tuple[float, float]:
    """Likes and dislikes a look, over all answers."""
    likes, dislikes = sum(voice.likes for voice in voices), sum(voice.dislikes for voice in voices)
    looks = max(_looked(voices, theta), likes + dislikes, 1.0)
    return likes / looks, dislikes / looks


def _looked(voices: Sequence[Voice], theta: dict[int, float]) -> float:
    """The looks to expect. A voice without a place had one of average chance."""
    fallback = sum(theta.values()) / len(theta) if theta else 1.0
    return sum(theta.get(voice.place, fallback) if voice.place is not None else fallback for voice in voices)


def _verdict(left: Standing, right: Standing) -> tuple[Preference, float | None]:
    """The side that stands higher, with the probability that it is; a tie where nothing tells them apart."""
    probability = 0.5 * (1 + math.erf((left.mean - right.mean) / math.sqrt(2 * (left.variance + right.variance))))
    if abs(probability - 0.5) < 1e-9:
        return "tie", None
    return ("a", probability) if probability > 0.5 else ("b", 1 - probability)


def _later_and_higher(left: Sequence[Voice], right: Sequence[Voice]) -> bool:
    """SHP's rule (Ethayarajh et al. 2022): the one with the higher score had no more time to gather it."""
    firsts = [[voice.first for voice in side if voice.first is not None] for side in (left, right)]
    scores = [sum(voice.likes - voice.dislikes for voice in side) for side in (left, right)]
    if not all(firsts) or scores[0] == scores[1]:
        return False
    begins = [min(times) for times in firsts]
    return begins[0] >= begins[1] if scores[0] > scores[1] else begins[1] >= begins[0]
