"""The whole audit: its verdict, its words, and the gate."""

from __future__ import annotations

import inspect
import json

import pytest

from rather.auditing import CHECKS, Audit, AuditInput, audit, parse_allow, require_no_stop
from rather.errors import AuditStop, ConfigError
from rather.records import Finding, Pair, Verdict

SAME = [Pair(prompt=f"q{n}", chosen=f"a{n}", rejected=f"a{n}", source=f"p.jsonl:{n}") for n in range(1, 4)]


def finding(verdict: Verdict, check: str = "duplicates") -> Finding:
    return Finding(check=check, verdict=verdict, message=f"2 of 9 pairs {check}", cure="mend them")


@pytest.mark.parametrize(
    ("verdicts", "allowed", "verdict"),
    [
        ([], [], "pass"),
        ([("pass", "duplicates")], [], "pass"),
        ([("pass", "duplicates"), ("warn", "contradictions")], [], "warn"),
        ([("stop", "duplicates"), ("warn", "contradictions")], [], "stop"),
        ([("stop", "duplicates"), ("warn", "contradictions")], ["duplicates"], "warn"),
        ([("stop", "duplicates"), ("stop", "contradictions")], ["duplicates"], "stop"),
        ([("stop", "duplicates"), ("warn", "contradictions")], ["duplicates", "contradictions"], "pass"),
        ([("stop", "duplicates"), ("warn", "contradictions")], ["all"], "pass"),
    ],
)
def test_the_verdict_is_the_worst_that_was_not_allowed(
    verdicts: list[tuple[Verdict, str]], allowed: list[str], verdict: Verdict
):
    result = Audit(tuple(finding(*given) for given in verdicts), dict.fromkeys(allowed, "meant"), 64)
    assert result.verdict == verdict
    stopping = [check for given, check in verdicts if given == "stop" and not {check, "all"} & set(allowed)]
    assert [stop.check for stop in result.stops] == stopping


def test_lines_say_what_is_wrong_the_cure_or_why_it_is_allowed():
    result = Audit(
        (finding("warn"), finding("pass", "a"), finding("stop", "contradictions")), {"duplicates": "meant"}, 64
    )
    assert result.lines() == [
        "audit: warn: duplicates: 2 of 9 pairs duplicates (allowed: meant)",
        "audit: stop: contradictions: 2 of 9 pairs contradictions; mend them",
        "audit: pass: a",
        "audit: verdict stop on 64 pairs",
    ]


def test_a_stop_raises_one_line_with_cure_and_way_out():
    with pytest.raises(AuditStop) as caught:
        require_no_stop(audit(SAME))
    assert str(caught.value) == (
        "audit: identical_sides: 3 of 3 pairs have the same text on both sides; drop them; if there are many, the "
        'correction or ranking that made the pairs changed nothing, or pass --allow identical_sides="reason"'
    )


def test_an_allowed_stop_is_kept_on_record():
    result = audit(SAME, allow={"identical_sides": "a control run"})
    require_no_stop(result)
    assert result.verdict == "pass"
    (record,) = [found for found in result.findings if found.check == "identical_sides"]
    assert (record.verdict, record.count) == ("stop", 3)
    assert [example.place for example in record.examples] == ["p.jsonl:1", "p.jsonl:2", "p.jsonl:3"]


def test_as_json_is_json_with_verdict_findings_and_reasons():
    pairs = [Pair(prompt=f"q{n}", chosen=f"sure {n} x", rejected=f"no {n}") for n in range(20)]
    written = json.loads(json.dumps(audit(pairs, allow={"telling_words": "meant"}).as_json()))
    assert written["verdict"] == "warn"  # every chosen is longer
    assert written["allowed"] == {"telling_words": "meant"}
    verdicts = {found["check"]: found["verdict"] for found in written["findings"]}
    assert {check for check, verdict in verdicts.items() if verdict != "pass"} == {
        "length_difference",
        "telling_words",  # it never stops by itself
        "shortcuts_together",
    }
    assert set(verdicts) >= {
        "identical_sides",
        "empty_sides",
        "duplicates",
        "contradictions",
        "constant_answer",
        "cycles",
    }
    assert Audit.from_json(written) == audit(pairs, allow={"telling_words": "meant"})


def test_no_pairs_give_no_complaint():
    assert audit([]).verdict == "pass"


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_keeps_the_contract(name: str):
    check = CHECKS[name]
    assert inspect.getdoc(check)
    found = check(AuditInput(records=SAME, tokenised=[_Tokens() for _ in SAME]))
    assert {finding.check for finding in found} <= {name}
    assert {finding.verdict for finding in check(AuditInput(records=[], tokenised=[]))} <= {"pass"}


class _Answer:
    tokens = (1, 2, 3)
    prompt_tokens = 1


class _Tokens:
    chosen_truncated = False
    rejected_truncated = False
    same_tokens = False
    samples = (_Answer(), _Answer())


def test_parse_allow_takes_check_and_reason():
    assert parse_allow(["duplicates=weights are meant", "all= a=b "]) == {
        "duplicates": "weights are meant",
        "all": "a=b",
    }
    assert parse_allow([]) == {}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("duplicate=x", '--allow: no check is called "duplicate"; did you mean "duplicates"?'),
        ("=x", f'--allow: no check is called ""; known are {", ".join(CHECKS)}, all'),
        ("duplicates", '--allow duplicates needs a reason: --allow duplicates="why it is all right"'),
        ("duplicates= ", '--allow duplicates needs a reason: --allow duplicates="why it is all right"'),
    ],
)
def test_parse_allow_refuses_what_names_no_check_or_gives_no_reason(entry: str, said: str):
    with pytest.raises(ConfigError) as caught:
        parse_allow([entry])
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("allowed", "idle"),
    [
        (["identical_sides"], None),
        (["all"], None),
        (["duplicates"], "duplicates"),
        (["all", "duplicates"], "duplicates"),
    ],
)
def test_an_allowance_that_was_not_needed_is_noted(allowed: list[str], idle: str | None):
    lines = audit(SAME, allow=dict.fromkeys(allowed, "why")).lines()
    notes = [line for line in lines if "was not needed" in line]
    assert notes == ([f"audit: note: --allow {idle} was not needed; nothing was found"] if idle else [])
    fair = [Pair(prompt="q", chosen="a b", rejected="c d")]
    assert "audit: note: --allow all was not needed; nothing was found" in audit(fair, allow={"all": "why"}).lines()
