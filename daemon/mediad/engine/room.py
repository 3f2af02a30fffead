"""Whether there is room, and leave, to write: what tells the daemon to hold still before the disk is full, and after.

Below the low-water mark nothing new is taken in, so that what is left belongs to the store and the catalog. The loops
of the volumes collect hints meanwhile, and go on by themselves once there is room again.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from mediad.store import Store, StoreUnwritable

log = structlog.get_logger()

_ENOUGH = 1.1  # times the mark from which it is enough again, so that it does not flutter
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_PROBE = ".probe"
_PROBE_BYTES = 1 << 16


class Room:
    """`reason` says why nothing may be taken in now; None while all is well. `look` is called every few seconds.

    `places` are directories that are written to; `least_bytes` is the mark. `sacrifice` gives back what can be done
    without, and is called once each time that a write was refused for want of space.
    """

    def __init__(
        self,
        store: Store,
        places: Iterable[Path],
        least_bytes: int,
        sacrifice: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        self._store = store
        self._places = tuple(places)
        self._least = least_bytes
        self._sacrifice = sacrifice
        self._changed = changed
        self._lock = threading.Lock()
        self._refused: OSError | None = None
        self._sacrificed = False
        self.reason: str | None = None

    def held(self) -> bool:
        """Whether nothing may be taken in now. The store is asked too, whose failures come before the next look."""
        return self.reason is not None or self._store.unwritable is not None

    def refused(self, error: OSError) -> None:
        """A file of ours could not be written: look at once."""
        self._refused = error
        self.look()

    def look(self) -> None:
        """Find out how it is now."""
        with self._lock:
            before = self.reason
            reason = self._problem()
            if reason is None:
                self._sacrificed = False
            self.reason = reason
        if reason != before:
            if reason is not None and before is None:
                log.error("taking in is paused", reason=reason)
            elif reason is None:
                log.info("taking in goes on: there is room again")
            self._changed()

    def _problem(self) -> str | None:
        refused = self._probe_store() or self._probe_places()
        if refused is not None and refused.errno in _FULL | {errno.EIO} and not self._sacrificed:
            self._sacrificed = True
            self._sacrifice()
        if refused is not None:
            return f"{refused.filename} cannot be written: {refused.strerror}"
        return next((text for place in self._places if (text := self._short(place))), None)

    def _short(self, place: Path) -> str | None:
        """What keeps from writing there, as far as the file system tells."""
        try:
            found = os.statvfs(place)
        except OSError as error:
            return f"{place} cannot be looked at: {error.strerror}"
        if found.f_flag & os.ST_RDONLY:
            return f"{place} is on a file system that is read-only now"
        free = found.f_bavail * found.f_frsize
        if free >= self._least * (_ENOUGH if self.reason else 1.0):
            return None
        return f"less than {self._least // 1_000_000} MB are free at {place} (limits.free_space_mb)"

    def _probe_store(self) -> OSError | None:
        if self._store.unwritable is None:
            return None
        try:
            with self._store.write() as tx:
                tx.meta.count("probes")
        except StoreUnwritable as error:
            return error
        return None

    def _probe_places(self) -> OSError | None:
        """Write where a write was refused, to see whether it still is."""
        if self._refused is None:
            return None
        for place in self._places:
            path = place / _PROBE
            try:
                place.mkdir(mode=0o700, exist_ok=True)
                with path.open("wb") as file:
                    file.write(bytes(_PROBE_BYTES))
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                return OSError(error.errno, error.strerror, str(place))
            finally:
                _remove(path)
        self._refused = None
        return None


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:  # it became read-only just now: the probe has said so
        log.debug("a probe stays", path=str(path), reason=error.strerror)
