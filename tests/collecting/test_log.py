"""The collector's log without a server: batches, a disk that is full, days, and what a kill leaves."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rather.collecting import log as logs
from rather.collecting.log import EventLog
from rather.errors import StoreError


def content(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.glob("events-*.jsonl")))


def run(folder: Path, work: Any) -> EventLog:
    """`work(log)` on an open log, and the log once it is closed."""

    async def whole() -> EventLog:
        log = EventLog(folder)
        try:
            await work(log)
        finally:
            await log.close()
        return log

    return asyncio.run(whole())


def test_those_who_wait_together_share_a_flush(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (flushed.append(file), real(file)))

    async def work(log: EventLog) -> None:
        await asyncio.gather(*(log.append(b"%d\n" % number) for number in range(100)))

    run(tmp_path, work)
    assert content(tmp_path) == b"".join(b"%d\n" % number for number in range(100))
    assert len(flushed) <= 4


def test_a_full_disk_refuses_and_spoils_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, room = os.write, [8]

    def write(file: int, data: bytes) -> int:
        """Takes what there is room for, and then nothing, as a disk does."""
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        part = data[: room[0]]
        room[0] -= len(part)
        return real(file, part)

    monkeypatch.setattr(os, "write", write)

    async def work(log: EventLog) -> None:
        await log.append(b"one\n")
        with pytest.raises(StoreError, match="No space left on device"):
            await log.append(b"two and more\n")
        assert content(tmp_path) == b"one\n"
        room[0] = 100
        await log.append(b"three\n")

    run(tmp_path, work)
    assert content(tmp_path) == b"one\nthree\n"


def test_a_day_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1700000000.0]  # 2023-11-14T22:13:20Z
    monkeypatch.setattr(logs.time, "time", lambda: now[0])

    async def work(log: EventLog) -> None:
        await log.append(b"1\n")
        now[0] += 2 * 3600
        await log.append(b"2\n")
        (tmp_path / "events-2023-11-15.jsonl").rename(tmp_path / "moved.jsonl")  # by who rotates logs
        await log.append(b"3\n")

    run(tmp_path, work)
    assert (tmp_path / "events-2023-11-14.jsonl").read_bytes() == b"1\n"
    assert (tmp_path / "moved.jsonl").read_bytes() == b"2\n"
    assert (tmp_path / "events-2023-11-15.jsonl").read_bytes() == b"3\n"


@given(
    lines=st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=5),
    torn=st.integers(0, 200_000),
)
def test_whole_lines_stay_and_the_rest_goes(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], torn: int
) -> None:
    folder = tmp_path_factory.mktemp("log")
    whole = b"".join(line + b"\n" for line in lines)
    (folder / "events-2023-11-14.jsonl").write_bytes(whole + b"x" * torn)
    assert run(folder, lambda log: asyncio.sleep(0)).cut == torn
    assert content(folder) == whole


def test_a_folder_that_cannot_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="choose another folder"):
        EventLog(tmp_path / "file")
