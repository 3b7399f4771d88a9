"""What annotators do, on both kinds of store: once on disk, at most once, and the same after a restart."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from rather.annotation.accounts import Account, add_account
from rather.annotation.desk import Desk
from rather.annotation.overseeing.survey import survey
from rather.annotation.receipts import Shown
from rather.annotation.store import Store
from rather.annotation.tasks import Item, Vote
from rather.errors import RequestError, StoreError
from tests.annotation.asking import comparisons, fill


def at_desk(store: Store, act: Callable[[Desk], Awaitable[Any]]) -> Any:
    """Open the desk, as a server does when it starts, act, and close it."""

    async def run() -> Any:
        desk = Desk(store)
        try:
            return await act(desk)
        finally:
            desk.close()

    return asyncio.run(run())


def people(store: Store, count: int) -> list[Account]:
    return [add_account(store, f"person {number}", "annotator") for number in range(count)]


def vote_on(item: int, key: str = "key-00000001", **said: Any) -> Vote:
    return Vote(item=item, key=key, **(said or {"verdict": "a"}))


def stored(store: Store) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in store.read("SELECT kind, item, account FROM events ORDER BY id")]


async def shown(desk: Desk, person: Account) -> Shown:
    found = await desk.next(person)
    assert found is not None
    return found


def test_a_vote_is_an_event_and_so_is_what_was_shown(store: Store) -> None:
    fill(store, comparisons(2))
    one, two = people(store, 2)

    async def act(desk: Desk) -> None:
        first = await shown(desk, one)
        assert sorted(first.answers) == ["first to 0", "second to 0"]
        receipt, following = await desk.vote(one, vote_on(first.item.id), ahead=True)
        assert (receipt.item, receipt.right) == (first.item.id, None)
        assert following is not None
        assert following.item.prompt == "Question 1?"
        assert await desk.next(two) is None
        progress = desk.progress(one)
        assert (progress.voted, progress.items, progress.finished) == (1, 2, 1)

    at_desk(store, act)
    ids = [row[0] for row in store.read("SELECT id FROM items ORDER BY id")]
    assert stored(store) == [("viewed", ids[0], one.id), ("voted", ids[0], one.id), ("viewed", ids[1], one.id)]


def test_the_same_key_gives_the_same_receipt_and_another_is_refused(store: Store) -> None:
    fill(store, comparisons(1))
    (one,) = people(store, 1)

    async def act(desk: Desk) -> None:
        item = (await shown(desk, one)).item.id
        receipts = await asyncio.gather(*(desk.vote(one, vote_on(item)) for _ in range(5)))
        receipts.append(await desk.vote(one, vote_on(item)))
        assert len({receipt for receipt, _ in receipts}) == 1
        with pytest.raises(RequestError, match="not yours") as refused:
            await desk.vote(one, vote_on(item, "key-00000002"))
        assert (refused.value.status, refused.value.code) == (409, "taken")

    at_desk(store, act)
    assert [kind for kind, _, _ in stored(store)] == ["viewed", "voted"]


def test_the_same_key_gives_the_same_receipt_after_a_restart(store: Store) -> None:
    fill(store, comparisons(1))
    (one,) = people(store, 1)

    async def first(desk: Desk) -> Any:
        return await desk.vote(one, vote_on((await shown(desk, one)).item.id))

    async def again(desk: Desk) -> Any:
        return await desk.vote(one, vote_on(store.read("SELECT id FROM items")[0][0]))

    assert at_desk(store, first) == at_desk(store, again)


def test_a_restart_knows_who_holds_what_and_in_which_order(store: Store) -> None:
    fill(store, comparisons(2))
    one, two = people(store, 2)

    async def first(desk: Desk) -> Any:
        return await desk.next(one)

    async def again(desk: Desk) -> Any:
        other = await desk.next(two)
        return await desk.next(one), other

    before = at_desk(store, first)
    after, other = at_desk(store, again)
    assert (after.item.id, after.order) == (before.item.id, before.order)
    assert other.item.id != before.item.id


def test_what_was_not_shown_takes_no_vote(store: Store) -> None:
    fill(store, comparisons(3))
    one, _ = people(store, 2)

    async def act(desk: Desk) -> None:
        item = (await shown(desk, one)).item.id
        with pytest.raises(RequestError, match="was not shown to you"):
            await desk.vote(one, vote_on(item + 1))
        with pytest.raises(RequestError, match="there is no item 999"):
            await desk.vote(one, vote_on(999))

    at_desk(store, act)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"ranks": [1, 2]}, 'has "verdict" and not ranks'),
        ({"comment": "hm"}, 'has "verdict" and not nothing'),
        ({"verdict": "tie", "strength": 2}, '"strength" goes with'),
    ],
)
def test_a_vote_that_does_not_fit_leaves_the_item_with_its_viewer(
    sqlite: Store, said: dict[str, Any], reason: str
) -> None:
    fill(sqlite, comparisons(1), strength=True)
    (one,) = people(sqlite, 1)

    async def act(desk: Desk) -> None:
        item = (await shown(desk, one)).item.id
        with pytest.raises(RequestError, match=reason) as refused:
            await desk.vote(one, vote_on(item, **said))
        assert refused.value.status == 422
        assert (await shown(desk, one)).item.id == item
        await desk.vote(one, vote_on(item, verdict="a", strength=3))

    at_desk(sqlite, act)


def test_skipping_is_on_record_and_the_item_goes_to_others(store: Store) -> None:
    fill(store, comparisons(1))
    one, two = people(store, 2)

    async def act(desk: Desk) -> None:
        item = (await shown(desk, one)).item.id
        receipt = await desk.skip(one, item, "I do not know this", "key-00000001")
        assert await desk.skip(one, item, "I do not know this", "key-00000001") == receipt
        assert await desk.next(one) is None
        assert (await shown(desk, two)).item.id == item

    at_desk(store, act)
    assert [kind for kind, _, _ in stored(store)] == ["viewed", "skipped", "viewed"]


def test_a_skip_is_taken_back_by_a_vote(store: Store) -> None:
    fill(store, comparisons(2))
    one, _ = people(store, 2)

    async def act(desk: Desk) -> None:
        first = await shown(desk, one)
        await desk.skip(one, first.item.id, "unclear", "key-00000001")
        again = await desk.past(one, first.item.id)
        assert (again.kind, again.said, again.shown) == ("skipped", {"reason": "unclear"}, first)
        await desk.skip(one, first.item.id, "broken", "key-00000002")
        assert [past.said["reason"] for past in await desk.history(one)] == ["broken"]
        assert desk.progress(one).skipped == 1

    async def after_a_restart(desk: Desk) -> None:
        assert desk.progress(one).skipped == 1
        item = (await desk.past(one, (await desk.history(one))[0].shown.item.id)).shown.item.id
        receipts = await asyncio.gather(*(desk.revise(one, vote_on(item, "key-00000003")) for _ in range(3)))
        assert len(set(receipts)) == 1
        assert (desk.progress(one).skipped, desk.progress(one).voted, desk.progress(one).finished) == (0, 1, 1)
        await desk.revise(one, vote_on(item, "key-00000004", verdict="tie"))
        assert [(past.kind, past.said["verdict"]) for past in await desk.history(one)] == [("revised", "tie")]
        with pytest.raises(RequestError, match="not yours"):
            await desk.skip(one, item, "", "key-00000005")

    async def counted(desk: Desk) -> tuple[int, int]:
        return desk.progress(one).skipped, desk.progress(one).voted

    at_desk(store, act)
    at_desk(store, after_a_restart)
    assert at_desk(store, counted) == (0, 1)
    kinds = [kind for kind, _, _ in stored(store)]
    assert kinds == ["viewed", "skipped", "skipped", "voted", "revised"]
    assert [row["skipped"] for row in survey(store)["people"]] == [0, 0]


def test_a_skip_is_not_taken_back_where_others_have_finished(store: Store) -> None:
    fill(store, comparisons(1))
    one, two = people(store, 2)

    async def act(desk: Desk) -> None:
        item = (await shown(desk, one)).item.id
        await desk.skip(one, item, "", "key-00000001")
        await shown(desk, two)
        with pytest.raises(RequestError, match="others finished it"):  # it is reserved
            await desk.revise(one, vote_on(item, "key-00000002"))
        await desk.vote(two, vote_on(item))
        with pytest.raises(RequestError, match="others finished it"):
            await desk.revise(one, vote_on(item, "key-00000002"))
        assert desk.progress(one).skipped == 1

    at_desk(store, act)
    assert [kind for kind, _, _ in stored(store)] == ["viewed", "skipped", "viewed", "voted"]


def test_a_vote_can_be_revised_and_the_old_one_stays(store: Store) -> None:
    fill(store, comparisons(1))
    one, two = people(store, 2)

    async def act(desk: Desk) -> None:
        item = (await shown(desk, one)).item.id
        with pytest.raises(RequestError, match="no vote of yours"):
            await desk.revise(one, vote_on(item))
        await desk.vote(one, vote_on(item))
        receipt = await desk.revise(one, vote_on(item, "key-00000002", verdict="b"))
        assert await desk.revise(one, vote_on(item, "key-00000002", verdict="b")) == receipt
        with pytest.raises(RequestError, match="no vote of yours"):
            await desk.revise(two, vote_on(item, "key-00000003"))
        (past,) = await desk.history(one)
        assert (past.kind, past.said["verdict"]) == ("revised", "b")
        assert await desk.history(two) == []

    at_desk(store, act)
    assert [kind for kind, _, _ in stored(store)] == ["viewed", "voted", "revised"]


def test_one_history_goes_back_in_parts(sqlite: Store) -> None:
    fill(sqlite, comparisons(5))
    (one,) = people(sqlite, 1)

    async def act(desk: Desk) -> None:
        for number in range(5):
            await desk.vote(one, vote_on((await shown(desk, one)).item.id, f"key-0000000{number}"))
        latest = await desk.history(one, limit=2)
        older = await desk.history(one, before=latest[-1].event, limit=10)
        assert [past.shown.item.prompt for past in latest + older] == [f"Question {n}?" for n in (4, 3, 2, 1, 0)]

    at_desk(sqlite, act)


GOLD = Item(0, "compare", "gold", "Two and two?", ["Four.", "Five."], gold={"verdict": "a"}, why="Count again.")


@pytest.mark.parametrize("better", ["Four.", "Five."])
def test_gold_is_told_right_or_wrong_whatever_the_order(sqlite: Store, better: str) -> None:
    fill(sqlite, [GOLD])
    everyone = people(sqlite, 12)

    async def act(desk: Desk) -> set[tuple[int, ...]]:
        orders = set()
        for person in everyone:
            desk.queue.viewer(person.id).voted = 0
            desk.queue.project = desk.project.changed({"gold_every": 2})
            item = None
            for turn in range(50):  # gold is due at turns that nobody can foresee
                desk.queue.viewer(person.id).passed = set(range(1000, 1000 + turn))
                item = await desk.next(person)
                if item is not None:
                    break
            assert item is not None
            orders.add(tuple(item.order))
            verdict = "a" if item.answers[0] == better else "b"
            receipt, _ = await desk.vote(person, vote_on(item.item.id, verdict=verdict))
            assert receipt.right is (better == "Four.")
            assert receipt.why == (None if better == "Four." else "Count again.")
        return orders

    assert at_desk(sqlite, act) == {(0, 1), (1, 0)}

    async def counted(desk: Desk) -> list[dict[str, int]]:
        return [desk.queue.viewer(person.id).right for person in everyone]

    assert at_desk(sqlite, counted) == [{"gold": int(better == "Four.")}] * 12


def test_people_who_disagree_call_one_more(store: Store) -> None:
    fill(store, comparisons(2), overlap=2, overlap_max=3, agreement=0.75)
    one, two, three = people(store, 3)

    async def say(desk: Desk, person: Account, prompt: str, answer: str) -> None:
        found = await shown(desk, person)
        assert found.item.prompt == prompt
        verdict = "a" if found.answers[0].startswith(answer) else "b"
        await desk.vote(person, vote_on(found.item.id, f"key-{person.id:08}", verdict=verdict))

    async def act(desk: Desk) -> None:
        await say(desk, one, "Question 0?", "first")
        await say(desk, two, "Question 0?", "second")
        await say(desk, one, "Question 1?", "first")
        await say(desk, two, "Question 1?", "first")
        assert desk.progress(one).finished == 1

    async def after_a_restart(desk: Desk) -> None:
        assert desk.progress(one).finished == 1
        await say(desk, three, "Question 0?", "second")
        assert desk.progress(one).finished == 2
        assert await desk.next(three) is None

    at_desk(store, act)
    at_desk(store, after_a_restart)


@pytest.mark.parametrize("overlap", [1, 3])
def test_eight_people_draining_500_items_at_once(store: Store, overlap: int) -> None:
    """Every acknowledged vote is kept, one a person and item, none beyond the overlap, and nothing is left over."""
    fill(store, comparisons(500), overlap=overlap, shuffle=True)
    everyone = people(store, 8)
    acknowledged: Counter[tuple[int, int]] = Counter()

    async def drain(desk: Desk, person: Account) -> None:
        task = await desk.next(person)
        count = 0
        while task is not None:
            count += 1
            receipt, task = await desk.vote(person, vote_on(task.item.id, f"key-{count:08}"), ahead=True)
            acknowledged[person.id, receipt.item] += 1

    async def act(desk: Desk) -> None:
        await asyncio.gather(*(drain(desk, person) for person in everyone))
        assert desk.progress(everyone[0]).finished == 500

    at_desk(store, act)
    assert set(acknowledged.values()) == {1}
    assert sum(acknowledged.values()) == 500 * overlap
    rows = store.read("SELECT account, item FROM events WHERE kind = 'voted'")
    assert sorted(map(tuple, rows)) == sorted(acknowledged)
    of_item = Counter(item for _, item in acknowledged)
    assert set(of_item.values()) == {overlap}


def test_a_vote_that_the_disk_refuses_is_not_acknowledged_and_may_be_sent_again(
    sqlite: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(sqlite, comparisons(1))
    (one,) = people(sqlite, 1)
    append = sqlite.append

    def full(_events: Any) -> None:
        raise StoreError("no space left")

    async def act(desk: Desk) -> None:
        item = (await shown(desk, one)).item.id
        monkeypatch.setattr(sqlite, "append", full)
        with pytest.raises(StoreError, match="no space left"):
            await desk.vote(one, vote_on(item))
        assert desk.progress(one).voted == 0
        monkeypatch.setattr(sqlite, "append", append)
        receipt, _ = await desk.vote(one, vote_on(item))
        assert receipt.item == item
        assert desk.progress(one).finished == 1

    at_desk(sqlite, act)
    assert [kind for kind, _, _ in stored(sqlite)] == ["viewed", "voted"]


def test_items_and_settings_that_others_bring_are_taken_up(store: Store) -> None:
    fill(store, comparisons(1), title="before")
    (one,) = people(store, 1)

    async def act(desk: Desk) -> None:
        await desk.vote(one, vote_on((await shown(desk, one)).item.id))
        assert await desk.next(one) is None
        await asyncio.to_thread(fill, store, comparisons(2, start=1), title="after")
        await desk.refresh()
        assert (await shown(desk, one)).item.prompt == "Question 1?"
        assert desk.project.title == "after"

    at_desk(store, act)
