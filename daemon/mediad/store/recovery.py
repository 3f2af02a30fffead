"""Opening the store whatever has become of it: whole, from a backup, or anew with what can be saved of it.

A damaged store is moved beside its place (`store.damaged-1`, the one before it goes), the newest backup that is whole
takes its place, and what tells of contents (assets, vectors, spaces, verdicts, names that people gave) is read out of
the damaged file and added where the backup lacks it, so that nothing is decoded or embedded twice. What else is newer
than the backup is on the volumes, where the first scan finds it.

Whether the store is whole is asked of LMDB at every opening, which costs nothing and sees only what is gross, and of
`check` (every page and value, in another process) after a start that did not live long, after damage was met while
running, and at each backup.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from mediad.channel import Child, ChildError, Limits
from mediad.durable import make_directory, sync_directory
from mediad.store.backup import Backups
from mediad.store.check import damage_of
from mediad.store.environment import Store, locked
from mediad.store.merge import Saved, merge
from mediad.store.raw import StoreDamaged
from mediad.store.salvage import unpack

log = structlog.get_logger()

RECOVERED = "recovered"  # in meta: what the last recovery did
_DAMAGED = ".damaged-"
_UNFINISHED = "unfinished"  # in the damaged store's directory, with the reason, until all was saved from it
_DEADLINE = 600.0  # for one batch of entries


@dataclass(frozen=True)
class Opened:
    """The store, and what had to be done for it (None: nothing)."""

    store: Store
    recovered: dict[str, Any] | None


class Starts:
    """A file that tells how the last runs ended: it is there while one runs, and holds how many ended too early."""

    def __init__(self, state: Path) -> None:
        self._path = state / "running"
        text = self._path.read_text(errors="replace") if self._path.exists() else None
        self.unclean = text is not None
        self.failed = int(text) if text is not None and text.isdecimal() else int(self.unclean)

    def begin(self) -> None:
        """Before anything that may end us."""
        self._write(self.failed + 1)

    def lasting(self) -> None:
        """We have run for a while: should we be killed from now on, it is not for what was met at the start."""
        self._write(0)

    def suspect(self) -> None:
        """Damage was met: the next start must check the store."""
        self._write(1)

    def end(self) -> None:
        """A clean stop."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _write(self, failed: int) -> None:
        try:  # in place: the block is there, should the disk be full
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.ftruncate(fd, os.pwrite(fd, b"%d" % failed, 0))
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            log.warning("a start could not be noted", path=str(self._path), reason=str(error))


def open_store(directory: Path, backups: Backups, starts: Starts) -> Opened:
    """Open the store for writing, and make it whole first where it is not.

    Raises:
        StoreBusy: another process has it open for writing.
        StoreTooNew: a newer mediad wrote it.
        OSError: it cannot be opened, or its damaged self cannot be moved, for a reason of the system.
    """
    with locked(directory):
        starts.begin()
        _put_aside_if_damaged(directory, backups, suspect=starts.failed > 0)
    try:
        store = Store(directory)
    except StoreDamaged as error:
        with locked(directory):
            _put_aside(directory, str(error))
            _restore(directory, backups)
        store = Store(directory)
    unfinished = _unfinished(directory)
    return Opened(store, _save_from(unfinished, store) if unfinished else None)


def _put_aside_if_damaged(directory: Path, backups: Backups, *, suspect: bool) -> None:
    data = directory / "data.mdb"
    if data.exists():
        damage = damage_of(directory, deep=True) if suspect and data.stat().st_size else None
        if damage is None:
            return
        _put_aside(directory, damage)
    elif not _unfinished(directory):
        if not backups.newest_first():
            return  # a fresh state directory
        _put_aside(directory, "it was gone")
    _restore(directory, backups)


def _put_aside(directory: Path, reason: str) -> None:
    before = _damaged(directory)
    place = directory.with_name(f"{directory.name}{_DAMAGED}{_number(before[-1]) + 1 if before else 1}")
    log.error("the store is damaged; it is put aside", reason=reason, now=str(place))
    make_directory(place)
    (place / _UNFINISHED).write_text(reason)
    for name in ("data.mdb", "lock.mdb"):
        with contextlib.suppress(FileNotFoundError):
            (directory / name).rename(place / name)
    sync_directory(place)
    sync_directory(directory)
    for old in before:
        shutil.rmtree(old, ignore_errors=True)


def _restore(directory: Path, backups: Backups) -> None:
    """The newest backup that is whole becomes the store: moved, because there may be no room for a copy."""
    for backup in backups.newest_first():
        damage = damage_of(backup, deep=True)
        if damage is None:
            made = time.time() - backup.stat().st_mtime
            log.warning("the store is restored from a backup", backup=backup.name, hours_old=round(made / 3600, 2))
            backup.rename(directory / "data.mdb")
            sync_directory(directory)
            (_unfinished(directory) or directory).joinpath("restored").write_text(backup.name)
            return
        log.error("a backup is damaged too", backup=backup.name, reason=damage)
        backup.unlink()
    log.warning("there is no good backup: the store begins anew")


def _save_from(damaged: Path, store: Store) -> dict[str, Any]:
    """Add what can be read of a damaged store, and note what was done."""
    with store.read() as tx:
        saved = Saved(spaces=set(tx.raw.keys("spaces")))
    for how in ("tree", "pages"):
        _read_out(damaged, how, store, saved)
    restored = damaged / "restored"
    done = {
        "at": time.time(),
        "reason": (damaged / _UNFINISHED).read_text(errors="replace"),
        "damaged": str(damaged),
        "backup": restored.read_text() if restored.exists() else None,
        "saved": saved.counts,
    }
    with store.write() as tx:
        saved.finish(tx)
        tx.meta.put(RECOVERED, done)
    (damaged / _UNFINISHED).unlink()
    log.warning("the store is whole again", **done)
    return done | {"generation": saved.generation, "seq": saved.seq}


def _read_out(damaged: Path, how: str, store: Store, saved: Saved) -> None:
    if not (damaged / "data.mdb").exists():
        return
    child = Child("mediad.store.child", limits=Limits(nice=0))
    try:
        child.request({"op": "salvage", "path": str(damaged), "how": how}, deadline=_DEADLINE)
        end = False
        while not end:
            answer, blobs = child.request({"op": "next"}, deadline=_DEADLINE)
            end = answer["end"]
            with store.write() as tx:
                merge(tx, unpack(blobs[0]), saved, current=how == "tree")
    except ChildError as error:  # what was read until then is saved
        log.warning("the damaged store cannot be read to its end", how=how, reason=str(error))
    finally:
        child.stop()


def _unfinished(directory: Path) -> Path | None:
    """A damaged store from which not all was saved yet."""
    return next((path for path in _damaged(directory) if (path / _UNFINISHED).exists()), None)


def _damaged(directory: Path) -> list[Path]:
    found = directory.parent.glob(f"{directory.name}{_DAMAGED}*")
    return sorted((path for path in found if path.name.rpartition("-")[2].isdigit()), key=_number)


def _number(path: Path) -> int:
    return int(path.name.rpartition("-")[2])
