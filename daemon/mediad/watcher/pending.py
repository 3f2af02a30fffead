"""Hints on their way out: one for a directory however many events it had."""

from __future__ import annotations

import math
from dataclasses import dataclass

_MOST = 4096
"""Directories of one volume with hints pending; beyond it one recursive hint of the root says it cheaper."""

Hint = tuple[str, bytes, bool]
"""Volume, directory relative to its root, whether everything below is meant too."""


@dataclass(slots=True)
class _Entry:
    first: float
    due: float
    recursive: bool


class Pending:
    """Coalesces events. Not thread-safe; all times in seconds of the monotonic clock.

    A hint goes out `quiet` seconds after the directory's last quick event, but at most `longest` after the first; a
    slow event (a file is being written to, and will be closed some time) waits `slow` for a quick one.
    """

    def __init__(self, *, quiet: float, longest: float = 1.0, slow: float = 2.0) -> None:
        self._quiet, self._longest, self._slow = quiet, max(longest, quiet), max(slow, quiet)
        self._volumes: dict[str, dict[bytes, _Entry]] = {}

    def add(self, volume: str, reldir: bytes, now: float, *, recursive: bool, quick: bool) -> float:
        """Something happened in `reldir`; returns when its hint is due, as of now."""
        entries = self._volumes.setdefault(volume, {})
        entry = entries.get(reldir)
        if entry is None:
            if len(entries) >= _MOST:
                entries.clear()
                reldir, recursive = b"", True
            entry = entries[reldir] = _Entry(now, now + self._slow, recursive)
        entry.recursive = entry.recursive or recursive
        if quick:
            entry.due = min(now + self._quiet, entry.first + self._longest)
        return entry.due

    def __bool__(self) -> bool:
        return any(self._volumes.values())

    def forget(self, volume: str) -> None:
        """The volume is watched no more."""
        self._volumes.pop(volume, None)

    def next_due(self) -> float:
        """When the next hint is due; infinity if none is pending."""
        return min((entry.due for entries in self._volumes.values() for entry in entries.values()), default=math.inf)

    def take(self, now: float) -> list[Hint]:
        """The hints due now, taken out; those below a recursive one among them are left out."""
        hints: list[Hint] = []
        for volume, entries in self._volumes.items():
            due = {reldir: entry for reldir, entry in entries.items() if entry.due <= now}
            whole = {reldir for reldir, entry in due.items() if entry.recursive}
            hints += [(volume, reldir, entry.recursive) for reldir, entry in due.items() if not _below(reldir, whole)]
            for reldir in due:
                del entries[reldir]
        return hints


def _below(reldir: bytes, whole: set[bytes]) -> bool:
    while reldir and whole:
        reldir = reldir.rpartition(b"/")[0]
        if reldir in whole:
            return True
    return False
