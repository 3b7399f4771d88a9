"""Tell glibc what to do with freed memory: page faults cost a fifth of a training step on a CPU, hoarding costs memory."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from pathlib import Path
from typing import Any

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


def keep_freed_memory() -> bool:
    """Serve blocks up to 160 MiB from the heap and never trim it by itself. True if the C library took the settings.

    The few blocks beyond would leave the largest holes; mapped each time they cost less than the memory they save.
    Measured in `benchmarks/NOTES.md`. For this process alone, and only where the allocator is glibc's.
    """
    mallopt = _libc_function("mallopt")
    if mallopt is None:
        return False
    settings = ((_M_MMAP_THRESHOLD, 160 << 20), (_M_TRIM_THRESHOLD, (1 << 31) - 1), (_M_TOP_PAD, 64 << 20))
    taken = [bool(mallopt(option, value)) for option, value in settings]
    return all(taken)


def give_back_memory() -> None:
    """Return the heap's free pages to the system: between stages, and now and then within one, where holes add up."""
    gc.collect()
    malloc_trim = _libc_function("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


class Heap:
    """Trims the heap when its holes have grown by SLACK, and not before: every trim is paid in page faults.

    Micro-batches differ in size, so freed blocks do not always fit what comes next, and what the process holds creeps up.
    """

    SLACK = 768 << 20

    def __init__(self) -> None:
        self._usual: int | None = None

    def after_update(self) -> None:
        """Look, and trim if the process holds SLACK more than after the first update behind the last trim."""
        held = resident_bytes()
        if held is None:
            return
        if self._usual is None:
            self._usual = held
        elif held > self._usual + self.SLACK:
            give_back_memory()
            self._usual = None


def resident_bytes() -> int | None:
    """What this process holds of the machine's memory; None where the system does not say."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.is_file() else None


def _libc_function(name: str) -> Any:
    """A function of glibc; None on another system or C library."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
