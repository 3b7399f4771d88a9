"""The documentation pages that come from the code: `make docs` writes them, and a test checks that they are up to date."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from rather.docs import (
    checks,
    commands,
    configs,
    evaluation,
    formats,
    generation,
    judges,
    looping,
    losses,
    pairing,
    planning,
    python,
    runs,
    training,
)

DOCS = Path(__file__).parents[3] / "docs"

PAGES = {
    "training.md": training.page,
    "formats.md": formats.page,
    "losses.md": losses.page,
    "generation.md": generation.page,
    "judges.md": judges.page,
    "pairing.md": pairing.page,
    "planning.md": planning.page,
    "checks.md": checks.page,
    "evaluation.md": evaluation.page,
    "loop.md": looping.page,
    "cli.md": commands.page,
    "config.md": configs.page,
    "api.md": python.page,
    "runs.md": runs.page,
}


@cache
def pages() -> dict[str, str]:
    """File name → content."""
    return {name: page() for name, page in PAGES.items()}
