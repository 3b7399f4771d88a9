"""The one progress bar, and the one place that prints to people while work goes on (always to stderr)."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

# Where nobody watches (a file, a pipe, CI) a bar is noise: one line every so often tells the same.
QUIET_SECONDS = 15.0


# Narrower than this, the words that tell how it goes are worth more than the bar.
WIDE = 100


def console() -> Console:
    """Writes to stderr; colours only where a terminal wants them (NO_COLOR is honoured by rich)."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


# Of several ranks of one run only the first speaks.
_HUSHED = threading.Event()


@contextmanager
def hushed() -> Iterator[None]:
    """Within it nothing is said and no progress shown by this process."""
    _HUSHED.set()
    try:
        yield
    finally:
        _HUSHED.clear()


def say(message: str) -> None:
    """One line for the user."""
    if _HUSHED.is_set():
        return
    print(message, file=sys.stderr, flush=True)


class Task:
    """One piece of work with a known size."""

    def __init__(self, title: str, total: int, done: int) -> None:
        self.title, self.total, self.done, self.note = title, total, done, ""

    def advance(self, count: int = 1, note: str = "") -> None:
        self.done, self.note = self.done + count, note or self.note


class _Line(Task):
    """Progress as lines, where stderr is no terminal."""

    def __init__(self, title: str, total: int, done: int) -> None:
        super().__init__(title, total, done)
        self._last = time.monotonic()

    def advance(self, count: int = 1, note: str = "") -> None:
        super().advance(count, note)
        if self.done >= self.total or time.monotonic() - self._last > QUIET_SECONDS:
            self._last = time.monotonic()
            say(f"{self.title} {self.done}/{self.total} {self.note}".rstrip())


class _Bar(Task):
    """Progress as a bar that redraws itself."""

    def __init__(self, title: str, total: int, done: int, progress: Progress) -> None:
        super().__init__(title, total, done)
        self._progress = progress
        self._id = progress.add_task(title, total=total, completed=done, note="")

    def advance(self, count: int = 1, note: str = "") -> None:
        super().advance(count, note)
        self._progress.update(self._id, completed=self.done, note=self.note)


@contextmanager
def task(title: str, total: int, *, done: int = 0) -> Iterator[Task]:
    """Show progress on `title` until the block ends."""
    out = console()
    if _HUSHED.is_set():
        yield Task(title, total, done)
        return
    if not out.is_terminal:
        yield _Line(title, total, done)
        return
    columns = (
        TextColumn("{task.description}"),
        *([BarColumn(bar_width=20)] if out.width >= WIDE else []),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=out) as progress:
        yield _Bar(title, total, done, progress)
