"""What every record is made of: checked values, ids that are hashes of content, and the frozen base."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def usable(text: str) -> str:
    """`text`, if a file and a tokenizer can take it. Raises ValueError."""
    if "\x00" in text:
        raise ValueError("contains a NUL character")
    # Half of a UTF-16 pair, as broken JSON escapes give it: no file and no tokenizer takes it.
    try:
        text.encode()  # a hundred times as fast as looking at each character
    except UnicodeEncodeError as error:
        raise ValueError("contains a lone surrogate, which is no character") from error
    return text


def not_blank(text: str) -> str:
    """`text`, if it says something. Raises ValueError."""
    if not text.strip():
        raise ValueError("is empty")
    return text


def _at_least_0(value: float) -> float:
    if value < 0:
        raise ValueError("is below 0: by it rejected is the better answer; exchange the sides")
    return value


def _above_0(value: float) -> float:
    if value <= 0:
        raise ValueError("must be above 0; to leave a row out, remove it")
    return value


Text = Annotated[str, AfterValidator(usable)]
NonBlank = Annotated[Text, AfterValidator(not_blank)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Probability = Annotated[Finite, Field(ge=0, le=1)]
Margin = Annotated[Finite, AfterValidator(_at_least_0)]
Weight = Annotated[Finite, AfterValidator(_above_0)]


def content_id(value: Any) -> str:
    """Sixteen hex digits of the SHA-256 of `value`'s canonical JSON: same content, same id, on every machine."""
    canonical = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    # A lone surrogate has no UTF-8 form; no record holds one, but a model's own output might, and must still hash.
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Record(BaseModel):
    """Base of all records: frozen, strict, closed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
