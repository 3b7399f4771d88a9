"""The heap is trimmed when its holes have grown, and left alone otherwise."""

from __future__ import annotations

import sys

import pytest

from rather.training import allocator
from rather.training.allocator import Heap, resident_bytes


def test_a_trim_comes_with_the_slack_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    trims: list[int] = []
    held = [100, 110, 100 + Heap.SLACK, 101 + Heap.SLACK, 90, 91, 91 + Heap.SLACK]
    monkeypatch.setattr(allocator, "give_back_memory", lambda: trims.append(len(trims)))
    heap, seen = Heap(), []
    for amount in held:
        monkeypatch.setattr(allocator, "resident_bytes", lambda amount=amount: amount)
        heap.after_update()
        seen.append(len(trims))
    assert seen == [0, 0, 0, 1, 1, 1, 2], "100 is usual until the first trim, 90 after it"


def test_a_system_that_does_not_say_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator, "resident_bytes", lambda: None)
    monkeypatch.setattr(allocator, "give_back_memory", lambda: pytest.fail("nothing is known"))
    Heap().after_update()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says")
def test_what_is_held_grows_with_what_is_held() -> None:
    before = resident_bytes()
    block = bytearray(64 << 20)
    block[:: 1 << 12] = b"x" * len(range(0, len(block), 1 << 12))
    after = resident_bytes()
    assert before is not None
    assert after is not None
    assert after - before > 60 << 20
