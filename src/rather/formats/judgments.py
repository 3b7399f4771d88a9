"""Files of judgments → records, one at a time: a file may be far larger than memory. To add a form, write its file and a line."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType

from rather.errors import InputError
from rather.formats import (
    alpacaeval,
    arena,
    argilla,
    events,
    judged,
    labelstudio,
    llmbar_judged,
    nectar_judged,
    ratings,
    ultrafeedback,
)
from rather.formats.labelled import LABELLED
from rather.formats.streams import Quick, Stream
from rather.formats.values import Row, short
from rather.records import Judgment

JUDGMENT_READERS: dict[str, ModuleType] = {
    "native": judged, "nectar": nectar_judged, "ultrafeedback": ultrafeedback, "argilla": argilla, "labelstudio": labelstudio,
    "alpacaeval": alpacaeval, "arena": arena, "llmbar": llmbar_judged, "events": events, "ratings": ratings,
}  # fmt: skip
"""name → module with `FIELDS`, those `REQUIRED`, `matches(row) -> bool` and `parse(row)`, a list of Judgments.

The first that matches a file's first row reads it. A RowError in the list stands for a part of the row that cannot be used.
"""


def iter_judgments(
    path: str | Path, *, format: str | None = None, quick: Mapping[str, Quick] | None = None, labels: bool = False
) -> Stream[Judgment]:
    """The judgments of a source in its order, and a Refusal in the place of each row, or part of one, that cannot be used.

    path: a file, a glob, a step's folder with a judgments.jsonl, or a data set (`hf:org/name`).
    quick: form → what is asked first for each of its rows; a row that it takes is not given again.
    labels: also pairs, ranked lists and single answers, as what their labels say.
    Raises InputError where it cannot be read as a whole, or its first row is of no known form.
    """
    readers = {**JUDGMENT_READERS, **LABELLED} if labels else JUDGMENT_READERS
    return Stream(path, readers, no_judgment, format=format, inside=("judgments.jsonl",), quick=quick)


def judgment_rows(judgments: Iterable[Judgment] | Sequence[Judgment]) -> Iterator[Row]:
    """Native rows, for `write_jsonl`."""
    return (judged.write(judgment) for judgment in judgments)


def no_judgment(row: Row, place: str) -> InputError:
    """What to raise for a first row of no known form."""
    keys = ", ".join(short(key) for key in itertools.islice(sorted(row), 8)) or "no fields"
    if "id" in row and "winner" in row:
        return InputError(
            f"{place}: is a vote on a pair that stands in another file (it has {keys}); `rather convert` joins the two "
            "with --answers FILE, and so does rather.read_votes(pairs, votes)"
        )
    return InputError(
        f'{place}: is no judgment of a known form (it has {keys}); a judgment needs "prompt", "answers", "judge" and one of '
        f'{", ".join(judged.TELLING)}; a table of ratings has the columns "prompt", "response" and "score"; docs/formats.md '
        "lists the other forms"
    )
