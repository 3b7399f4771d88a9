"""The project's own form: one pair a line, as `rather` writes it.

    {"prompt": [{"role": "user", "content": "…"}], "chosen": "…", "rejected": "…", "tags": {"kind": "identity"}}

The prompt may also be plain text, which the answers continue. `probability`, `margin` and `weight` may stand beside them.
"""

from __future__ import annotations

from rather.errors import RowError
from rather.formats import preference
from rather.formats.values import Row
from rather.records import Pair

FIELDS = (preference.FIELDS | {"tags", "id"}) - {"tools"} - set(preference.TAGS)
REQUIRED = preference.REQUIRED


def matches(row: Row) -> bool:
    """A row as `write` makes it: `tags` tell it from TRL's form."""
    return preference.matches(row) and "tags" in row and "prompt" in row


def parse(row: Row) -> Pair:
    """One row as a pair. Raises RowError for an unknown field, or an `id` that is not its content's."""
    unknown = sorted(set(row) - FIELDS)
    if unknown:
        raise RowError(f'has an unknown field "{unknown[0]}"; known are {", ".join(sorted(FIELDS))}')
    if "prompt" not in row:
        raise RowError('has no "prompt"')
    pair = preference.make_pair(
        preference.prompt_of(row["prompt"]),
        preference.answer_of(row["chosen"], "chosen"),
        preference.answer_of(row["rejected"], "rejected"),
        preference.tags_of(row),
        preference.judged_of(row),
    )
    preference.require_own_id(row, pair)
    return pair


def write(pair: Pair) -> Row:
    """The row of a pair; `parse(write(pair))` has the same id."""
    return preference.written(pair, {"chosen": pair.chosen, "rejected": pair.rejected})
