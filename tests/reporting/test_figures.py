"""The figures: updates are counted in whole numbers, however few there are."""

from __future__ import annotations

import re

from rather.reporting.figures import CURVES, comparison_curves, training_curves

KEYS = ("accuracy", "rejected_logp_change_per_token", *(key for *_, series in CURVES for key, *_ in series))
ROWS = [{"step": step, **dict.fromkeys(KEYS, 3.0 * step)} for step in (1, 2)]


def test_updates_are_whole_numbers() -> None:
    for _, svg in [*comparison_curves({"one": ROWS, "two": ROWS}), *training_curves(ROWS)]:
        ticks = re.findall(r'id="xtick_\d+".*?<text[^>]*>([^<]+)</text>', svg, re.DOTALL)
        assert ticks
        assert all(tick.isdigit() for tick in ticks), ticks
