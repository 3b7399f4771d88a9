from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rather.errors import ConfigError
from rather.planning.numbers import parse_count, said_bytes, said_flops, said_seconds


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("100000", 100_000), ("100_000", 100_000), ("100,000", 100_000), ("100k", 100_000), ("1e6", 1_000_000),
        ("2M", 2_000_000), ("2m", 2_000_000), ("1.5B", 1_500_000_000), ("1e9", 10**9), (" 7 ", 7), (7, 7),
    ],
)  # fmt: skip
def test_numbers_as_people_write_them(text: str, count: int) -> None:
    assert parse_count("--pairs", text) == count


@pytest.mark.parametrize(
    "text", ["", "many", "10x", "-5", "0", "0.5", "1e99", "1.2345k5", "k", "nan", "inf", "1e16", "٣"]
)
def test_what_is_no_number_is_one_line_that_names_the_flag(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^--pairs .*(write 100000, 100k, 1e6 or 2M|whole number)"):
        parse_count("--pairs", text)


@given(st.integers(1, 10**15))
def test_a_plain_number_is_itself(count: int) -> None:
    assert parse_count("--pairs", str(count)) == count


def test_sizes_are_said_in_three_digits() -> None:
    assert said_bytes(0) == "0 B"
    assert said_bytes(999) == "999 B"
    assert said_bytes(1_000) == "1.00 KB"
    assert said_bytes(84_825_604_096) == "84.8 GB"
    assert said_bytes(316e9) == "316 GB"
    assert said_bytes(4e18) == "4,000 PB"
    assert said_flops(5.43e17) == "543 PFLOP"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.067, "0.067 s"), (42, "42 s"), (61, "1 min 1 s"), (884, "14 min 44 s"), (7800, "2 h 10 min"), (3600, "1 h"),
        (86_400 * 5 + 3 * 3600, "5 days 3 h"), (86_400 * 1000, "1,000 days"), (86_400 + 3600, "1 day 1 h"),
    ],
)  # fmt: skip
def test_spans_are_said_in_two_units(seconds: float, said: str) -> None:
    assert said_seconds(seconds) == said
