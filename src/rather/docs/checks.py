"""docs/checks.md."""

from __future__ import annotations

import inspect

from rather.auditing import CHECKS, SKIPPED
from rather.auditing.thresholds import DEFAULTS, Thresholds
from rather.docs.tables import first_paragraph


def page() -> str:
    """The page."""
    skipped = set(SKIPPED["sample"])
    checks = "\n".join(
        f"| `{name}` | {first_paragraph(inspect.getdoc(check))} | {'' if name in skipped else 'yes'} |"
        for name, check in CHECKS.items()
    )
    return f"""# The audit's checks and thresholds

Written by `make docs` from the code; do not edit. What the checks mean and how to read them is in `docs/audit.md`.

## Checks

In the order in which they run. Those that compare two answers to one prompt say nothing of single answers.

| check | what it says | single answers too |
|---|---|---|
{checks}

## Thresholds

`rather audit PAIRS --thresholds FILE`, and `rather train` with the same: a TOML file with a table for each check that is to be
judged otherwise, and one, `[people]`, for all those of people and judges. What it leaves out stays as it is here; a key that is not
here is an error.

```toml
[duplicates]
warn = 0.05

[length_difference]
warn = 0.55
stop = 0.9

[people]
alpha_warn = 0.4
```

{_thresholds()}
"""


def _thresholds() -> str:
    rows = ["| table | key | default | meaning |", "|---|---|---|---|"]
    for table, about in Thresholds.model_fields.items():
        own = getattr(DEFAULTS, table)
        for number, (key, field) in enumerate(type(own).model_fields.items()):
            value = getattr(own, key)
            said = " ".join((field.description or "").split()).replace("|", "\\|")
            first = f"`[{table}]` {' '.join((about.description or '').split())}" if number == 0 else ""
            rows.append(f"| {first} | `{key}` | {'never' if value is None else f'`{value}`'} | {said} |")
    return "\n".join(rows)
