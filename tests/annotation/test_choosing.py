"""Items asked by choice: the arm is on record, the random one always on, and what adjudicators decide is asked no more."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from rather.annotation.accounts import Account, add_account
from rather.annotation.desk import Desk
from rather.annotation.exporting import iter_votes
from rather.annotation.overseeing.adjudication import decisions, disputes, opinions, seen_as
from rather.annotation.overseeing.gain import difference, gain_of_choice
from rather.annotation.replay import DOUBTS
from rather.annotation.settings import Project, load_project, save_setting
from rather.annotation.store import Store
from rather.annotation.tasks import Item, Vote
from rather.annotation.web.telling import told
from rather.annotation.web.texts import texts
from rather.errors import ConfigError, RequestError
from tests.annotation.asking import comparisons, fill
from tests.annotation.test_desk import at_desk, people, shown, vote_on


def arms(store: Store) -> list[str | None]:
    rows = store.read("SELECT body FROM events WHERE kind = 'viewed' ORDER BY id")
    return [None if body is None else json.loads(body)["arm"] for (body,) in rows]


async def says(desk: Desk, who: Account, item: int, first_is_better: bool, key: str = "key-00000001") -> None:
    """A vote for one of the answers, wherever it stands."""
    held = desk.queue.viewer(who.id).held[item]
    verdict = "a" if (held.shown[0] == 0) == first_is_better else "b"
    await desk.vote(who, Vote(item=item, key=key, verdict=verdict))


def test_in_their_order_no_arm_is_recorded(sqlite: Store) -> None:
    fill(sqlite, comparisons(2))
    (one,) = people(sqlite, 1)
    at_desk(sqlite, lambda desk: shown(desk, one))
    assert arms(sqlite) == [None]


def test_the_random_share_needs_a_choice() -> None:
    with pytest.raises(ConfigError, match="random-share acts with ask"):
        Project.build({"random_share": 0.3})


def test_split_votes_are_asked_first_and_the_arm_is_recorded(store: Store) -> None:
    fill(store, comparisons(30), overlap=3, ask="uncertain", random_share=0.05, seed=3)
    one, two, three = people(store, 3)

    async def act(desk: Desk) -> int:
        first = await shown(desk, one)
        await says(desk, one, first.item.id, True)
        desk.queue.reserve(desk.queue.viewer(two.id), first.item.id, 0.0, 0.0).shown = [0, 1]
        desk.queue.viewer(two.id).held[first.item.id].until = 1e18
        await says(desk, two, first.item.id, False)
        following = await shown(desk, three)  # 1 : 1 is as uncertain as no vote, and tells no less
        assert following.item.id == first.item.id
        return first.item.id

    split = at_desk(store, act)
    assert arms(store)[-1] == "uncertain"
    assert at_desk(store, lambda desk: shown(desk, three)).item.id == split  # the same after a restart


def test_the_random_arm_has_its_share(sqlite: Store) -> None:
    fill(sqlite, comparisons(300), ask="informative", random_share=0.3)
    (one,) = people(sqlite, 1)

    async def act(desk: Desk) -> None:
        for number in range(300):
            found = await shown(desk, one)
            await desk.vote(one, vote_on(found.item.id, f"key-{number:08}"))
        assert await desk.next(one) is None

    at_desk(sqlite, act)
    count = Counter(arms(sqlite))
    assert set(count) == {"random", "informative"}
    assert 60 <= count["random"] <= 120  # 90 expected, eight deviations of 7.9 is 27 … 153


def test_doubted_labels_first_then_the_order(sqlite: Store) -> None:
    fill(sqlite, comparisons(10), ask="doubtful", random_share=0.05, seed=1)
    (one,) = people(sqlite, 1)
    ids = [id for (id,) in sqlite.read("SELECT id FROM items ORDER BY id")]
    save_setting(sqlite, DOUBTS, json.dumps({ids[7]: 0.3, ids[4]: 0.1}))

    async def act(desk: Desk) -> list[int]:
        found: list[int] = []
        for number in range(4):
            item = (await shown(desk, one)).item.id
            found.append(item)
            await desk.vote(one, vote_on(item, f"key-{number:08}"))
        return found

    assert at_desk(sqlite, act)[:2] == [ids[4], ids[7]]
    assert arms(sqlite) == ["doubtful", "doubtful", None, None]  # where nothing is left to choose, no arm is counted


def disputed(store: Store) -> tuple[int, list[Account]]:
    """An item on which two people differ."""
    fill(store, comparisons(2), overlap=2)
    them = people(store, 2)

    async def act(desk: Desk) -> int:
        item = 0
        for person, first_is_better in zip(them, (True, False), strict=True):
            item = (await shown(desk, person)).item.id
            await says(desk, person, item, first_is_better)
        return item

    return at_desk(store, act), them


def test_an_adjudicator_decides_what_people_differ_on(store: Store) -> None:
    item, _ = disputed(store)
    (one,) = disputes(store, 0.75)
    assert (one.item, one.votes, one.agreed) == (item, 2, 0.5)
    judge, other = add_account(store, "judge", "adjudicator"), add_account(store, "other", "adjudicator")

    async def act(desk: Desk) -> None:
        vote = Vote(item=item, key="key-00000009", verdict="a", comment="the first is right")
        receipt = await desk.adjudicate(judge, vote)
        assert await desk.adjudicate(judge, vote) == receipt  # the same key, the same receipt
        with pytest.raises(RequestError, match="somebody else has decided"):
            await desk.adjudicate(other, vote_on(item, "key-00000010"))
        await desk.adjudicate(judge, Vote(item=item, key="key-00000011", verdict="tie"))  # one's own mind may change

    at_desk(store, act)
    assert disputes(store, 0.75) == []
    (decision,) = decisions(store)
    assert (decision.by, decision.said, decision.item.id) == ("judge", {"verdict": "tie"}, item)
    records = [record for said in iter_votes(store) for record in said]
    decided = [record for record in records if record.tags.get("role") == "adjudicator"]
    assert [(record.judge, record.verdict) for record in decided] == [("judge", "tie")]
    assert len(records) == 3


def test_what_is_decided_is_asked_no_more(store: Store) -> None:
    fill(store, comparisons(1), overlap=3)
    one, two = people(store, 2)
    judge = add_account(store, "judge", "adjudicator")

    async def act(desk: Desk) -> None:
        item = (await shown(desk, one)).item.id
        with pytest.raises(RequestError, match="nobody has voted"):
            await desk.adjudicate(judge, vote_on(item))
        await desk.vote(one, vote_on(item))
        await desk.look(judge, item)
        await desk.adjudicate(judge, vote_on(item))
        assert await desk.next(two) is None
        assert desk.progress(two).finished == 1

    at_desk(store, act)
    assert at_desk(store, lambda desk: desk.next(two)) is None


def test_opinions_name_nobody_and_turn_with_the_order(sqlite: Store) -> None:
    item, _ = disputed(sqlite)
    said = opinions(sqlite, item)
    assert sorted(told(texts("en"), one.said) for one in said) == ["A is better", "B is better"]
    assert seen_as({"verdict": "a"}, [1, 0]) == {"verdict": "b"}
    assert seen_as({"ranks": [1, 2, 3]}, [2, 0, 1]) == {"ranks": [3, 1, 2]}
    assert told(texts("en"), {"ranks": [2, 1, 1]}) == "B = C > A"
    assert told(texts("en"), {"scores": {"tone": 2, "overall": 1}}) == "Overall 1, tone 2"


def test_the_gain_is_measured_against_the_random_arm(sqlite: Store) -> None:
    fill(sqlite, comparisons(60), overlap=2, ask="informative", random_share=0.4)
    one, two = people(sqlite, 2)
    assert gain_of_choice(sqlite, load_project(sqlite)) is None

    async def act(desk: Desk) -> None:
        for person in (one, two):
            for number in range(40):
                item = (await shown(desk, person)).item.id
                await says(desk, person, item, True, f"key-{person.id:04}{number:08}")

    at_desk(sqlite, act)
    found = gain_of_choice(sqlite, load_project(sqlite))
    assert found is not None
    random, chosen = found["arms"]
    assert (random["arm"], chosen["arm"]) == ("random", "informative")
    assert random["votes"] + chosen["votes"] == 80
    # The first vote on an item takes 1 − 0.811 bits, a second one that says the same 0.811 − 0.544.
    assert 0.188 <= random["learned"]["value"] <= 0.268
    assert chosen["learned"]["low"] <= chosen["learned"]["value"] <= chosen["learned"]["high"]
    more = chosen["learned_more"]
    assert more["value"] == pytest.approx(chosen["learned"]["value"] - random["learned"]["value"])
    assert more["low"] <= more["value"] <= more["high"]


def test_the_interval_of_a_difference() -> None:
    """MOVER by hand: 0.5 [0.4, 0.7] − 0.2 [0.1, 0.3]: 0.3 − √(0.1² + 0.1²), 0.3 + √(0.2² + 0.1²)."""
    found = difference({"value": 0.5, "low": 0.4, "high": 0.7}, {"value": 0.2, "low": 0.1, "high": 0.3})
    assert found == pytest.approx({"value": 0.3, "low": 0.158579, "high": 0.523607}, abs=1e-6)
    assert difference(None, {"value": 0.2, "low": 0.1, "high": 0.3}) is None


def test_ratings_and_rankings_may_be_disputed(sqlite: Store) -> None:
    fill(sqlite, [Item(0, "rate", "task", "q", ["answer"])], overlap=2)
    them = people(sqlite, 2)

    async def act(desk: Desk) -> None:
        for person, score in zip(them, (1, 5), strict=True):
            item = (await shown(desk, person)).item.id
            await desk.vote(person, vote_on(item, scores={"overall": score}))

    at_desk(sqlite, act)
    (one,) = disputes(sqlite, 0.75)
    assert sorted(told(texts("en"), said.said) for said in opinions(sqlite, one.item)) == ["Overall 1", "Overall 5"]
