"""What the audit has to say."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from rather.records.base import Record

Verdict = Literal["pass", "warn", "stop"]


class Finding(Record):
    """One thing that the audit has to say."""

    check: str
    verdict: Verdict
    message: str
    cure: str = ""
    count: int = 0
    total: int = 0
    examples: tuple[str, ...] = ()
    evidence: dict[str, Any] = Field(default_factory=dict)
