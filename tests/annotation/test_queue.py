"""Which item comes next: in memory, without a store."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rather.annotation import queue as rooms
from rather.annotation.queue import MOST_HELD, Queue
from rather.annotation.settings import Project
from rather.annotation.viewers import Held, Viewer

NOW = 1000.0


def queue(items: int = 5, **settings: object) -> Queue:
    made = Queue(Project.build({"shuffle": False, **settings}))
    made.add(range(1, items + 1))
    return made


def hold(queue: Queue, viewer: Viewer, now: float = NOW, but: tuple[int, ...] = ()) -> int | None:
    item = queue.next(viewer, now, but)
    if item is not None:
        queue.reserve(viewer, item, now, now)
    return item


def vote(queue: Queue, viewer: Viewer, now: float = NOW) -> int | None:
    item = hold(queue, viewer, now)
    if item is not None:
        assert queue.take(viewer, item)
    return item


def test_items_come_in_their_order_and_each_to_one_person() -> None:
    queued = queue(5)
    one, two = queued.viewer(1), queued.viewer(2)
    assert [vote(queued, one), vote(queued, two), vote(queued, one)] == [1, 2, 3]
    assert [vote(queued, two), vote(queued, one), vote(queued, two)] == [4, 5, None]
    assert (queued.finished, queued.votes_in_all) == (5, 5)


def test_an_item_is_shown_again_until_it_is_voted_on() -> None:
    queued = queue(3)
    one = queued.viewer(1)
    assert [hold(queued, one), hold(queued, one)] == [1, 1]
    assert hold(queued, one, but=(1,)) == 2
    assert hold(queued, one, but=(1, 2)) == 3
    assert hold(queued, one, but=(1, 2, 3)) is None
    assert sorted(one.held) == [1, 2, 3]


def test_nobody_holds_more_than_ten() -> None:
    queued = queue(30)
    one = queued.viewer(1)
    for count in range(MOST_HELD):
        assert hold(queued, one, but=tuple(range(1, count + 1))) == count + 1
    assert hold(queued, one, but=tuple(range(1, MOST_HELD + 1))) is None


def test_each_item_goes_to_as_many_people_as_the_overlap() -> None:
    queued = queue(4, overlap=3)
    people = [queued.viewer(number) for number in range(5)]
    votes = Counter(vote(queued, person) for _ in range(9) for person in people)
    votes.pop(None)
    assert votes == {1: 3, 2: 3, 3: 3, 4: 3}
    assert queued.finished == 4


def test_a_reservation_that_runs_out_goes_to_somebody_else_and_the_late_vote_finds_no_room() -> None:
    queued = queue(2, reserve_minutes=1)
    slow, quick = queued.viewer(1), queued.viewer(2)
    assert hold(queued, slow) == 1
    assert hold(queued, quick) == 2
    assert vote(queued, quick) == 2
    assert hold(queued, quick, NOW + 59) is None
    assert vote(queued, quick, NOW + 61) == 1
    assert not queued.take(slow, 1)
    assert hold(queued, slow, NOW + 61) is None


def test_a_late_vote_counts_where_there_is_still_room() -> None:
    queued = queue(1, reserve_minutes=1)
    slow = queued.viewer(1)
    hold(queued, slow)
    queued.expire(NOW + 61)
    assert slow.held == {}
    assert list(slow.lapsed) == [1]
    assert queued.take(slow, 1)
    assert queued.finished == 1


def test_an_item_that_is_asked_for_again_is_kept_longer() -> None:
    queued = queue(1, reserve_minutes=1)
    one, two = queued.viewer(1), queued.viewer(2)
    hold(queued, one)
    hold(queued, one, NOW + 50)
    assert hold(queued, two, NOW + 100) is None
    assert hold(queued, two, NOW + 111) == 1


def test_a_skipped_item_goes_to_others_and_never_back() -> None:
    queued = queue(2)
    one, two = queued.viewer(1), queued.viewer(2)
    assert hold(queued, one) == 1
    queued.release(one, 1, again=False)
    assert vote(queued, one) == 2
    assert vote(queued, one) is None
    assert vote(queued, two) == 1


def test_a_vote_that_could_not_be_written_is_taken_back() -> None:
    queued = queue(1)
    one, two = queued.viewer(1), queued.viewer(2)
    hold(queued, one)
    held = one.held[1]
    assert queued.take(one, 1)
    queued.give_back(one, 1, held, NOW)
    assert (queued.finished, queued.votes_in_all, one.voted) == (0, 0, 0)
    assert hold(queued, two) is None  # the place is kept
    assert queued.take(one, 1)
    assert queued.finished == 1


def test_people_who_disagree_are_joined_by_one_more_up_to_the_most() -> None:
    queued = queue(1, overlap=2, overlap_max=3)
    people = [queued.viewer(number) for number in range(4)]
    vote(queued, people[0])
    vote(queued, people[1])
    assert queued.is_full(1)
    assert vote(queued, people[2]) is None
    queued.want_more(1, than=2)
    assert not queued.is_full(1)
    assert queued.finished == 0
    queued.want_more(1, than=2)  # a second look at the same two votes asks nobody else
    assert vote(queued, people[2]) == 1
    queued.want_more(1, than=3)
    assert vote(queued, people[3]) is None
    assert queued.finished == 1


def test_qualification_comes_first_and_who_fails_it_gets_nothing_more() -> None:
    queued = queue(3, qualify=0.5)
    queued.add([101, 102], role="qualification")
    good, bad = queued.viewer(1), queued.viewer(2)
    assert [vote(queued, good), vote(queued, good)] == [101, 102]
    assert [vote(queued, bad), vote(queued, bad)] == [101, 102]
    for viewer, right in ((good, 1), (bad, 0)):
        viewer.asked["qualification"], viewer.right["qualification"] = 2, right
    assert vote(queued, good) == 1
    assert queued.failed(bad)
    assert vote(queued, bad) is None


def test_gold_comes_about_once_in_so_many_to_everybody_once() -> None:
    queued = queue(400, gold_every=10)
    queued.add(range(1001, 1101), role="gold")
    one, two = queued.viewer(1), queued.viewer(2)
    ones = [item for _ in range(200) if (item := vote(queued, one))]
    twos = [item for _ in range(200) if (item := vote(queued, two))]
    for given_to in (ones, twos):
        assert len(set(given_to)) == 200
        assert 8 <= sum(item > 1000 for item in given_to) <= 36  # 20 expected, standard deviation 4.2
    assert {item for item in ones if item > 1000} & {item for item in twos if item > 1000}
    assert not {item for item in ones if item <= 1000} & {item for item in twos if item <= 1000}


def test_the_order_is_drawn_by_the_seed() -> None:
    def order(seed: int) -> list[int | None]:
        queued = queue(50, shuffle=True, seed=seed)
        return [vote(queued, queued.viewer(1)) for _ in range(50)]

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert sorted(order(1)) == list(range(1, 51))


def test_items_that_come_later_are_asked_by_who_had_finished() -> None:
    queued = queue(1)
    one = queued.viewer(1)
    assert [vote(queued, one), vote(queued, one)] == [1, None]
    queued.add([2])
    assert vote(queued, one) == 2


def test_a_larger_overlap_opens_what_was_finished() -> None:
    queued = queue(2)
    one, two = queued.viewer(1), queued.viewer(2)
    assert [vote(queued, one), vote(queued, one), vote(queued, two)] == [1, 2, None]
    queued.reconfigure(queued.project.changed({"overlap": 2}))
    assert queued.finished == 0
    assert [vote(queued, two), vote(queued, two), vote(queued, one)] == [1, 2, None]


def test_what_is_long_is_done_in_slices_while_people_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "_SLICE", 3)
    queued = queue(4, overlap=2)
    one, two = queued.viewer(1), queued.viewer(2)
    for _ in queued.adding(queued.in_order(range(5, 12))):
        vote(queued, one)
    assert (len(queued), one.voted) == (11, 3)
    slices = queued.reconfiguring(queued.project.changed({"overlap": 1}))
    for item in (6, 9, 3, 10):  # one before and one behind the slice that is done
        next(slices)
        queued.take(two, item)
        queued.settle(item + 1)
    assert list(slices) == []
    before = (queued.finished, bytes(queued._wants), bytes(queued._open), bytes(queued._new))
    queued.reconfigure(queued.project)  # all at once
    assert before == (queued.finished, bytes(queued._wants), bytes(queued._open), bytes(queued._new))


def test_a_reservation_from_before_a_restart_is_kept_or_remembered() -> None:
    queued = queue(2)
    one, two = queued.viewer(1), queued.viewer(2)
    queued.restore(one, 1, Held(NOW + 10, [0, 1], NOW), NOW)
    queued.restore(one, 2, Held(NOW - 10, [1, 0], NOW), NOW)
    assert [vote(queued, two), vote(queued, two)] == [2, None]
    assert one.lapsed[2].shown == [1, 0]
    assert not queued.take(one, 2)
    assert queued.take(one, 1)


STEP = st.tuples(st.sampled_from(["vote", "hold", "skip", "back", "late", "wait"]), st.integers(1, 4))


@given(steps=st.lists(STEP, max_size=80), items=st.integers(1, 6), overlap=st.integers(1, 4))
def test_whatever_people_do_no_item_gets_more_votes_than_it_wants_nor_two_of_one_person(
    steps: list[tuple[str, int]], items: int, overlap: int
) -> None:
    queued = queue(items, overlap=overlap, reserve_minutes=1)
    now, votes = NOW, Counter[tuple[int, int]]()
    for step, id in steps:
        viewer = queued.viewer(id)
        if step == "wait":
            now += 40
            continue
        kept = {"late": viewer.lapsed, "back": viewer.passed}.get(step)
        item = hold(queued, viewer, now) if kept is None else next(iter(kept), None)
        if item is None or step == "hold":
            continue
        if step == "skip":
            queued.pass_by(viewer, item)
        elif queued.take(viewer, item):
            votes[item, id] += 1
        assert not viewer.passed & {item for item, voter in votes if voter == id}
    assert all(count == 1 for count in votes.values())
    of_item = Counter(item for item, _ in votes)
    assert all(count <= overlap for count in of_item.values())
    assert queued.votes_in_all == len(votes)
    assert queued.finished == sum(count == overlap for count in of_item.values())


def test_a_million_items_take_little_memory() -> None:
    queued = Queue(Project())
    queued.add(range(1, 1_000_001))
    arrays = (queued._item_at, queued._place_of, queued._votes, queued._holds, queued._wants, queued._open)
    assert sum(len(part) * getattr(part, "itemsize", 1) for part in arrays) < 25_000_000
    viewer = queued.viewer(1)
    assert len({vote(queued, viewer) for _ in range(1000)}) == 1000
