"""docs/formats.md."""

from __future__ import annotations

from textwrap import dedent
from types import ModuleType

from rather.formats import JUDGMENT_READERS, READERS, TARGETS, tools, votes


def page() -> str:
    """The page."""

    def sections(readers: dict[str, ModuleType]) -> str:
        return "\n".join(f"### `{name}`\n\n{_literal(module.__doc__)}\n" for name, module in readers.items())

    targets = "\n".join(f"| `{name}` | {target.about} |" for name, target in TARGETS.items())
    carried = _literal(tools.__doc__).partition("\n\n")[2]
    return f"""# Formats: files that are read and written

Written by `make docs` from the code; do not edit.

## Sources

Wherever a command takes a file of pairs or judgments, it takes

| source | as |
|---|---|
| a file | JSONL, a JSON array, CSV or TSV with a header; each also .gz or .zst; Parquet |
| several files | a quoted pattern: `"parts/*.jsonl.gz"`, `"runs/**/pairs.jsonl"`; in the order of their names |
| the folder of a step | what the step left: its `pairs.jsonl` or `judgments.jsonl` |
| a Hugging Face data set | `hf:org/name`, `hf:org/name:split`, `hf:org/name/config:split` |
| a folder that `datasets` saved | its name, or `hf:FOLDER:split` |

Rows are read one at a time, however large the file. The form is told by the first row that can be read; a later row that does not
fit it is refused with its line and the reason, never dropped in silence. A data set's own code is never run.

## Pairs, ranked lists and single answers

In the order in which they are tried on the first row.

{sections(READERS)}
### Conversations with tools

{carried}

## Judgments

In the order in which they are tried on the first row. Times are seconds since 1970 or ISO 8601 (without a zone: UTC).

{sections(JUDGMENT_READERS)}
### Votes on pairs in another file

{_literal(votes.__doc__)}

`rather convert VOTES OUT --to judgments --answers PAIRS`, or `rather.read_votes(pairs, votes)`. For votes of a model that no
column names: `--judge gpt-4 --by model`.

## What `rather convert` writes

`rather convert IN OUT --to FORM`: the ending of OUT tells the container (.jsonl, .json, .csv, .tsv, each also .gz, .zst;
.parquet). A form that cannot hold what a record says refuses it: a tie is no pair of HH, a ranked list no pair of TRL, and a
conversation no cell of a table. What a judgment says by the way (its confidence, say) and the form has no place for is counted.

| form | what it is |
|---|---|
{targets}
"""


def _literal(text: str | None) -> str:
    """A docstring as Markdown: its indented parts are code."""
    parts = (text or "").strip("\n").split("\n\n")
    return "\n\n".join(
        f"```\n{dedent(part).rstrip()}\n```" if part.startswith("    ") else part.rstrip() for part in parts
    )
