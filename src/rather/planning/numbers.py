"""Numbers as people write them, read and said."""

from __future__ import annotations

import math
import re

from rather.errors import ConfigError

_SUFFIXES = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9, "t": 10**12}
_FORM = re.compile(r"([0-9][0-9_,]*(?:\.[0-9]+)?(?:e\+?[0-9]{1,2})?)\s*([kmbgt]?)", re.IGNORECASE)


def parse_count(flag: str, text: str | int) -> int:
    """A whole number above 0: 100000, 100_000, 100k, 1e6, 2M or 1.5B. Raises ConfigError that names the flag."""
    found = _FORM.fullmatch(str(text).strip())
    if found is None:
        raise ConfigError(f"{flag} {str(text)[:40]}: is not a number; write 100000, 100k, 1e6 or 2M")
    value = float(re.sub("[_,]", "", found[1])) * _SUFFIXES[found[2].lower()]
    if not (1 <= value <= 1e15 and value == round(value)):
        raise ConfigError(f"{flag} {str(text)[:40]}: must be a whole number from 1 to 10¹⁵")
    return round(value)


def said_bytes(count: float) -> str:
    """Bytes in decimal units, three digits: 1.24 GB."""
    return _scaled(count, ("B", "KB", "MB", "GB", "TB", "PB"))


def said_flops(count: float) -> str:
    """Floating-point operations, three digits: 4.31 PFLOP."""
    return _scaled(count, tuple(f"{unit}FLOP" for unit in ("", "K", "M", "G", "T", "P", "E", "Z")))


def said_seconds(seconds: float) -> str:
    """A span of time in the two units that matter: 42 s, 3 min 5 s, 2 h 10 min, 5 days 3 h."""
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    for unit, small, size, inner in (("min", "s", 60, 1), ("h", "min", 3600, 60), ("days", "h", 86400, 3600)):
        if unit == "days" or seconds < {"min": 3600, "h": 86400}[unit]:
            whole, rest = divmod(seconds, size)
            named = "day" if unit == "days" and whole == 1 else unit
            return f"{whole:,.0f} {named}" + (f" {rest // inner:.0f} {small}" if whole < 100 and rest >= inner else "")
    raise AssertionError("days take any span")


def _scaled(value: float, units: tuple[str, ...]) -> str:
    step = 0 if value < 1 else min(len(units) - 1, int(math.log10(value) // 3))
    scaled = value / 1000**step
    digits = 0 if scaled >= 100 or step == 0 else 1 if scaled >= 10 else 2
    return f"{scaled:,.{digits}f} {units[step]}"
