"""Which records are looked at where all would take too long: those of some prompts, all of each."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from rather.records import NOUNS, Example


def by_prompt(records: Sequence[Example], at_most: int) -> tuple[list[int], str]:
    """Places of about `at_most` records, and which they are in words; all of them, and nothing to say, where there are no more.

    Drawn by the prompts' hashes: the same records give the same sample in any order, and what stands in several records of one
    prompt (duplicates, contradictions, cycles) is seen whole.
    """
    total = len(records)
    if total <= at_most:
        return list(range(total)), ""
    limit = round(at_most / total * 2**32)
    places = [place for place, record in enumerate(records) if _hash(record) < limit]
    noun = NOUNS[records[0].kind]
    return places, (
        f"looked at {len(places):,} of {total:,} {noun}, those of {at_most / total:.1%} of the prompts by their hashes; "
        "`rather audit` looks at all"
    )


def _hash(record: Example) -> int:
    prompt = record.prompt
    text = prompt if isinstance(prompt, str) else "\0".join(turn.content for turn in prompt)
    # CRC alone maps like texts to like numbers; the product spreads them.
    return zlib.crc32(text.encode()) * 0x9E3779B1 % 2**32
