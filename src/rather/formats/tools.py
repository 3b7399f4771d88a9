"""Conversations with tools: what can be carried faithfully, and why the rest is refused.

A tool's answer is a turn like another. What a model is told of its tools and the calls that it makes are no text: every chat
template writes them in its own way, and a conversation without them is another conversation. Rows that have them are
refused rather than trained on as if they had none.
"""

from __future__ import annotations

import json
from typing import Any

from rather.errors import RowError


def tools_of(value: Any) -> None:
    """Refuse a row whose model was given tools; an empty list, or its JSON text as TRL has it, is none."""
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except ValueError as error:
            raise RowError('"tools" is text that is not JSON') from error
    if value:
        raise RowError(
            '"tools": what a model is told of its tools is written by its chat template and cannot be trained on yet; '
            "without it the answers would belong to another prompt"
        )
