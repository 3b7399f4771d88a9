from __future__ import annotations

from pathlib import Path

import pytest

from rather.auditing import AuditInput, audit
from rather.auditing.texts.repeats import near_duplicates
from rather.auditing.thresholds import Shares, Thresholds
from rather.errors import ConfigError
from rather.records import Pair


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "t.toml"
    file.write_text("[duplicates]\nwarn = 0.2\n[length_difference]\nwarn = 0.55\n")
    changed = Thresholds.read(file)
    assert (changed.duplicates.warn, changed.duplicates.stop) == (0.2, 0.5)
    assert changed.length_difference == Thresholds().length_difference.changed({"warn": 0.55})
    assert changed.model_dump(exclude={"duplicates", "length_difference"}) == Thresholds().model_dump(
        exclude={"duplicates", "length_difference"}
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[duplicate]\nwarn = 1", 'no thresholds are called "duplicate"; did you mean "duplicates"?'),
        ("[duplicates]\nwran = 1", '[duplicates] unknown key "wran"; did you mean "warn"?'),
        ("[duplicates]\nwarn = 'x'", "[duplicates] warn = 'x': input should be a number"),
        ("[duplicates]\nwarn = -1", "[duplicates] warn = -1: input should be greater than or equal to 0"),
        (
            "[identical_sides]\nwarn = 0.05",
            "[identical_sides] warn = 0.05: all above it stops already, at stop = 0.01; change stop, too",
        ),
        (
            "[length_difference]\nstop = 0.6\nwarn = 0.65",
            "[length_difference] warn = 0.65: all above it stops already, at stop = 0.6; change stop, too",
        ),
        (
            "[prompt_balance]\nstop = 0.2\nwarn = 0.1",
            "[prompt_balance] warn = 0.1: all below it stops already, at stop = 0.2; change stop, too",
        ),
        (
            "[people]\nalpha_warn = 0.05",
            "[people] alpha_warn = 0.05: all below it stops already, at alpha_stop = 0.1; change alpha_stop, too",
        ),
        ("duplicates = 0.1", "duplicates = 0.1: is a check; give its thresholds under [duplicates]"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "t.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        Thresholds.read(file)
    assert str(caught.value) == f"{file}: {said}"


def test_a_lower_stop_by_itself_stops_where_it_says() -> None:
    changed = Thresholds.changed_by(
        {"length_difference": {"stop": 0.6}, "identical_sides": {"warn": 0.05, "stop": 0.1}}
    )
    assert (changed.length_difference.warn, changed.length_difference.stop) == (0.65, 0.6)
    assert changed.identical_sides.verdict(0.04) == "pass"


def test_they_reach_the_checks() -> None:
    pairs = [Pair(prompt=f"q{n % 9}", chosen=f"a{n % 9}", rejected="b") for n in range(10)]

    def verdict(**tables: dict[str, float]) -> str:
        found = audit(pairs, thresholds=Thresholds.changed_by(tables)).findings
        return next(finding.verdict for finding in found if finding.check == "duplicates")

    assert (verdict(), verdict(duplicates={"warn": 0.1}), verdict(duplicates={"stop": 0.1})) == ("warn", "pass", "stop")


@pytest.mark.parametrize(
    ("share", "verdict"), [(0.0, "pass"), (0.1, "pass"), (0.11, "warn"), (0.49, "warn"), (0.5, "stop"), (1.0, "stop")]
)
def test_a_share_warns_above_and_stops_from(share: float, verdict: str) -> None:
    assert Shares(warn=0.1, stop=0.5).verdict(share) == verdict


def test_nothing_found_never_stops() -> None:
    assert Shares(stop=0.0).verdict(0.0) == "pass"


def test_near_prompts_stop_where_a_file_says_so() -> None:
    text = "Please tell me in a few plain words what the weather will be like in our town on day number"
    pairs = [Pair(prompt=f"{text} {n}?", chosen=f"yes {n}", rejected=f"no {n}") for n in range(8)]
    strict = Thresholds.changed_by({"near_prompts": {"stop": 0.5}})
    assert [f.verdict for f in near_duplicates(AuditInput(pairs, thresholds=strict))][-1] == "stop"
