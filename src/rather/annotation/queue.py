"""Which item each annotator is asked next: in memory, rebuilt from the events at each start.

Ordinary items stand in one seeded order, each of them open while votes + reservations are fewer than it wants. Everybody walks
through that order with a cursor of their own and takes the first open item that they have not seen, so items are finished one
after the other. Places that open again behind somebody's cursor (a reservation ran out, an item was skipped, people disagree)
are kept in a short list that is looked at first. A million items take a few bytes each; nothing here touches the store.
"""

from __future__ import annotations

import heapq
import random
from array import array
from collections.abc import Iterable, Iterator
from operator import ge

from rather.annotation.priorities import WORTH, Priorities
from rather.annotation.settings import Project
from rather.annotation.tasks import ItemRole
from rather.annotation.viewers import Held, Viewer

MOST_HELD = 10
"""Items that one annotator may hold reserved at once: the one on the page, and some ahead for when the network drops."""

_SLICE = 4096
"""So many items are changed at once while others wait: about a millisecond."""


class Queue:
    """The order of asking, and who holds what."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.viewers: dict[int, Viewer] = {}
        self.finished = 0
        self.votes_in_all = 0
        self._item_at = array("q")  # by place
        self._place_of = array("q")  # by item; −1: no ordinary item
        self._votes = bytearray()  # by place
        self._holds = bytearray()
        self._wants = bytearray()
        self._open = bytearray()  # 1: somebody else can be asked
        self._new = bytearray()  # 1: open, and nobody has voted on it
        self._reopened: dict[int, None] = {}
        self._marked: dict[ItemRole, list[int]] = {"gold": [], "qualification": []}
        self._role_of: dict[int, ItemRole] = {}
        self._expiry: list[tuple[float, int, int]] = []
        self._settled: set[int] = set()  # adjudicated
        self.first = Priorities()

    def __len__(self) -> int:
        return len(self._item_at)

    def add(self, items: Iterable[int], *, role: ItemRole = "task") -> None:
        """More items; ordinary ones behind those that are there, shuffled among themselves if the project says so."""
        for _ in self.adding(self.in_order(items) if role == "task" else array("q", items), role=role):
            pass

    def in_order(self, items: Iterable[int]) -> array[int]:
        """Ordinary items in the order in which they would be asked; changes nothing."""
        ordered = array("q", items)
        if self.project.shuffle:
            random.Random(f"{self.project.seed} {len(self)}").shuffle(ordered)
        return ordered

    def adding(self, ordered: array[int], *, role: ItemRole = "task") -> Iterator[None]:
        """Add items in their order, a slice at a time: between two of them the queue is whole, and may be asked."""
        if role != "task":
            self._marked[role].extend(ordered)
            self._role_of.update(dict.fromkeys(ordered, role))
            return
        highest = max(ordered, default=-1)
        if highest >= len(self._place_of):
            self._place_of.extend(array("q", [-1]) * (highest + 1 - len(self._place_of)))
        for start in range(0, len(ordered), _SLICE):
            part = ordered[start : start + _SLICE]
            first, size = len(self), len(part)
            self._item_at.extend(part)
            for place, item in enumerate(part, start=first):
                self._place_of[item] = place
            self._votes.extend(bytes(size))
            self._holds.extend(bytes(size))
            self._wants.extend(bytes([self.project.overlap]) * size)
            self._open.extend(b"\x01" * size)
            self._new.extend(b"\x01" * size)
            yield

    def viewer(self, id: int) -> Viewer:
        """The annotator of that number."""
        found = self.viewers.get(id)
        if found is None:
            found = self.viewers[id] = Viewer(id)
        return found

    def role_of(self, item: int) -> ItemRole | None:
        """Gold, qualification or an ordinary task; None for an item that is not there."""
        if item in self._role_of:
            return self._role_of[item]
        return "task" if 0 <= item < len(self._place_of) and self._place_of[item] >= 0 else None

    def behind(self, item: int, count: int) -> list[int]:
        """The items that stand behind one in the order of asking."""
        place = self._place_of[item] if 0 <= item < len(self._place_of) else -1
        return [] if place < 0 else self._item_at[place + 1 : place + 1 + count].tolist()

    def next(self, viewer: Viewer, now: float, but: Iterable[int] = ()) -> int | None:
        """The item to show: one that this viewer holds already, if it is none of `but`, or another that is not yet reserved."""
        self.expire(now)
        viewer.arm = None
        others = set(but)
        for item in viewer.held:
            if item not in others:
                return item
        if len(viewer.held) >= MOST_HELD or self.failed(viewer):
            return None
        unseen = self._unseen(viewer, "qualification")
        if unseen is not None:
            return unseen
        if self._gold_is_due(viewer):
            unseen = self._unseen(viewer, "gold")
            if unseen is not None:
                return unseen
        return self._ordinary(viewer) if self.project.ask == "random" else self._by_choice(viewer)

    def failed(self, viewer: Viewer) -> bool:
        """True if this viewer answered every qualification item, and too few of them right."""
        wanted = len(self._marked["qualification"])
        if not wanted or viewer.asked.get("qualification", 0) < wanted:
            return False
        return viewer.right.get("qualification", 0) < self.project.qualify * wanted

    def reserve(self, viewer: Viewer, item: int, now: float, at: float) -> Held:
        """Keep an item for a viewer, or keep it longer."""
        held = viewer.held.get(item)
        if held is None:
            viewer.lapsed.pop(item, None)
            held = viewer.held[item] = Held(0.0, [], at)
            viewer.mark(item)
            self._count(item, self._holds, +1)
        held.until = now + self.project.reserve_minutes * 60
        heapq.heappush(self._expiry, (held.until, viewer.id, item))
        return held

    def restore(self, viewer: Viewer, item: int, held: Held, now: float) -> None:
        """A reservation from before a restart, which may have run out since."""
        if viewer.has_seen(item) or item in viewer.lapsed or self.role_of(item) is None:
            return
        if held.until <= now:
            viewer.lapse(item, held)
            return
        viewer.held[item] = held
        viewer.mark(item)
        self._count(item, self._holds, +1)
        heapq.heappush(self._expiry, (held.until, viewer.id, item))

    def take(self, viewer: Viewer, item: int) -> bool:
        """Turn a reservation into a vote; without one, only where there is room. False where there is none."""
        viewer.lapsed.pop(item, None)
        if viewer.held.pop(item, None) is not None:
            self._count(item, self._holds, -1)
        elif not self._has_room(item):
            return False
        elif item in viewer.passed:
            viewer.passed.discard(item)
        elif viewer.has_seen(item):
            return False
        else:
            viewer.mark(item)
        self.count_vote(viewer, item)
        return True

    def count_vote(self, viewer: Viewer, item: int) -> None:
        """A vote that is on record."""
        viewer.voted += 1
        self.votes_in_all += 1
        self._count(item, self._votes, +1)

    def give_back(self, viewer: Viewer, item: int, held: Held, now: float) -> None:
        """A vote that could not be written never was: its place is kept for it, and it may be sent again."""
        viewer.voted -= 1
        self.votes_in_all -= 1
        self._count(item, self._votes, -1)
        held.until = now + self.project.reserve_minutes * 60
        viewer.held[item] = held
        self._count(item, self._holds, +1)
        heapq.heappush(self._expiry, (held.until, viewer.id, item))

    def release(self, viewer: Viewer, item: int, *, again: bool) -> None:
        """End a reservation without a vote; `again`: the same viewer may be asked again."""
        if viewer.held.pop(item, None) is None:
            return
        if again:
            viewer.unmark(item)
        self._count(item, self._holds, -1)

    def pass_by(self, viewer: Viewer, item: int) -> None:
        """A skip that is on record."""
        self.release(viewer, item, again=False)
        viewer.mark(item)
        viewer.passed.add(item)

    def want_more(self, item: int, *, than: int) -> None:
        """Ask for one vote more `than` there are, up to the project's most."""
        place = self._place_of[item]
        if self._wants[place] > than or self._wants[place] >= self.project.most:
            return
        self.finished -= self._votes[place] >= self._wants[place]
        self._wants[place] += 1
        self.finished += self._votes[place] >= self._wants[place]
        self._update(place)

    def reconfigure(self, project: Project) -> None:
        """Ask by other settings from now on; items that were asked again keep what they want, within the new bounds."""
        for _ in self.reconfiguring(project):
            pass

    def reconfiguring(self, project: Project) -> Iterator[None]:
        """The same, a slice of the items at a time: between two of them the queue is whole, and may be asked."""
        self.project = project
        within = bytes(min(max(wants, project.overlap), project.most) for wants in range(256))
        for start in range(0, len(self), _SLICE):
            part = slice(start, start + _SLICE)
            votes, before = self._votes[part], self._wants[part]
            wants = before.translate(within)
            for place in self._settled_in(part):
                wants[place] = votes[place]
            open_ = bytes(v + h < w for v, h, w in zip(votes, self._holds[part], wants, strict=True))
            self.finished += sum(map(ge, votes, wants)) - sum(map(ge, votes, before))
            self._wants[part], self._open[part] = wants, open_
            self._new[part] = bytes(is_open and not v for is_open, v in zip(open_, votes, strict=True))
            yield
        self._reopened.clear()
        for viewer in self.viewers.values():
            viewer.cursor = 0

    def _settled_in(self, part: slice) -> list[int]:
        """Places of adjudicated items, counted from the slice's beginning."""
        if not self._settled:
            return []
        return [place for place, item in enumerate(self._item_at[part]) if item in self._settled]

    def settle(self, item: int) -> None:
        """Ask nobody else about an item: an adjudicator decided."""
        if item in self._settled or self.role_of(item) != "task":
            return
        self._settled.add(item)
        self.first.drop(item)
        place = self._place_of[item]
        self.finished -= self._votes[place] >= self._wants[place]
        self._wants[place] = self._votes[place]
        self.finished += 1
        self._update(place)

    def is_settled(self, item: int) -> bool:
        """True if an adjudicator decided."""
        return item in self._settled

    def votes_on(self, item: int) -> int:
        """How many people voted on an ordinary item."""
        return self._votes[self._place_of[item]] if self.role_of(item) == "task" else 0

    def is_full(self, item: int) -> bool:
        """True if an ordinary item has the votes it wants."""
        place = self._place_of[item] if 0 <= item < len(self._place_of) else -1
        return place >= 0 and self._votes[place] >= self._wants[place]

    def expire(self, now: float) -> None:
        """End the reservations whose time is over."""
        while self._expiry and self._expiry[0][0] <= now:
            _, id, item = heapq.heappop(self._expiry)
            viewer = self.viewers[id]
            held = viewer.held.get(item)
            if held is not None and held.until <= now:
                self.release(viewer, item, again=True)
                viewer.lapse(item, held)

    def _ordinary(self, viewer: Viewer) -> int | None:
        for place in self._reopened:
            if not viewer.has_seen(self._item_at[place]):
                return self._item_at[place]
        place = self._open.find(1, viewer.cursor)
        while place >= 0 and viewer.has_seen(self._item_at[place]):
            place = self._open.find(1, place + 1)
        viewer.cursor = len(self) if place < 0 else place
        return None if place < 0 else self._item_at[place]

    def _by_choice(self, viewer: Viewer) -> int | None:
        """An item drawn at random, or the one on which a vote is worth most, as a lot that nobody can foresee falls."""
        lot = random.Random(f"arm {self.project.seed} {viewer.id} {viewer.voted + viewer.skipped + len(viewer.held)}")
        if lot.random() < self.project.random_share:
            viewer.arm = "random"
            return self._drawn(viewer, self._open, lot)
        viewer.arm = self.project.ask
        found = self._worth_most(viewer, lot)
        if found is None:
            viewer.arm = None
            return self._ordinary(viewer)
        return found

    def _worth_most(self, viewer: Viewer, lot: random.Random) -> int | None:
        worth = WORTH.get(self.project.ask)
        if worth is None:
            return self._first_open(viewer, self.first.best())
        new = worth(0, 0)  # of an item on which nobody voted
        found = self._first_open(viewer, self.first.best(least=new))
        if found is None:
            found = self._drawn(viewer, self._new, lot)
        return self._first_open(viewer, self.first.best(below=new)) if found is None else found

    def _first_open(self, viewer: Viewer, items: Iterable[int]) -> int | None:
        for item in items:
            if self.role_of(item) == "task" and self._open[self._place_of[item]] and not viewer.has_seen(item):
                return item
        return None

    def _drawn(self, viewer: Viewer, places: bytearray, lot: random.Random) -> int | None:
        """An item of one of the places marked 1, from a place drawn by lot on."""
        start = lot.randrange(len(places)) if places else 0
        for first, end in ((start, len(places)), (0, start)):
            place = places.find(1, first, end)
            while place >= 0:
                if not viewer.has_seen(self._item_at[place]):
                    return self._item_at[place]
                place = places.find(1, place + 1, end)
        return None

    def _unseen(self, viewer: Viewer, role: ItemRole) -> int | None:
        return next((item for item in self._marked[role] if not viewer.has_seen(item)), None)

    def _gold_is_due(self, viewer: Viewer) -> bool:
        """True about once in `gold_every` tasks, at turns that nobody can foresee."""
        if not self._marked["gold"]:
            return False
        return self._lot(viewer, "gold") < 1 / self.project.gold_every

    def _lot(self, viewer: Viewer, of: str) -> float:
        """A number from 0 to 1 for this turn of a viewer: the same whenever it is asked for, and nobody can foresee it."""
        return random.Random(f"{self.project.seed} {of} {viewer.id} {viewer.voted + viewer.skipped}").random()

    def _has_room(self, item: int) -> bool:
        role = self.role_of(item)
        return role is not None and (role != "task" or bool(self._open[self._place_of[item]]))

    def _count(self, item: int, counts: bytearray, change: int) -> None:
        if item in self._role_of:  # everybody may be asked a gold item
            return
        place = self._place_of[item]
        before = self._votes[place] >= self._wants[place]
        counts[place] += change
        self.finished += (self._votes[place] >= self._wants[place]) - before
        self._update(place)

    def _update(self, place: int) -> None:
        is_open = self._votes[place] + self._holds[place] < self._wants[place]
        if is_open and not self._open[place]:
            self._reopened[place] = None
        elif not is_open:
            self._reopened.pop(place, None)
        self._open[place] = is_open
        self._new[place] = is_open and not self._votes[place]
