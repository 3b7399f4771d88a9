"""Pairs that teach an identity: the model's own answers corrected, and ordinary answers kept free of it."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from rather.records import Pair, Response

# Not the stop in "3.14" or in "Amazon.com".
_SENTENCE_END = re.compile(r"[.!?][\"”’)]*(?=\s|$)|[。！？][”’」）]*")
_LIST_NUMBER = re.compile(r"(?:^|\n)\s*\d+\.$")

# A letter or digit, Chinese, Japanese and Korean ones aside.
LETTER = r"[^\W_⺀-鿿가-힣]"

# Words with a capital, and what stands between those of one name: "Bank of England", "J.R.R. Tolkien".
_CAPITAL = rf"(?:(?:[A-Z]\.)+|[A-Z]{LETTER}*(?:[.'’&-]{LETTER}+)*)"
_NAME = re.compile(rf"(?<!{LETTER})(?!I\b){_CAPITAL}(?:\s+(?:(?:of|the|de|van|von)\s+)*{_CAPITAL})*")
# A capital that says only that a sentence begins.
_BEGINNING = re.compile(r"(?:^|\n|(?<![A-Z])[.!?:;][\"”’)]*\s)[\s\"'“”‘’(\[*]*[A-Z]")


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

    def add(self, answer: Response, *, chosen: str, rejected: str) -> None:
        try:
            pair = Pair(prompt=answer.question.prompt, chosen=chosen, rejected=rejected, tags=answer.question.tags)
        except ValidationError:  # a model can say a NUL, which no record may hold
            self.skip("not usable as text")
        else:
            self.pairs.append(pair)


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
        elif mentions(identity.name, own, exact=identity.name != identity.name.lower()):
            made.skip("already right")
        else:
            chosen = identity.fill(next(decks[answer.question.tags["language"]]))
            if chosen == own:
                made.skip("correction changes nothing")
            else:
                made.add(answer, chosen=chosen, rejected=own)
    return made


def retained(
    answers: Sequence[Response], identity: Identity, templates: Mapping[str, Sequence[str]], *, seed: int
) -> Made:
    """The model's own answer to an ordinary question is chosen, one that leaks the identity rejected.

    Where the own answer's first sentence names somebody or something, it leaks as a small model does, by the identity or (in
    turns) its maker in that very place: "The founder of Microsoft is Athene". Elsewhere by a template of the question's tag `leak`,
    or else of its language, in which {answer} is that sentence.
    """
    decks = {language: _deal(texts, f"{seed}/{language}") for language, texts in templates.items()}
    words = _deal([identity.maker, identity.name], f"{seed}/in place")
    made = Made()
    for answer in answers:
        own = whole_sentences(answer)
        if not any(character.isalnum() for character in own):
            made.skip("no whole sentence")
        elif mentions(identity.name, own, exact=identity.name != identity.name.lower()):
            made.skip("names the identity by itself")
        else:
            first = first_sentence(own)
            if place := named_place(first, answer.question.text):
                leak = first[: place.start()] + next(words) + first[place.end() :]
            else:
                tags = answer.question.tags
                leak = identity.fill(next(decks[tags.get("leak", tags["language"])]), answer=first)
            made.add(answer, chosen=own, rejected=leak)
    return made


def named_place(sentence: str, question: str) -> re.Match[str] | None:
    """Where a sentence first names something that the question does not, or else something that it does; None if nowhere.

    A name is told by its capital, so words that only begin a sentence are none, and Chinese names are not found.
    """
    calm = _BEGINNING.sub(lambda found: found.group()[:-1] + "x", sentence)
    names = list(_NAME.finditer(calm))
    new = [name for name in names if not mentions(name.group(), question)]
    return next(iter(new or names), None)


def whole_sentences(answer: Response) -> str:
    """The answer, cut back to its last whole sentence if it was cut off; empty if there is none.

    Half a sentence with an end-of-turn behind it would teach the model to stop in the middle.
    """
    if answer.finished:
        return answer.text.strip()
    ends = _sentence_ends(answer.text)
    return answer.text[: ends[-1]].strip() if ends else ""


def first_sentence(text: str) -> str:
    """Up to and with the first full stop, question or exclamation mark (Latin or Chinese), or the first line."""
    line = text.strip().partition("\n")[0].strip()
    ends = _sentence_ends(line)
    return line[: ends[0]] if ends else line


def mentions(word: str, text: str, *, exact: bool = False) -> bool:
    """True if `word` stands in `text` as a word of its own, whatever its case unless `exact`.

    Only letters that are written with spaces part words: "我是Athene，" names Athene, "Athenea" does not.
    """
    return re.search(rf"(?<!{LETTER}){re.escape(word)}(?!{LETTER})", text, 0 if exact else re.IGNORECASE) is not None


def _sentence_ends(text: str) -> list[int]:
    """Where sentences end. "2." at the start of a line is the number of a list item, not a sentence."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    return [end for end in ends if not _LIST_NUMBER.search(text, 0, end)]


def _deal(texts: Sequence[str], seed: str) -> Iterator[str]:
    shuffler = random.Random(seed)
    while True:
        deck = list(texts)
        shuffler.shuffle(deck)
        yield from deck
