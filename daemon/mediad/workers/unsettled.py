"""Files that may still be being written: when to look at each again, and which of them never come to rest."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from mediad.model import Stat
from mediad.watcher.settle import Settle

LASTING = 30.0
"""Seconds after which nothing waits for a file any more (it may be growing for ever); `status` names it then."""

_SELDOM = 60.0
_NEVER = float("inf")


@dataclass(slots=True)
class _Awaited:
    stat: Stat
    since: float
    due: float


@dataclass(frozen=True, slots=True)
class Lasting:
    """A file that does not come to rest: its path below the volume's root, for how many seconds, its size now."""

    relpath: bytes
    seconds: float
    size: int


class Unsettled:
    """Awaited files by directory. Not thread-safe; times are seconds of the monotonic clock."""

    def __init__(self, settle_seconds: float) -> None:
        self._settle = Settle(settle_seconds)
        self._awaited: dict[bytes, dict[bytes, _Awaited]] = {}

    def wait(self, settle_seconds: float) -> None:
        """Let files rest so long from now on."""
        self._settle.wait(settle_seconds)

    def settled(self, directory: bytes, relpath: bytes, stat: Stat, now: float, wall: float) -> bool:
        """Whether a file of a listing may be read; else it is awaited."""
        due = self._settle.observe(relpath, stat, now, wall)
        awaited = self._awaited.setdefault(directory, {})
        if due is None:
            awaited.pop(relpath, None)
            if not awaited:
                del self._awaited[directory]
            return True
        since = awaited[relpath].since if relpath in awaited else now
        # What has not come to rest for long is looked at ever more seldom; a writer that closes it is heard of anyhow.
        awaited[relpath] = _Awaited(stat, since, max(due, min(now + (now - since) / 4, now + _SELDOM)))
        return False

    def closed(self, relpath: bytes, now: float) -> None:
        """A writer has closed it."""
        self._settle.closed(relpath, now)

    def listed(self, directory: bytes, names: Collection[bytes]) -> None:
        """A directory was listed: awaited files that are not in it are awaited no more."""
        awaited = self._awaited.get(directory)
        if awaited is None:
            return
        present = set(names)
        for relpath in [relpath for relpath in awaited if relpath.rpartition(b"/")[2] not in present]:
            del awaited[relpath]
            self._settle.forget(relpath)
        if not awaited:
            del self._awaited[directory]

    def gone(self, directory: bytes) -> None:
        """A directory is not there any more."""
        for other in [one for one in self._awaited if one == directory or one.startswith(directory + b"/")]:
            del self._awaited[other]

    def next_due(self) -> float:
        return min((awaited.due for awaited in self._all()), default=_NEVER)

    def take(self, now: float) -> set[bytes]:
        """Directories with files to be looked at now; those are not due again before they were listed."""
        found = set()
        for directory, awaited in self._awaited.items():
            for one in awaited.values():
                if one.due <= now:
                    one.due = _NEVER
                    found.add(directory)
        return found

    def waited_for(self, now: float) -> bool:
        """Whether any is awaited that may yet come to rest soon."""
        return any(now - awaited.since < LASTING for awaited in self._all())

    def stats(self) -> Iterator[Stat]:
        return (awaited.stat for awaited in self._all())

    def count(self) -> int:
        return sum(map(len, self._awaited.values()))

    def lasting(self, now: float) -> list[Lasting]:
        """Those that have not come to rest for long."""
        return [
            Lasting(relpath, now - one.since, one.stat.size)
            for awaited in self._awaited.values()
            for relpath, one in awaited.items()
            if now - one.since >= LASTING
        ]

    def _all(self) -> Iterator[_Awaited]:
        return (one for awaited in self._awaited.values() for one in awaited.values())
