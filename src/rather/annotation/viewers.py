"""One annotator's way through the queue: what they hold, what they have seen, and how they did on items with a known answer."""

from __future__ import annotations

from dataclasses import dataclass, field

MOST_LAPSED = 100
"""So many reservations that ran out are remembered for each of them."""


@dataclass(slots=True)
class Held:
    """An item that is reserved for a viewer until `until` (monotonic seconds)."""

    until: float
    shown: list[int]
    at: float  # when it was shown, as the clock on the wall says


@dataclass(slots=True)
class Viewer:
    """What is known of one annotator's way through the queue."""

    id: int
    seen: bytearray = field(default_factory=bytearray)  # a bit for each item that they voted on, skipped or hold
    held: dict[int, Held] = field(default_factory=dict)
    lapsed: dict[int, Held] = field(
        default_factory=dict
    )  # reservations that ran out: their votes are taken where there is room
    cursor: int = 0
    arm: str | None = None  # how the last item was chosen, where the project asks by choice: "random", or the way
    voted: int = 0
    passed: set[int] = field(default_factory=set)  # items that they skipped; they may vote on them after all
    asked: dict[str, int] = field(default_factory=dict)  # votes on gold and qualification items, by role
    right: dict[str, int] = field(default_factory=dict)

    @property
    def skipped(self) -> int:
        return len(self.passed)

    def has_seen(self, item: int) -> bool:
        byte = item >> 3
        return byte < len(self.seen) and bool(self.seen[byte] >> (item & 7) & 1)

    def mark(self, item: int) -> None:
        byte = item >> 3
        if byte >= len(self.seen):
            self.seen.extend(bytes(byte + 1 - len(self.seen) + byte // 2))  # room to grow
        self.seen[byte] |= 1 << (item & 7)

    def unmark(self, item: int) -> None:
        self.seen[item >> 3] &= ~(1 << (item & 7))

    def lapse(self, item: int, held: Held) -> None:
        if len(self.lapsed) >= MOST_LAPSED:
            del self.lapsed[next(iter(self.lapsed))]
        self.lapsed[item] = held
