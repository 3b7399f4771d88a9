"""Make glibc keep freed memory: on a CPU the page faults of giving it back cost a fifth of a training step."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


def keep_freed_memory() -> bool:
    """Serve blocks up to 1 GiB from the heap and never trim it. True if the C library took the settings.

    Measured in `benchmarks/NOTES.md`. For this process alone, and only where the allocator is glibc's.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl
        return False
    settings = ((_M_MMAP_THRESHOLD, 1 << 30), (_M_TRIM_THRESHOLD, (1 << 31) - 1), (_M_TOP_PAD, 64 << 20))
    taken = [bool(mallopt(option, value)) for option, value in settings]
    return all(taken)
