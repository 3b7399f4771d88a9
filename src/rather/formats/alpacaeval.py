"""AlpacaEval annotations: two outputs, and a `preference` of 1, 2 or 1.5, or between them from a weighted annotator.

    {"instruction": "…", "output_1": "…", "output_2": "…", "generator_1": "…", "generator_2": "…", "annotator": "…",
     "preference": 1.8}

Which output was shown first is not in the file, so the judgments have the tag `order: unknown`.
"""

from __future__ import annotations

import math

from rather.errors import RowError
from rather.formats.values import Row, made, number_of, text_of, user_turn
from rather.records import Comparison, Judgment

FIELDS = frozenset({
    "instruction", "output_1", "output_2", "generator_1", "generator_2", "annotator", "preference", "dataset", "datasplit",
})  # fmt: skip
REQUIRED = ("instruction", "output_1", "output_2", "preference")


def matches(row: Row) -> bool:
    """Two outputs by number, and a preference."""
    return "output_1" in row and "output_2" in row and "preference" in row


def parse(row: Row) -> list[Judgment]:
    """One row is one comparison; a preference of 1.8 says b with a confidence of 0.8."""
    value = row["preference"]
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise RowError('"preference" is empty: the annotator gave no answer that could be read')
    preference = number_of(value, "preference")
    if not 1 <= preference <= 2:
        raise RowError(f'"preference" is {preference:g}; it must lie between 1 and 2')
    annotator = row.get("annotator")
    models = (row.get("generator_1"), row.get("generator_2"))
    return [
        made(
            Comparison,
            prompt=user_turn(row["instruction"], "instruction"),
            answers=(text_of(row["output_1"], "output_1"), text_of(row["output_2"], "output_2")),
            models=models if models != (None, None) else None,
            judge="alpaca_eval" if annotator is None else text_of(annotator, "annotator"),
            by="model",
            verdict="tie" if preference == 1.5 else "b" if preference > 1.5 else "a",
            confidence=None if preference in (1, 1.5, 2) else abs(preference - 1.5) + 0.5,
            tags={"order": "unknown"},
        )
    ]


def write(record: Comparison) -> Row:
    """The row of a comparison. Raises RowError for a conversation of several turns, and for a verdict that no number says."""
    if isinstance(record.prompt, str):
        raise RowError("its prompt is plain text; --as-chat makes it a conversation")
    if len(record.prompt) != 1 or record.prompt[0].role != "user":
        raise RowError("its prompt is a conversation of several turns, and AlpacaEval has one instruction")
    models = record.models or (None, None)
    return {
        "instruction": record.prompt[0].content,
        **{f"output_{place}": text for place, text in enumerate(record.answers, start=1)},
        **{f"generator_{place}": model for place, model in enumerate(models, start=1) if model is not None},
        "annotator": record.judge,
        "preference": _preference(record),
    }


def _preference(record: Comparison) -> float:
    if record.verdict == "both_bad":
        raise RowError("says that both are bad, for which AlpacaEval has no number")
    if record.verdict == "tie":
        return 1.5
    sure = 1.0 if record.confidence is None else record.confidence
    if sure <= 0.5:
        raise RowError(
            f"says {record.verdict} with a confidence of {sure:g}; in AlpacaEval's number that is a tie or the other"
        )
    return 2 - sure if record.verdict == "a" else 1 + sure
