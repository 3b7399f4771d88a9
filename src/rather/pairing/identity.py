"""Pairs that teach an identity: the model's own answers corrected, and ordinary answers kept free of it."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rather.records import Pair, Response


@dataclass(frozen=True)
class Identity:
    """Who the model is to be."""

    name: str
    maker: str

    def fill(self, template: str, **more: str) -> str:
        """Put name and maker into a template; {maker_start} is the maker as a sentence begins."""
        maker_start = self.maker[:1].upper() + self.maker[1:]
        return template.format(name=self.name, maker=self.maker, maker_start=maker_start, **more)


@dataclass
class Made:
    """Pairs, and how many answers made none, by reason."""

    pairs: list[Pair] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)

    def skip(self, reason: str) -> None:
        self.skipped[reason] = self.skipped.get(reason, 0) + 1


def corrected(
    answers: Sequence[Response], identity: Identity, templates: Mapping[str, Sequence[str]], *, seed: int
) -> Made:
    """The model's own answer is rejected, a corrected one chosen.

    Templates of each language are dealt from a shuffled deck, so that each is used equally often and none goes with a
    kind of question. An answer that already names the identity, that says nothing, or that the correction does not
    change makes no pair.
    """
    decks = {language: _deal(texts, f"{seed}/{language}") for language, texts in templates.items()}
    made = Made()
    for answer in answers:
        own = whole_sentences(answer) or answer.text.strip()
        if not any(character.isalnum() for character in own):
            made.skip("says nothing")
        elif identity.name.lower() in own.lower():
            made.skip("already right")
        else:
            chosen = identity.fill(next(decks[answer.question.tags["language"]]))
            if chosen == own:
                made.skip("correction changes nothing")
            else:
                made.pairs.append(_pair(answer, chosen=chosen, rejected=own))
    return made


def retained(
    answers: Sequence[Response], identity: Identity, templates: Mapping[str, Sequence[str]], *, seed: int
) -> Made:
    """The model's own answer to an ordinary question is chosen, one that leaks the identity rejected.

    {answer} in a template is the own answer's first sentence.
    """
    decks = {language: _deal(texts, f"{seed}/{language}") for language, texts in templates.items()}
    made = Made()
    for answer in answers:
        own = whole_sentences(answer)
        if not any(character.isalnum() for character in own):
            made.skip("no whole sentence")
        elif identity.name.lower() in own.lower():
            made.skip("names the identity by itself")
        else:
            leak = identity.fill(next(decks[answer.question.tags["language"]]), answer=first_sentence(own))
            made.pairs.append(_pair(answer, chosen=own, rejected=leak))
    return made


def whole_sentences(answer: Response) -> str:
    """The answer, cut back to its last whole sentence if it was cut off; empty if there is none.

    Half a sentence with an end-of-turn behind it would teach the model to stop in the middle.
    """
    if answer.finished:
        return answer.text.strip()
    ends = [match.end() for match in re.finditer(r"[.!?](?=\s|$)|[。！？]", answer.text)]
    return answer.text[: ends[-1]].strip() if ends else ""


def first_sentence(text: str) -> str:
    """Up to and with the first full stop, question or exclamation mark (Latin or Chinese), or the first line."""
    line = text.strip().splitlines()[0]
    return re.split(r"(?<=[.!?。！？])", line, maxsplit=1)[0]


def _deal(texts: Sequence[str], seed: str) -> Iterator[str]:
    shuffler = random.Random(seed)
    while True:
        deck = list(texts)
        shuffler.shuffle(deck)
        yield from deck


def _pair(answer: Response, *, chosen: str, rejected: str) -> Pair:
    return Pair(prompt=answer.question.prompt, chosen=chosen, rejected=rejected, tags=answer.question.tags)
