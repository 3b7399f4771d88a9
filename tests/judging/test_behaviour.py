"""What users did → comparisons: only what was shown, one voice each, and a planted effect of the place on the page undone."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from rather.errors import ConfigError, InputError
from rather.formats import Refusal, iter_judgments
from rather.judging.behaviour import Behaviour, Happened
from rather.judging.exposure import exposure
from rather.judging.run import judge
from rather.records import Comparison, Event
from tests.conftest import WriteFile


def event(name: str, answer: str, user: str, **fields: Any) -> Event:
    return Event(prompt=fields.pop("prompt", "Q"), answers=(answer,), judge=user, event=name, **fields)  # type: ignore[arg-type]


def compared(events: list[Event], **options: Any) -> list[Comparison]:
    [outcome] = Behaviour.build(options).judge([Happened("Q", tuple(events))], signed="behaviour")
    assert not outcome.refused
    return [judgment for judgment in outcome.judgments if isinstance(judgment, Comparison)]


def shown_to(users: int, *answers: str, **fields: Any) -> list[Event]:
    return [
        event("shown", answer, f"u{user}", position=(place + user) % len(answers) + 1, **fields)
        for user in range(users)
        for place, answer in enumerate(answers)
    ]


QUALITY = {"worst": 0.1, "poor": 0.25, "good": 0.45, "best": 0.7}
LOOKED_AT = {1: 1.0, 2: 0.5, 3: 0.25, 4: 0.12}


def planted(prompts: int, users: int, seed: int) -> list[Event]:
    """Worse answers mostly stand higher on the page, and a place is looked at less the lower it is."""
    drawn = random.Random(seed)
    events = []
    for prompt in range(prompts):
        for user in range(users):
            order = sorted(QUALITY, key=lambda name: QUALITY[name] + drawn.gauss(0, 0.25))
            for place, name in enumerate(order, start=1):
                said: dict[str, Any] = {"prompt": f"Q{prompt}", "at": float(user)}
                who = f"user {prompt} {user}"
                events.append(event("shown", name, who, position=place, **said))
                if drawn.random() < LOOKED_AT[place] * QUALITY[name]:
                    events.append(event("like", name, who, **said))
    return events


def groups(events: list[Event]) -> list[Happened]:
    by_prompt: dict[str, list[Event]] = {}
    for each in events:
        by_prompt.setdefault(str(each.prompt), []).append(each)
    return [Happened(prompt, tuple(found)) for prompt, found in by_prompt.items()]


def right(comparisons: list[Comparison]) -> float:
    """Share of comparisons that have the planted order."""
    won = [(c.answers if c.verdict == "a" else c.answers[::-1]) for c in comparisons if c.verdict in "ab"]
    return sum(QUALITY[winner] > QUALITY[loser] for winner, loser in won) / len(comparisons)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_planted_effect_of_the_place_is_undone(seed: int) -> None:
    events = planted(prompts=30, users=120, seed=seed)
    outcomes = list(Behaviour().judge(groups(events), signed="behaviour"))
    comparisons = [c for outcome in outcomes for c in outcome.judgments if isinstance(c, Comparison)]
    assert len(comparisons) == 30 * 6
    naive = []
    for happened in groups(events):
        likes = {name: sum(e.event == "like" and e.answer == name for e in happened.events) for name in QUALITY}
        naive += [likes[a] > likes[b] for a in QUALITY for b in QUALITY if QUALITY[a] > QUALITY[b]]
    assert sum(naive) / len(naive) < 0.75
    assert right(comparisons) > 0.93
    looked = outcomes[0].facts["looked_at_by_position"]
    for place, theta in LOOKED_AT.items():
        assert looked[str(place)] == pytest.approx(theta, abs=0.08)
    # Its confidence says how often it is right.
    sure = [c for c in comparisons if (c.confidence or 0) > 0.99]
    assert len(sure) > 80
    assert right(sure) > 0.97


def test_with_more_users_the_whole_planted_order_comes_back() -> None:
    outcomes = Behaviour().judge(groups(planted(prompts=1, users=4000, seed=5)), signed="behaviour")
    comparisons = [c for outcome in outcomes for c in outcome.judgments if isinstance(c, Comparison)]
    assert right(comparisons) == 1.0


def test_places_cannot_be_corrected_for_where_nothing_moved(capsys: pytest.CaptureFixture[str]) -> None:
    """Each answer always in its own place: whether it is liked for that or for itself nobody can tell, and it is said."""
    assert exposure([0, 1, 0, 1], [1, 2, 1, 2], [1, 0, 1, 0]).reason is not None
    assert exposure([0, 0], [1, 1], [1, 0]).reason == "every answer was shown in one place"
    assert exposure([0, 0], [1, 2], [0, 0]).reason == "nobody reacted to anything"
    events = [event("shown", a, f"u{u}", position=p) for u in range(6) for p, a in ((1, "A"), (2, "B"))]
    [result] = compared([*events, event("like", "A", "u0")])
    assert result.verdict == "a"
    assert "nothing is corrected for positions: no answers were shown in several places" in capsys.readouterr().err


def test_one_user_has_one_voice() -> None:
    """One user clicks a hundred times on B, two like A."""
    events = shown_to(8, "A", "B")
    events += [event("like", "B", "u0") for _ in range(100)] + [event("like", "A", "u1"), event("copy", "A", "u2")]
    [result] = compared(events)
    assert (result.verdict, result.tags) == ("a", {"users": "8 8"})
    assert result.confidence is not None
    assert 0.5 < result.confidence < 0.9


def test_support_and_conflict() -> None:
    events = [*shown_to(4, "A", "B"), event("like", "A", "u0")]
    assert compared(events) == []
    assert len(compared(events, min_support=4)) == 1
    # Three for and three against: a tie, but for a hair of neither.
    even = shown_to(6, "A", "B")
    even += [event("like", a, f"u{u}") for a in "AB" for u in range(3)] + [
        event("dislike", a, f"u{u}") for a in "AB" for u in range(3, 6)
    ]
    [tie] = compared(even)
    assert (tie.verdict, tie.confidence) == ("tie", None)
    # The more users disagree, the less is sure.
    clear = shown_to(20, "A", "B") + [event("like", "A", f"u{u}") for u in range(10)]
    torn = clear + [event("dislike", "A", f"u{u}") for u in range(10, 18)]
    assert (compared(clear)[0].confidence or 0) > (compared(torn)[0].confidence or 0) > 0.5


def test_every_kind_of_event_counts_for_what_it_is() -> None:
    for name, fields, better in (
        ("like", {}, "A"), ("bookmark", {}, "A"), ("copy", {}, "A"), ("dislike", {}, "B"), ("regenerate", {}, "B"),
        ("dwell", {"value": 31.0}, "A"),
    ):  # fmt: skip
        [result] = compared(shown_to(6, "A", "B") + [event(name, "A", f"u{u}", **fields) for u in range(3)])
        assert (result.answers, result.verdict) == (("A", "B"), "a" if better == "A" else "b"), name
    assert compared([*shown_to(6, "A", "B"), event("dwell", "A", "u0", value=29.0)]) == []


def test_an_edit_makes_the_edited_answer_the_better_one() -> None:
    events = [
        event("shown", "A", "anna"),
        event("edit", "A", "anna", text="A1", at=1.0),
        event("edit", "A", "anna", text="A2", at=2.0),
    ]
    [result] = compared(events)
    assert (result.answers, result.verdict, result.judge, result.at) == (("A", "A2"), "b", "anna", 2.0)
    assert result.by == "behaviour"
    assert compared([event("shown", "A", "anna"), event("edit", "A", "anna", text=" A ")]) == []


def test_only_the_time_in_which_both_were_shown_counts() -> None:
    """A was liked a lot in the days before B was there; since then nobody likes either more."""
    early = [event("shown", "A", f"e{u}", at=float(u)) for u in range(20)] + [
        event("like", "A", f"e{u}", at=float(u)) for u in range(20)
    ]
    both = [event("shown", a, f"u{u}", at=100.0 + u) for u in range(10) for a in "AB"]
    late = [event("like", a, f"u{u}", at=100.0 + u) for u in range(4) for a in "AB"]
    [result] = compared([*early, *both, *late])
    assert result.verdict == "tie"
    [untimed] = compared([e.model_copy(update={"at": None}) for e in (*early, *both, *late)])
    assert untimed.verdict == "a"


def test_shps_rule() -> None:
    """Later and scored higher tells; earlier and scored higher does not, for it had more time."""

    def log(first: str) -> list[Event]:
        second = "B" if first == "A" else "A"
        shown = [
            event("shown", a, f"{a}{u}", at=(0.0 if a == first else 50.0) + u)
            for a in (first, second)
            for u in range(6)
        ]
        return [*shown, *(event("like", "B", f"B{u}", at=60.0) for u in range(3))]

    [result] = compared(log("A"), rule="later")
    assert (result.answers, result.verdict) == (("A", "B"), "b")
    assert compared(log("B"), rule="later") == []


def row(name: str, answer: str, user: str, **fields: Any) -> dict[str, Any]:
    return {"prompt": "Q", "answers": [answer], "judge": user, "event": name, **fields}


def test_an_event_for_an_answer_never_shown_is_refused(write_file: WriteFile, tmp_path: Path) -> None:
    rows = [row("shown", a, f"u{u}", position=1) for u in range(6) for a in "AB"] + [row("like", "A", "u1")]
    rows += [
        row("like", "C", "u0"),
        row("like", "A", "stranger"),
        {"prompt": "Q", "answers": ["A"], "judge": "x", "score": 1},
    ]
    file = write_file(rows, "log.jsonl")
    with pytest.raises(InputError, match=r"log.jsonl:16: is a rating; behaviour reads events"):
        judge(file, by="behaviour", out=tmp_path / "out")
    file.write_text("".join(json.dumps(r) + "\n" for r in rows[:-1]))
    with pytest.raises(InputError, match=r'log.jsonl:14: behaviour: "like" of an answer that "u0" was never shown'):
        judge(file, by="behaviour", out=tmp_path / "out")
    result = judge(file, by="behaviour", out=tmp_path / "out", skip_bad=True)
    assert (result.total, result.refused) == (1, 2)
    reasons = [json.loads(line)["reason"] for line in (tmp_path / "out" / "refused.jsonl").read_text().splitlines()]
    assert reasons[1] == '"like" of an answer that "stranger" was never shown'
    [kept] = [found for found in iter_judgments(tmp_path / "out" / "judgments.jsonl") if not isinstance(found, Refusal)]
    assert isinstance(kept, Comparison)
    assert kept.verdict == "a"


def test_behaviour_stands_alone(write_file: WriteFile, tmp_path: Path) -> None:
    file = write_file([row("shown", "A", "u")])
    with pytest.raises(ConfigError, match="run it by itself"):
        judge(file, by=["behaviour", "length"], out=tmp_path / "out")
    with pytest.raises(InputError, match=r"nothing could be judged: no prompt has two answers"):
        judge(file, by="behaviour", out=tmp_path / "out")
