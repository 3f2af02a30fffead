"""Copies of the store beside it: consistent, compact, and read back to the last value before they count."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import structlog

from mediad.channel import Child, ChildError, Limits
from mediad.durable import make_directory, sync_directory
from mediad.store.check import died_of_it
from mediad.store.raw import StoreDamaged

log = structlog.get_logger()

KEEP = 3
_PREFIX, _SUFFIX, _PARTIAL = "store-", ".mdb", ".part"
_DEADLINE = 3600.0


class NoRoom(OSError):
    """A backup would leave too little space."""


class Backups:
    """The backups in one directory, numbered. `make` takes as long as reading the store three times; run it aside."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._child = Child("mediad.store.child", limits=Limits(nice=15))

    def newest_first(self) -> list[Path]:
        """Files of the finished backups."""
        found = [path for path in self.directory.glob(f"{_PREFIX}*{_SUFFIX}") if path.stem[len(_PREFIX) :].isdigit()]
        return sorted(found, key=_number, reverse=True)

    def make(self, store: Path, spare_bytes: int) -> Path:
        """Copy the store in this directory, which may be in use, and drop the oldest copies.

        Raises:
            NoRoom: less than `spare_bytes` would be free afterwards.
            StoreDamaged: it cannot be read, or what was read is not what was written.
            OSError: the copy could not be written.
        """
        started = time.monotonic()
        make_directory(self.directory)
        for left in self.directory.glob(f"*{_PARTIAL}"):
            left.unlink()
        needed = (store / "data.mdb").stat().st_size
        if shutil.disk_usage(self.directory).free < needed + spare_bytes:
            raise NoRoom(f"a backup of {needed >> 20} MB would leave less than {spare_bytes >> 20} MB free")
        before = self.newest_first()
        path = self.directory / f"{_PREFIX}{_number(before[0]) + 1 if before else 1:06d}{_SUFFIX}"
        self._copy(store, path.with_suffix(_PARTIAL))
        path.with_suffix(_PARTIAL).rename(path)
        sync_directory(self.directory)
        for old in before[KEEP - 1 :]:
            old.unlink()
        seconds = round(time.monotonic() - started, 3)
        log.info("store backed up", file=path.name, bytes=path.stat().st_size, seconds=seconds)
        return path

    def _copy(self, store: Path, target: Path) -> None:
        try:
            message = {"op": "copy", "path": str(store), "target": str(target)}
            answer, _ = self._child.request(message, deadline=_DEADLINE)
        except ChildError as error:
            target.unlink(missing_ok=True)
            if died_of_it(error):
                raise StoreDamaged(f"reading it all failed: {error}") from error
            raise OSError(f"the backup could not be written: {error}") from error
        finally:
            self._child.stop()
        if answer["damage"]:
            target.unlink(missing_ok=True)
            raise StoreDamaged(answer["damage"])

    def drop_all_but_newest(self) -> int:
        """Give space back; the bytes freed."""
        freed = 0
        for path in self.newest_first()[1:]:
            freed += path.stat().st_size
            path.unlink()
        return freed

    def stop(self) -> None:
        """Give up the backup that is being made, if one is."""
        self._child.stop()


def _number(path: Path) -> int:
    return int(path.stem[len(_PREFIX) :])
