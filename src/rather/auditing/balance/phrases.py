"""Whole words out of pairs of characters: Chinese, Japanese and Korean topics are counted by pairs, and not named by them.

"务器" stands nearly always behind "服", so what is meant is "服务器"; "语句" stands between the ends of two words, "英语" and
"句子", and means nothing. No dictionary is asked: the texts themselves show which characters keep together.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

# Without the marks of punctuation between U+3000 and U+303F: "》中" is no word.
RUN = re.compile(r"[⺀-\u2fdf々〆〇぀-鿿\uf900-\ufaff가-힯]{2,}")
EMPTY = frozenset("的了是在我你他她它们和与或不有个一这那吗呢什么怎样请如何为会能可以")
"""Characters that are no part of a subject."""
# "In" and "on" stand behind a word of two characters or more and are no part of it.
_BEHIND = "中里上"
# A neighbour belongs to the word if it stands there in so great a share of the texts that have the word …
_AGREED = 0.6
# … and in so many of them.
_TEXTS = 3
_LONGEST = 8


def pairs_of(text: str) -> list[str]:
    """Every two neighbouring characters that may be of a subject."""
    return [pair for pair in _all_pairs(text) if not EMPTY & set(pair)]


def _all_pairs(text: str) -> list[str]:
    return [run[at : at + 2] for run in RUN.findall(text) for at in range(len(run) - 1)]


class Words:
    """What the texts show of the words in them."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = [" ".join(RUN.findall(text)) for text in texts]
        self._often = Counter(pair for text in texts for pair in set(_all_pairs(text)))

    def around(self, pair: str, within: Sequence[int] | None = None) -> str:
        """The word that a pair belongs to, by the texts with these numbers; "" for a pair that stands between two words."""
        numbers = range(len(self._texts)) if within is None else within
        having = [text for text in (self._texts[at] for at in numbers) if pair in text]
        if self._between(pair, having):
            return ""
        word = self._grown(pair, having)
        return word if len(word) < 3 else word.rstrip(_BEHIND)

    def _between(self, pair: str, texts: Sequence[str]) -> bool:
        """Whether both its characters keep more to their other neighbour, in most of the texts."""
        found = 0
        for text in texts:
            at = text.find(pair)
            before, behind = text[at - 1 : at + 1] if at else "", text[at + 1 : at + 3]
            found += min(self._often[before], self._often[behind]) > self._often[pair]
        return 2 * found > len(texts)

    def _grown(self, word: str, texts: Sequence[str]) -> str:
        """The word with the neighbours that the texts agree on."""
        while len(word) < _LONGEST:
            for count, longer in sorted(_neighbours(word, texts), reverse=True):
                having = [text for text in texts if longer in text]
                joint = longer[:2] if longer.endswith(word) else longer[-2:]
                if count >= max(_TEXTS, _AGREED * len(texts)) and not self._between(joint, having):
                    word, texts = longer, having
                    break
            else:
                return word
        return word


def _neighbours(word: str, texts: Sequence[str]) -> list[tuple[int, str]]:
    """The word with a character before it or behind it: in how many texts, and how it reads."""
    counts: Counter[str] = Counter()
    for text in texts:
        places = [place.start() for place in re.finditer(re.escape(word), text)]
        counts.update({text[max(at - 1, 0) : at + len(word)] for at in places})
        counts.update({text[at : at + len(word) + 1] for at in places})
    return [
        (count, longer)
        for longer, count in counts.items()
        if len(longer) > len(word) and RUN.fullmatch(longer) and not EMPTY & set(longer)
    ]


def apart(words: Sequence[str]) -> list[str]:
    """Of words of which one holds another the one that was named first, so that nothing is named twice."""
    kept: list[str] = []
    for word in words:
        held = RUN.fullmatch(word) and any(word in other or other in word for other in kept)
        if word and not held:
            kept.append(word)
    return kept
