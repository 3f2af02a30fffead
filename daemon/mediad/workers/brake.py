"""The brake: when a large part of an online volume vanishes at once, nobody believes it at first.

An unmounted share inside a volume, a sync tool gone wrong and a slip of the finger look alike from here: the files are
not there. So they are held as suspects (and shown as present) until a full scan at least a minute later finds them
gone as well, or the user says that it is meant. What a vanished mount below the volume held waits for the user alone:
that is an unplugged drive.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import structlog

from mediad.model import File, VolumeId, VolumeState
from mediad.store import Store, Transaction

log = structlog.get_logger()

SHARE, LEAST = 0.2, 50
"""More of a volume's files than both of these, gone at once, are suspects."""
CONFIRM_AFTER = 60.0
"""Seconds until a full scan may confirm it, and for which what vanishes bit by bit counts as one."""
_NEVER = float("inf")
_BATCH = 2000


class Brake:
    """For the loop of one volume; `confirm` and `count` for any thread. Times are seconds of the monotonic clock."""

    def __init__(self, store: Store, volume: VolumeId) -> None:
        self._store = store
        self._volume = volume
        self._held: dict[str, float] = {}
        self._recent: deque[tuple[float, int]] = deque()
        now, wall = time.monotonic(), time.time()
        with store.read() as tx:
            for _, file_id, since in tx.suspects.of_volume(volume):
                self._held[file_id] = now - max(0.0, wall - since) if since < _NEVER else _NEVER

    @property
    def count(self) -> int:
        """How many files are suspects."""
        return len(self._held)

    def next_due(self, last: float) -> float:
        """When a full scan may confirm something; `last` is when the last one began."""
        dues = (since + CONFIRM_AFTER for since in list(self._held.values()))
        return min((due for due in dues if due > last), default=_NEVER)

    def confirm(self) -> int:
        """It is meant: the next full scan confirms what is held now. How many files that are."""
        self._held = dict.fromkeys(self._held, -_NEVER)
        return len(self._held)

    def sift(self, absent: Sequence[File], began: dict[str, float], unmounted: Callable[[bytes], bool]) -> list[File]:
        """Of files that are proven not to be there, those that may be called missing now; the others are held.

        `began` tells for each file id when the full scan began that missed the file (absent: no full scan did);
        `unmounted` whether a path lay on a mount that is away.
        """
        sure: list[File] = []
        doubtful: list[File] = []
        with self._store.read() as tx:
            for file in absent:
                confirmed = began.get(file.id, -_NEVER) >= self._held.get(file.id, _NEVER) + CONFIRM_AFTER
                away = not confirmed and unmounted(file.relpath)
                loss = not confirmed and (away or _is_loss(tx, file))
                (doubtful if loss else sure).append(file)
            lost = [file for file in doubtful if not unmounted(file.relpath)]
            alarming = len(lost) > 0 and self._alarming(tx, lost)
        if not alarming:
            self._recent.append((time.monotonic(), len(lost)))
            sure, doubtful = sure + lost, [file for file in doubtful if unmounted(file.relpath)]
        self._hold(doubtful, unmounted)
        self._let_go(file.id for file in sure)
        return sure

    def _alarming(self, tx: Transaction, lost: list[File]) -> bool:
        now = time.monotonic()
        while self._recent and self._recent[0][0] < now - CONFIRM_AFTER:
            self._recent.popleft()
        recent = sum(count for _, count in self._recent)
        count = len(lost) + recent + len(self._held.keys() - {file.id for file in lost})
        if count <= LEAST:
            return False
        limit = int(count / SHARE) + 1  # as many as these, and it is no large part any more
        present = (file for file in tx.files.of_volume(self._volume) if not file.missing)
        return sum(1 for _ in islice(present, limit)) + recent < count / SHARE

    def _hold(self, files: list[File], unmounted: Callable[[bytes], bool]) -> None:
        new = [file for file in files if file.id not in self._held]
        if not new:
            return
        now, wall = time.monotonic(), time.time()
        for batch in _batches(new):
            with self._store.write() as tx:
                for file in batch:
                    key = tx.files.key(file.volume, file.relpath)
                    if key is not None:
                        tx.suspects.put(key, file.id, _NEVER if unmounted(file.relpath) else wall)
        self._held |= {file.id: _NEVER if unmounted(file.relpath) else now for file in new}
        log.warning("a large part of a volume vanished at once; it is held", volume=self._volume, files=len(new))

    def keep_only(self, gone: Iterable[str]) -> None:
        """A full scan found only these of all files gone: the other suspects are back, or moved."""
        self._let_go(self._held.keys() - set(gone))

    def _let_go(self, ids: Iterable[str]) -> None:
        """No suspects any more."""
        ids = {file_id for file_id in ids if file_id in self._held}
        if not ids:
            return
        with self._store.write() as tx:
            for key, file_id, _ in list(tx.suspects.of_volume(self._volume)):
                if file_id in ids:
                    tx.suspects.drop(key)
        self._held = {file_id: since for file_id, since in self._held.items() if file_id not in ids}


def _is_loss(tx: Transaction, file: File) -> bool:
    """Whether something would be missed: it still stands in the store so, was read, and there is no copy of it."""
    current = tx.files.get(file.volume, file.relpath)
    if current is None or current.id != file.id or current.missing or current.content_id is None:
        return False
    others = (other for other in tx.files.of(current.content_id) if other.id != file.id and not other.missing)
    return not any(other.volume != file.volume and _online(tx, other.volume) for other in others)


def _online(tx: Transaction, volume_id: VolumeId) -> bool:
    volume = tx.volumes.get(volume_id)
    return volume is not None and volume.state is VolumeState.ONLINE


def _batches(files: list[File]) -> Iterable[list[File]]:
    return (files[at : at + _BATCH] for at in range(0, len(files), _BATCH))
