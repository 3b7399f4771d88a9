"""What the pages share: options as tables."""

from __future__ import annotations

from rather.config import Config


def fields(config: type[Config]) -> str:
    """The options of a config as a table."""
    rows = ["| option | default | meaning |", "|---|---|---|"]
    for name, field in config.model_fields.items():
        default = (
            ""
            if field.default is None
            else f"`{str(field.default).lower() if field.annotation is bool else field.default}`"
        )
        rows.append(f"| `--{name.replace('_', '-')}` | {default} | {' '.join((field.description or '').split())} |")
    return "\n".join(rows)


def first_paragraph(text: str | None) -> str:
    """The first paragraph of a docstring on one line, as a cell of a table."""
    paragraph = " ".join((text or "").split("\n\n")[0].split())
    return paragraph.replace("|", "\\|")
