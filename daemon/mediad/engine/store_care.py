"""The daemon's store: opened whole, backed up while it is used, and known to be damaged before that is old.

Each backup reads the store to its last value, so it is the regular check as well.
"""

from __future__ import annotations

import threading
import time

import structlog

from mediad.catalog.continuing import continue_after
from mediad.config.locations import Locations
from mediad.engine import options
from mediad.store import Store, StoreDamaged
from mediad.store.backup import Backups
from mediad.store.recovery import Starts, open_store

log = structlog.get_logger()

_INTERVAL = 3600.0  # seconds between two backups of a store that changes
_FIRST_QUIET = 20.0  # seconds of quiet before the first backup, and before the check after an unclean stop
_AGAIN = 600.0  # after one that failed
_COST = 500.0  # times what a backup took, it pauses: 0.2 % of a core at most


_LASTING = 60.0  # seconds after which a start has gone well


class StoreKeeper:
    """Opens the store; `tick` every few seconds. `store.damage` set: close everything, and open it again.

    Raises:
        StoreBusy, StoreTooNew, OSError: see `store.recovery.open_store`.
        StoreDamaged: damage was met just after the opening, which saw none: the next one looks closer.
    """

    def __init__(self, locations: Locations, spare_bytes: int) -> None:
        self._starts = Starts(locations.state)
        self._backups = Backups(locations.state / "backups")
        opened = open_store(options.store_directory(locations.state), self._backups, self._starts)
        self.store = opened.store
        known = opened.recovered or {"generation": 0, "seq": 0}
        try:
            continue_after(self.store, locations.catalog, generation=known["generation"], seq=known["seq"])
        except StoreDamaged:
            self.store.close()
            raise
        unsure = self._starts.unclean or opened.recovered is not None
        self._care = StoreCare(self.store, self._backups, spare_bytes, check=unsure)
        self._started = time.monotonic()
        self._lasts = False

    def tick(self, *, idle: bool) -> None:
        """Look whether a backup is due, and note that this start went well. `idle`: nothing is being taken in."""
        self._care.tick(idle=idle)
        if not self._lasts and self.store.damage is None and time.monotonic() - self._started > _LASTING:
            self._lasts = True
            self._starts.lasting()

    def back_up(self) -> None:
        """Make a backup now."""
        self._care.back_up()

    def sacrifice(self) -> int:
        """Give space back: all backups but the newest. Bytes freed."""
        return self._backups.drop_all_but_newest()

    def stop(self) -> None:
        """Before the store is closed."""
        self._care.stop()

    def ended(self) -> None:
        """After the store was closed: the next start need not wonder, unless there was damage."""
        if self.store.damage is None:
            self._starts.end()
        else:
            self._starts.suspect()


class StoreCare:
    """`tick` every few seconds; a backup runs in a process of its own. `check` wants one although there is one."""

    def __init__(self, store: Store, backups: Backups, spare_bytes: int, *, check: bool) -> None:
        self._store = store
        self._backups = backups
        self._spare = spare_bytes
        self._check = check
        self._revision: int | None = None  # at the last backup of this run
        self._started = time.monotonic()
        self._quiet_since: float | None = None
        self._next = self._started + _INTERVAL
        self._thread: threading.Thread | None = None
        self._stopping = False

    def tick(self, *, idle: bool) -> None:
        """Start a backup if one is due. `idle`: nothing is being taken in."""
        now = time.monotonic()
        self._quiet_since = (self._quiet_since or now) if idle else None
        if self._thread is not None and self._thread.is_alive():
            return
        if self._due(now):
            self._thread = threading.Thread(target=self.back_up, name="store-care")
            self._thread.start()

    def _due(self, now: float) -> bool:
        if not self._changed():
            return False
        if now >= self._next:
            return True
        quiet = self._quiet_since is not None and now - self._quiet_since >= _FIRST_QUIET
        missing = self._revision is None and (self._check or not self._backups.newest_first())
        return quiet and missing and now >= self._next - _INTERVAL

    def _changed(self) -> bool:
        if self._check and self._revision is None:
            return True
        if self._revision is not None:
            return self._store.revision != self._revision
        newest = next(iter(self._backups.newest_first()), None)
        data = self._store.directory / "data.mdb"
        return newest is None or data.stat().st_mtime > newest.stat().st_mtime

    def back_up(self) -> None:
        """Make a backup now. Damage that it meets is noted in `store.damage`."""
        started = time.monotonic()
        revision = self._store.revision
        pause = _INTERVAL
        try:
            self._backups.make(self._store.directory, self._spare)
        except StoreDamaged as error:
            self._store.damage = self._store.damage or str(error)
            log.error("the backup found damage in the store", reason=str(error))
        except OSError as error:
            if not self._stopping:
                log.warning("no backup of the store", reason=str(error))
            pause = _AGAIN
        else:
            self._revision = revision
            pause = max(pause, _COST * (time.monotonic() - started))
        self._next = time.monotonic() + pause

    def stop(self) -> None:
        """Give up a backup that is under way."""
        self._stopping = True
        while self._thread is not None and self._thread.is_alive():
            self._backups.stop()
            self._thread.join(0.1)
