"""The figures: updates are counted in whole numbers, however few there are."""

from __future__ import annotations

import re

from rather.reporting.figures import comparison_curves, curves_of, training_curves
from rather.reporting.words import words_for

WORDS = words_for({}, {})
KEYS = ("heldout_accuracy", "rejected_logp_change_per_token", *(key for c in curves_of(WORDS) for key, *_ in c.lines))
ROWS = [{"step": step, **dict.fromkeys(KEYS, 3.0 * step)} for step in (1, 2)]


def test_updates_are_whole_numbers() -> None:
    for _, svg in [*comparison_curves({"one": ROWS, "two": ROWS}, WORDS), *training_curves(ROWS, WORDS)]:
        ticks = re.findall(r'id="xtick_\d+".*?<text[^>]*>([^<]+)</text>', svg, re.DOTALL)
        assert ticks
        assert all(tick.isdigit() for tick in ticks), ticks


def test_a_run_of_one_update_is_seen() -> None:
    """A line of one point has no length: it is drawn as a point."""
    drawn = dict(training_curves(ROWS[:1], WORDS))
    assert all('<use xlink:href="#' in svg and "trained on" not in svg for svg in list(drawn.values())[:1])
    assert len(drawn) == 5
