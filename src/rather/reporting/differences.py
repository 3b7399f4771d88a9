"""Where two answers differ: words (CJK by character), so that a reader's eye goes there first."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

Pieces = list[tuple[bool, str]]
"""(is it only here?, text), which together are the whole text."""

_PIECE = re.compile(r"[⺀-鿿豈-﫿぀-ヿ가-힯]|[^\W_]+|\s+|[\W_]", re.UNICODE)

# With less in common than this, nearly all would be marked, and a mark would say nothing.
ALIKE = 0.15


def differences(one: str, other: str) -> tuple[Pieces, Pieces] | None:
    """Both texts in pieces, marked where the other has something else. None for texts with little in common."""
    first, second = _PIECE.findall(one), _PIECE.findall(other)
    matcher = SequenceMatcher(None, first, second, autojunk=False)
    words = {piece for piece in first if piece.strip()} | {piece for piece in second if piece.strip()}
    if not words:
        return None
    common = sum(
        sum(bool(piece.strip()) for piece in first[block.a : block.a + block.size])
        for block in matcher.get_matching_blocks()
    )
    longer = max(sum(bool(piece.strip()) for piece in pieces) for pieces in (first, second))
    if common < ALIKE * longer:
        return None
    here: Pieces = []
    there: Pieces = []
    for what, a, b, c, d in matcher.get_opcodes():
        _add(here, what != "equal", first[a:b])
        _add(there, what != "equal", second[c:d])
    return here, there


def _add(pieces: Pieces, only: bool, found: list[str]) -> None:
    if found:
        pieces.append((only, "".join(found)))
