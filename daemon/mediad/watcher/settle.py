"""When is a file done being written? Pure logic: the caller brings what `lstat` says, and both clocks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from mediad.model import Stat


@dataclass(slots=True)
class _Seen:
    stat: Stat
    since: float
    closed: bool = False


class Settle:
    """Decides whether a file may be read yet.

    A file is ready when its status has not changed for `seconds` since it was first seen so, or when it was last
    changed more than `seconds` ago by the wall clock. A time in the future (another machine's clock, or ours set back)
    tells nothing, so such a file waits out `seconds` once on the monotonic clock. Once its writer has closed it,
    `closed_seconds` are enough, unless it is still empty: many tools make the name first and the content later.

    At most `capacity` files are remembered; the one seen longest ago is forgotten first, and simply waits anew.
    Not thread-safe.
    """

    def __init__(self, seconds: float, *, closed_seconds: float = 0.3, capacity: int = 100_000) -> None:
        self._seconds = seconds
        self._closed_seconds = closed_seconds
        self._capacity = capacity
        self._files: OrderedDict[Hashable, _Seen] = OrderedDict()

    def __len__(self) -> int:
        return len(self._files)

    def wait(self, seconds: float) -> None:
        """Let files rest so long from now on."""
        self._seconds = seconds

    def observe(self, path: Hashable, stat: Stat, now: float, wall: float) -> float | None:
        """None if the file is ready (and then forgotten); else the time, on the monotonic clock, to look again.

        `path` may be anything that names the file, such as (volume, relpath). `now` is `time.monotonic()`, `wall` is
        `time.time()`.
        """
        seen = self._seen(path, stat, now)
        needed = min(self._closed_seconds, self._seconds) if seen.closed and stat.size > 0 else self._seconds
        age = wall - max(stat.mtime_ns, stat.ctime_ns) / 1e9  # ctime too: tools restore mtime
        left = seen.since + needed - now
        if age >= 0:
            left = min(left, needed - age)
        if left > 0:
            return now + left
        del self._files[path]
        return None

    def _seen(self, path: Hashable, stat: Stat, now: float) -> _Seen:
        seen = self._files.get(path)
        if seen is None:
            seen = self._files[path] = _Seen(stat, now)
            if len(self._files) > self._capacity:
                self._files.popitem(last=False)
            return seen
        self._files.move_to_end(path)
        if seen.stat != stat:
            # What `closed` told was of the state before, unless that was told ahead of any look at the file.
            seen.stat, seen.since, seen.closed = stat, now, seen.closed and seen.stat == _NEVER
        return seen

    def closed(self, path: Hashable, now: float) -> None:
        """Whoever wrote the file has closed it, or moved it into its place."""
        seen = self._files.get(path)
        if seen is None:
            seen = self._seen(path, _NEVER, now)
        seen.stat, seen.since, seen.closed = _NEVER, now, True

    def forget(self, path: Hashable) -> None:
        """The file is gone."""
        self._files.pop(path, None)


_NEVER = Stat(-1, -1, -1, -1)
