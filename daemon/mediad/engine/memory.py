"""Memory of the daemon: what a burst of work took must not stay with it when it idles.

glibc gives each thread that allocates an arena of its own, up to eight for each core, and keeps what is freed in them:
after a first index of 2,000 files that was 20 to 40 MB, of which nothing was in use. Other C libraries are left alone.
"""

from __future__ import annotations

import ctypes
import sys

_M_MMAP_THRESHOLD = -3  # malloc.h
_M_ARENA_MAX = -8
_ARENAS = 2
_LARGE = 256 << 10  # bytes; set, the limit no longer grows with what is freed, so large blocks always go back


def limit() -> None:
    """Share few arenas among all threads; to be called before there are many of them."""
    libc = _glibc()
    if libc is not None:
        libc.mallopt(_M_ARENA_MAX, _ARENAS)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE)


def give_back() -> None:
    """Return to the system what is free; takes some milliseconds."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "malloc_trim") else None
