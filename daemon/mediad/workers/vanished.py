"""What a volume's scans did not find any more, until it is decided: moved, missing, suspect, or there after all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from mediad.ingest.scan import absent, mark_missing, stats_in_work
from mediad.model import File, VolumeId
from mediad.store import Store
from mediad.workers.brake import Brake
from mediad.workers.nested import Nested

log = structlog.get_logger()

_MOVE_GRACE = 30.0  # seconds for which a vanished file may wait for the reading of the file that it became,
_TOLD = 0.5  # until we are told of a change elsewhere, as of its new place,
_LOOKED = 6.0  # and until all volumes have looked where they were told to; some are told something all the time
_LOOK = 0.2  # seconds between looks whether what vanished was found elsewhere ...
_SHARE = 5.0  # ... but at least so many times what a look costs
_BATCH = 2000
_NEVER = float("inf")


@dataclass(frozen=True)
class _Candidate:
    """A file that a scan missed, since when, and when the scan began if it was a full one (else -infinity)."""

    file: File
    since: float
    began: float

    @property
    def key(self) -> tuple[int, int]:
        """What a rename keeps."""
        return self.file.stat.size, self.file.stat.mtime_ns


class Vanished:
    """Candidates of one volume. Its loop adds and decides; the rest is for any thread. Monotonic times in seconds.

    `excluded` tells whether the rules leave a path out now, `healthy` whether the volume is well at this moment,
    `unsettled` (size, mtime_ns) of files that are not read yet because they may still be being written, `expecting`
    whether any volume has yet to look where something happened.
    """

    def __init__(
        self,
        store: Store,
        volume: VolumeId,
        root: bytes,
        *,
        follow: bool,
        excluded: Callable[[bytes], bool],
        healthy: Callable[[], bool],
        unsettled: Callable[[], set[tuple[int, int]]],
        expecting: Callable[[], bool],
    ) -> None:
        self._store, self._volume, self._root, self._follow = store, volume, root, follow
        self._excluded, self._healthy, self._unsettled, self._expecting = excluded, healthy, unsettled, expecting
        self._lock = threading.Lock()
        self._candidates: dict[str, _Candidate] = {}
        self._next_look = 0.0
        self._full_scan = -_NEVER
        self._brake = Brake(store, volume)
        self._nested = Nested(store, volume, root)

    @property
    def undecided(self) -> bool:
        """Whether something waits to be decided; suspects do not, they are held."""
        return bool(self._candidates)

    @property
    def suspects(self) -> int:
        """How many files vanished with so many others that they are held."""
        return self._brake.count

    def confirm(self) -> int:
        """The user says that the suspects are gone indeed: the next full scan confirms it. How many they are."""
        self._nested.forget()
        return self._brake.confirm()

    def next_look(self) -> float:
        """When `decide` has something to do."""
        return self._next_look if self._candidates else _NEVER

    def next_scan(self) -> float:
        """When a full scan may confirm what is held."""
        return self._brake.next_due(self._full_scan)

    def begin_full_scan(self, now: float) -> None:
        self._full_scan = now
        self._nested.look()

    def add(self, files: Iterable[File], *, full: bool) -> None:
        """A scan of a volume that was well before and after it, of all of it or of a part, did not find these."""
        began = self._full_scan if full else -_NEVER
        with self._lock:
            for file in files:
                known = self._candidates.get(file.id)
                since = known.since if known is not None else time.monotonic()
                self._candidates[file.id] = _Candidate(file, since, began)
            found = list(self._candidates)
            self._next_look = 0.0
        if full:
            self._brake.keep_only(found)

    def decide(self) -> bool:
        """Say "missing" of what nothing being read can be the new place of, after one more look; whether of any."""
        started = time.monotonic()
        with self._lock:
            waiting = list(self._candidates.values())
        if not waiting or started < self._next_look:
            return False
        ripe = self._ripe(waiting, started)
        count = self._mark(ripe) if ripe else 0
        if count is not None:
            with self._lock:
                for one in ripe:
                    self._candidates.pop(one.file.id, None)
        now = time.monotonic()
        self._next_look = now + max(_LOOK, _SHARE * (now - started))
        return bool(count)

    def _ripe(self, waiting: list[_Candidate], now: float) -> list[_Candidate]:
        """Those that stand nowhere else as far as we may yet come to know."""
        patience = _LOOKED if self._expecting() else _TOLD
        with self._store.read() as tx:  # after it was asked: what was looked for is in the work list by now
            awaited = stats_in_work(tx)
        awaited |= self._unsettled()
        return [one for one in waiting if now - one.since > (_MOVE_GRACE if one.key in awaited else patience)]

    def _mark(self, ripe: list[_Candidate]) -> int | None:
        """Mark what is gone for sure, hold what is doubtful; how many, or None where the volume is not healthy."""
        gone = absent(self._root, (one.file for one in ripe), self._excluded, follow=self._follow)
        self._nested.look()
        if not self._healthy():
            return None
        excluded = {file.id for file in gone if self._excluded(file.relpath)}
        began = {one.file.id: one.began for one in ripe}
        sure = self._brake.sift([file for file in gone if file.id not in excluded], began, self._nested.lost)
        sure += [file for file in gone if file.id in excluded]
        count = 0
        for at in range(0, len(sure), _BATCH):
            with self._store.write() as tx:
                count += mark_missing(tx, sure[at : at + _BATCH])
        if count:
            log.info("files missing", volume=self._volume, count=count)
        self._look_at_others(sure)
        return count + len(gone) - len(sure)

    def _look_at_others(self, gone: list[File]) -> None:
        """What was recorded as moved to a place after a scan had found it gone from there may be gone itself."""
        with self._store.read() as tx:
            there = [(file, tx.files.get(file.volume, file.relpath)) for file in gone]
        self.add((now for file, now in there if now and not now.missing and now.id != file.id), full=False)
