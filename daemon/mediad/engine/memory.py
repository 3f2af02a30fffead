"""Memory of the daemon: what a burst of work took must not stay with it when it idles.

glibc gives each thread that allocates an arena of its own, up to eight for each core, and keeps what is freed in them:
after a first index of 2,000 files that was 20 to 40 MB, of which nothing was in use. Other C libraries are left alone.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from pathlib import Path

_M_MMAP_THRESHOLD = -3  # malloc.h
_M_ARENA_MAX = -8
_ARENAS = 2
_MADV_DONTNEED = 4  # mman.h
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


def let_go_of(file: Path, above: int) -> bool:
    """Where more than `above` bytes of mapped files count as resident, take those of this file out; whether so.

    The store is mapped as a whole, and each page that was looked at counts as ours until memory is short: after a look
    at everything that is all of it. The pages are the page cache's, unchanged, and come back when they are looked at.
    """
    libc = _glibc()
    if libc is None or _mapped_bytes() <= above:
        return False
    for start, end in _maps_of(file):
        libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_DONTNEED)
    return True


def _mapped_bytes() -> int:
    return int(Path("/proc/self/statm").read_bytes().split()[2]) * resource.getpagesize()


def _maps_of(file: Path) -> list[tuple[int, int]]:
    name = b" " + os.fsencode(file.resolve())
    lines = [line for line in Path("/proc/self/maps").read_bytes().splitlines() if line.endswith(name)]
    spans = (line.split(b" ", 1)[0].split(b"-") for line in lines)
    return [(int(start, 16), int(end, 16)) for start, end in spans]


def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "malloc_trim") else None
