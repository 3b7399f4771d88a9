"""The project's own form: one pair a line, as `rather` writes it.

    {"prompt": [{"role": "user", "content": "…"}], "chosen": "…", "rejected": "…", "tags": {"kind": "identity"}}

The prompt may also be plain text, which the answers continue.
"""

from __future__ import annotations

from rather.errors import RowError
from rather.formats import preference
from rather.formats.rows import Row, kind_of
from rather.records import Pair

FIELDS = preference.FIELDS | {"tags", "id"}


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
    tags = row.get("tags")
    tags = {} if tags is None else tags
    if not isinstance(tags, dict):
        raise RowError(f'"tags" is {kind_of(tags)}, not an object')
    # Parquet gives every row all keys of the column's struct; a null there means that the tag is absent.
    tags = {key: value for key, value in tags.items() if value is not None}
    pair = preference.make_pair(
        preference.prompt_of(row["prompt"]),
        preference.answer_of(row["chosen"], "chosen"),
        preference.answer_of(row["rejected"], "rejected"),
        tags,
    )
    if row.get("id") not in (None, pair.id):
        raise RowError(f'"id" is {row["id"]}, but the content has {pair.id}: the row was edited; remove its "id"')
    return pair


def write(pair: Pair) -> Row:
    """The row of a pair; `parse(write(pair))` has the same id."""
    prompt = pair.prompt if isinstance(pair.prompt, str) else [message.model_dump() for message in pair.prompt]
    return {"id": pair.id, "prompt": prompt, "chosen": pair.chosen, "rejected": pair.rejected, "tags": pair.tags}
