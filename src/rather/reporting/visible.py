"""Text as a reader may see it: what would reorder, hide or break it is written out."""

from __future__ import annotations

import re

# Control characters, bidirectional overrides, and lone surrogates, which no file can hold.
_HIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """Text with the characters shown that would reorder, hide or break what a reader sees."""
    return _HIDDEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text)
