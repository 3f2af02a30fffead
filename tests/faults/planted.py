"""Bugs of the kinds that such daemons have, to plant in a process of a test: the tests must find each of them."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from mediad.engine import search
from mediad.ingest import record, scan, stages
from mediad.media.decoder import Decoder, ReadResult
from mediad.model import Stat, VolumeState
from mediad.volume import health, walk
from mediad.workers import volume

reading: set[int] = set()
"""Threads that have read a file, and are not told so yet."""

_SLOW = 0.15  # seconds for which a file can change while it is read


def _replace(owner: object, name: str, new: Callable[..., Any]) -> None:
    setattr(owner, name, new)


def _slow_reads() -> None:
    """No bug: a slow disk, so that files change while they are read."""
    quick = Decoder.read

    def read(self: Decoder, *arguments: Any, **options: Any) -> ReadResult:
        result = quick(self, *arguments, **options)
        reading.add(threading.get_ident())
        time.sleep(_SLOW)
        reading.discard(threading.get_ident())
        return result

    _replace(Decoder, "read", read)


def _missing_on_eacces() -> None:
    """What may not be looked at counts as gone."""

    def absent(path: bytes, follow: bool) -> bool:
        try:
            os.stat(path, follow_symlinks=follow)
        except OSError:
            return True
        return False

    listing = walk.list_directory

    def list_directory(*arguments: Any) -> Any:
        try:
            return listing(*arguments)
        except PermissionError as error:
            raise FileNotFoundError(errno.ENOENT, error.strerror) from error

    _replace(scan, "_absent", absent)
    _replace(volume, "list_directory", list_directory)


def _lost_requeue() -> None:
    """What changed while it was read is recorded as it is afterwards, with the content from before."""
    honest = Decoder.read

    def read(self: Decoder, path: bytes, **options: Any) -> ReadResult:
        result = honest(self, path, **options)
        try:
            status = os.stat(path)
        except OSError:
            return result
        return replace(result, stat=Stat(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino))

    _replace(Decoder, "read", read)


def _index_ahead() -> None:
    """The vector index is saved with a generation that the store has yet to reach, and believed when it is loaded."""
    save, reconcile = search.Search.save, search.Search._reconcile

    def save_ahead(self: search.Search, generation: int) -> None:
        save(self, generation + 1_000)

    def reconcile_older(self: search.Search, index: Any, space: str) -> None:
        if index.generation < 1_000:
            reconcile(self, index, space)

    _replace(search.Search, "save", save_ahead)
    _replace(search.Search, "_reconcile", reconcile_older)


def _empty_mount_point() -> None:
    """Whatever directory stands in the volume's place is the volume."""

    def compare(_base: bytes, _known: Any, now: Any, _samples: Any, *, empty: bool) -> health.Health:
        return health.Health(VolumeState.ONLINE, "", now)

    _replace(health, "_compare", compare)


def _moves_unknown() -> None:
    """A file at a new place is a new file."""
    _replace(record, "_moved_from", lambda *_: None)


def _copies_decoded() -> None:
    """Each copy is decoded, as if its content were new."""
    _replace(stages, "_whole", lambda *_: False)


def _never_restored() -> None:
    """What is back unchanged stays missing."""

    def enlist(tx: Any, volume_id: Any, found: Any, now: float) -> None:
        scan.enlist(tx, volume_id, replace(found, back=[]), now)

    _replace(volume, "enlist", enlist)


@dataclass(frozen=True)
class Bug:
    """How it is planted, and a pattern of what is said of it where it is found."""

    plant: Callable[[], None]
    symptom: str


BUGS = {
    "missing on EACCES": Bug(_missing_on_eacces, "was forgotten while it could not be looked at"),
    "changed while read, and not queued again": Bug(_lost_requeue, "has content .*, the catalog says"),
    "index ahead of the store": Bug(_index_ahead, "like [0-9a-f]{32} are "),
    "an empty mount point is an empty volume": Bug(_empty_mount_point, "is said to be online|was forgotten while"),
    "moves are not recognised": Bug(_moves_unknown, "is taken for another file"),
    "copies are decoded again": Bug(_copies_decoded, "decodes for"),
    "missing for ever": Bug(_never_restored, "is on the disk, but not in the catalog"),
}


def plant(name: str) -> None:
    """Make this process faulty; "" leaves it sound. Reading is slow either way."""
    _slow_reads()
    if name:
        BUGS[name].plant()
