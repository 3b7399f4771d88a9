"""Write the documentation pages that come from the code: `make docs`. A test checks that they are up to date."""

from __future__ import annotations

import inspect
from pathlib import Path

from rather.auditing import CHECKS
from rather.demos.config import DemoConfig
from rather.formats import READERS
from rather.losses import LOSSES, loss_options
from rather.training.config import TrainConfig
from rather.training.metrics import METRICS

DOCS = Path(__file__).parents[2] / "docs"


def pages() -> dict[str, str]:
    """File name → content."""
    return {"training.md": _training()}


def _training() -> str:
    losses = "\n".join(
        f"| `{name}` | {_options(name)} | {_first_sentence(inspect.getdoc(loss))} |" for name, loss in LOSSES.items()
    )
    checks = "\n".join(f"| `{name}` | {_first_sentence(inspect.getdoc(check))} |" for name, check in CHECKS.items())
    formats = "\n".join(f"| `{name}` | {_first_sentence(module.__doc__)} |" for name, module in READERS.items())
    metrics = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in METRICS.items())
    return f"""# Training: options, losses, metrics, checks

Written by `make docs` from the code; do not edit.

## Options of `rather train`

Flags and TOML keys have the same names (`--batch-pairs 16`, or `batch_pairs = 16` in the file given with `--config`).

{_fields(TrainConfig)}

## Losses

| loss | options | what it is |
|---|---|---|
{losses}

`bradley_terry` takes a reward model's scores and is there as a function; the others train with `--loss`.

## `metrics.jsonl`: one object an update, means over its pairs

| key | meaning |
|---|---|
{metrics}

## Audit checks

`--allow CHECK="reason"` lets one pass; the reason stays in the run's manifest and report.

| check | what it looks for |
|---|---|
{checks}

## Forms of a row, in the order in which they are tried

| form | what it is |
|---|---|
{formats}

## Options of `rather demo`

{_fields(DemoConfig)}
"""


def _fields(config: type[TrainConfig] | type[DemoConfig]) -> str:
    rows = ["| option | default | meaning |", "|---|---|---|"]
    for name, field in config.model_fields.items():
        default = (
            ""
            if field.default is None
            else f"`{str(field.default).lower() if field.annotation is bool else field.default}`"
        )
        rows.append(f"| `--{name.replace('_', '-')}` | {default} | {' '.join((field.description or '').split())} |")
    return "\n".join(rows)


def _options(name: str) -> str:
    return ", ".join(f"`{option}` ({default})" for option, default in loss_options(name).items()) or "none"


def _first_sentence(text: str | None) -> str:
    paragraph = " ".join((text or "").split("\n\n")[0].split())
    return paragraph.replace("|", "\\|")


def main() -> None:
    """Write every page."""
    for name, content in pages().items():
        (DOCS / name).write_text(content, encoding="utf-8")
        print(DOCS / name)


if __name__ == "__main__":
    main()
