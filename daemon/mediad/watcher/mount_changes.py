"""Mounts and unmounts below a watched directory, of which inotify says nothing (a mount over a directory hides it)."""

from __future__ import annotations

import os
import re
import select
from pathlib import Path

MOUNTINFO = Path("/proc/self/mountinfo")
_ESCAPE = re.compile(rb"\\([0-7]{3})")


class MountChanges:
    """Tells which mounts came or went below `root`. The kernel flags the file when it changes, so asking is cheap.

    Raises:
        OSError: there is no mountinfo here.
    """

    def __init__(self, root: bytes) -> None:
        self._root = os.path.realpath(root).rstrip(b"/") + b"/"
        self._file = MOUNTINFO.open("rb", buffering=0)
        self._poller = select.poll()
        self._poller.register(self._file.fileno(), select.POLLPRI | select.POLLERR)
        self._below = self._read()

    def take(self) -> list[bytes]:
        """Mount points, relative to the root, that came or went since the last call."""
        if not self._poller.poll(0):
            return []
        before, self._below = self._below, self._read()
        return sorted({line[0] for line in before ^ self._below})

    def close(self) -> None:
        self._file.close()

    def _read(self) -> frozenset[tuple[bytes, bytes]]:
        """Each mount below the root, with the number of its device to tell it from its successor."""
        self._file.seek(0)
        found = set()
        for line in self._file.readall().split(b"\n"):
            fields = line.split(b" ", 5)
            if len(fields) == 6:
                point = _ESCAPE.sub(lambda match: bytes([int(match[1], 8) & 0xFF]), fields[4])
                if point.startswith(self._root):
                    found.add((point[len(self._root) :], fields[2]))
        return frozenset(found)
