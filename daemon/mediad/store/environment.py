"""Opening, growing and checking the LMDB environment, and the transactions on it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lmdb
import structlog

from mediad.store.migrations import migrate
from mediad.store.tables import NAMES
from mediad.store.transaction import Transaction

log = structlog.get_logger()

_INITIAL_MAP = 256 << 20
_GROW_WHEN_FREE = 0.5  # share of the map in use from which it is doubled when no reader is in the way
_GROW_OR_WAIT = 0.9  # ... and from which we wait until no reader is


class StoreDamaged(Exception):
    """The store's file cannot be read as it is; the message names the file and what to do."""


class StoreBusy(Exception):
    """Another process writes to this store; `holder` is its process id where it is known."""

    def __init__(self, path: Path, holder: int | None) -> None:
        who = f"process {holder}" if holder else "another process"
        super().__init__(f"{path} is in use by {who}: stop it first, or choose another --state-dir")
        self.holder = holder


class Store:
    """One LMDB environment. A writer takes the directory's lock for as long as it is open; readers need none.

    Thread-safe. Every write transaction is durable when its block ends, and gone when the block raises.

    Raises:
        StoreBusy: another process has it open for writing.
        StoreDamaged: the file is truncated, or not a store.
        StoreTooNew: a newer mediad wrote it.
        FileNotFoundError: `readonly` and there is none.
        OSError: it cannot be opened for another reason, such as its permissions.
    """

    def __init__(self, directory: Path, *, readonly: bool = False) -> None:
        self.directory = directory
        self.readonly = readonly
        self._readers = 0
        self._growing = False
        self._here = threading.local()
        self._gate = threading.Condition()
        self._writing = threading.RLock()
        self._full = False
        self._env: Any = None
        self._lock_fd = -1 if readonly else _take_lock(directory)
        try:
            self._env = _open(directory, readonly)
            self._dbs = self._open_databases()
            if not readonly:
                with self.write() as tx:
                    migrate(tx)
        except BaseException:
            self.close()
            raise

    def _open_databases(self) -> dict[str, Any]:
        try:
            return {name: self._env.open_db(name.encode(), create=not self.readonly) for name in NAMES}
        except lmdb.NotFoundError as error:
            raise FileNotFoundError(f"{self.directory} holds no finished store") from error

    @contextlib.contextmanager
    def read(self) -> Iterator[Transaction]:
        """A consistent view; writers go on meanwhile. Keep it short: pages that it sees are not reused."""
        outer = self._reads_here()
        with self._gate:
            if not outer:  # or reads that follow each other without a pause would keep the map from growing for ever
                self._gate.wait_for(lambda: not self._growing)
            self._readers += 1
        self._here.reads = outer + 1
        try:
            with self._begin(write=False) as txn:
                yield Transaction(txn, self._dbs)
        finally:
            self._here.reads = outer
            with self._gate:
                self._readers -= 1
                self._gate.notify_all()

    @contextlib.contextmanager
    def write(self) -> Iterator[Transaction]:
        """All or nothing, durable at the end of the block. One at a time: others wait."""
        with self._writing:
            self._grow()
            try:
                with self._begin(write=True) as txn:
                    yield Transaction(txn, self._dbs)
            except lmdb.MapFullError:
                self._full = True  # it was larger than the room that growing in time leaves: try it again
                raise

    def _reads_here(self) -> int:
        """How many reads this thread is in."""
        return getattr(self._here, "reads", 0)

    def _begin(self, *, write: bool) -> Any:
        try:
            return self._env.begin(write=write)
        except lmdb.MapResizedError:  # the daemon has grown the map that this process reads
            self._env.set_mapsize(0)
            return self._env.begin(write=write)

    def _grow(self) -> None:
        with self._gate:
            fill = self.used_bytes / self._env.info()["map_size"]
            if not self._full and (fill < _GROW_WHEN_FREE or (fill < _GROW_OR_WAIT and self._readers)):
                return
            if self._reads_here():
                return  # a write inside a read cannot wait for the read to end
            self._env.reader_check()  # pages that killed readers saw can be used again
            self._growing = True
            try:
                self._gate.wait_for(lambda: self._readers == 0)
                size = 2 * self._env.info()["map_size"]
                self._env.set_mapsize(size)
                self._full = False
            finally:
                self._growing = False
                self._gate.notify_all()
        log.info("store map grown", megabytes=size >> 20)

    @property
    def revision(self) -> int:
        """Number of the last committed transaction: while it stays the same, so does all that `read` shows."""
        return int(self._env.info()["last_txnid"])

    @property
    def used_bytes(self) -> int:
        """Bytes of the map that hold pages."""
        return int((self._env.info()["last_pgno"] + 1) * self._env.stat()["psize"])

    def close(self) -> None:
        if self._env is not None:
            self._env.close()
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _take_lock(directory: Path) -> int:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    fd = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(fd, 32, 0).strip()
        os.close(fd)
        raise StoreBusy(directory, int(holder) if holder.isdigit() else None) from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def _open(directory: Path, readonly: bool) -> Any:
    data = directory / "data.mdb"
    if readonly and not data.exists():
        raise FileNotFoundError(f"{directory} holds no store: has the daemon run with this state directory?")
    if not data.exists():
        _create(data)
    if data.stat().st_size == 0:
        raise StoreDamaged(f"{data} is empty; restore a backup, or move it away to start anew")
    size = max(_INITIAL_MAP, 2 * data.stat().st_size)
    try:
        env = lmdb.open(
            str(directory),
            map_size=size,
            max_dbs=64,
            max_readers=512,
            mode=0o600,
            readonly=readonly,
            lock=True,
        )
    except (lmdb.InvalidError, lmdb.CorruptedError, lmdb.VersionMismatchError) as error:
        raise StoreDamaged(f"{data}: {error}; restore a backup, or move it away to start anew") from error
    except lmdb.Error as error:
        raise OSError(f"{data} cannot be opened: {error}") from error
    try:
        needed = (env.info()["last_pgno"] + 1) * env.stat()["psize"]
        if data.stat().st_size < needed:
            _check_in_child(directory)  # pages of an aborted tail may lie behind the end, data may not
    except BaseException:
        env.close()
        raise
    return env


def _create(data: Path) -> None:
    """Make the file under another name, so that an empty `data.mdb` is damage and never a creation cut short."""
    new = data.with_name(f"{data.name}.new")
    new.unlink(missing_ok=True)
    lmdb.open(str(new), subdir=False, lock=False, map_size=_INITIAL_MAP, max_dbs=64, mode=0o600).close()
    with new.open("rb") as file:
        os.fsync(file.fileno())
    new.rename(data)


def _check_in_child(directory: Path) -> None:
    """Read every page in another process: a page behind the end of the file is SIGBUS, not an exception."""
    command = [sys.executable, "-P", "-m", "mediad.store.check", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        text = done.stderr.strip().splitlines()[-1:] or [f"status {done.returncode}"]
        raise StoreDamaged(
            f"{directory / 'data.mdb'} is truncated ({text[0]}); restore a backup, or move it away to start anew"
        )
