"""The content of records as numbers: what is the same prompt, the same answer, the same pair."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from rather.records import Example, Prompt

Ints = NDArray[np.int64]
Hashes = NDArray[np.uint64]
"""64 bits of BLAKE2b: among a million texts two share theirs by chance once in 37 million sets."""


@dataclass(frozen=True)
class Keys:
    """Of records [N], and of all their answers in order [A].

    prompt       of the prompt
    text         of prompt, answers and which are better
    question     of prompt and answers, whichever is better
    answer       of the answer without white space around it [A]
    owner        number of the record that has the answer [A]
    answer_good  True for an answer to become more like [A]
    """

    prompt: Hashes
    text: Hashes
    question: Hashes
    answer: Hashes
    owner: Ints
    answer_good: NDArray[np.bool_]

    @classmethod
    def of(cls, records: Iterable[Example]) -> Keys:
        """Made in one pass."""
        prompts, texts, questions, answers = bytearray(), bytearray(), bytearray(), bytearray()
        owners, goods = array("q"), bytearray()
        for number, record in enumerate(records):
            prompt = _hash(_bytes(record.prompt))
            exact = [_hash(answer.encode()) for answer in record.answers]
            good = len(record.good)
            prompts += prompt
            texts += _hash(prompt + b"".join(exact) + bytes([good > 0]))
            questions += _hash(prompt + b"".join(sorted(exact)))
            for place, answer in enumerate(record.answers):
                bare = answer.strip()
                answers += exact[place] if len(bare) == len(answer) else _hash(bare.encode())
                owners.append(number)
                goods.append(place < good)
        columns = [np.frombuffer(bytes(column), np.uint64) for column in (prompts, texts, questions, answers)]
        return cls(*columns, np.array(owners, np.int64), np.frombuffer(bytes(goods), np.bool_))


def answer_key(answer: str) -> int:
    """The number of an answer in `Keys.answer`."""
    return int(np.frombuffer(_hash(answer.strip().encode()), np.uint64)[0])


def repeats(keys: Hashes) -> Ints:
    """Places at which a key stands that stood before."""
    first = np.zeros(len(keys), bool)
    first[np.unique(keys, return_index=True)[1]] = True
    return np.flatnonzero(~first)


def at_odds(keys: Hashes, others: Hashes) -> Ints:
    """Places of those keys beside which different `others` stand."""
    if not len(keys):
        return np.zeros(0, np.int64)
    groups, group = np.unique(keys, return_inverse=True)
    least, most = np.full(len(groups), np.iinfo(np.uint64).max), np.zeros(len(groups), np.uint64)
    np.minimum.at(least, group, others)
    np.maximum.at(most, group, others)
    return np.flatnonzero((least != most)[group])


def _hash(text: bytes) -> bytes:
    return blake2b(text, digest_size=8).digest()


def _bytes(prompt: Prompt) -> bytes:
    """Different bytes for different prompts: text behind "t", turns with their lengths behind "j"."""
    if isinstance(prompt, str):
        return b"t" + prompt.encode()
    return "".join(f"j{turn.role}{len(turn.content)}:{turn.content}" for turn in prompt).encode()
