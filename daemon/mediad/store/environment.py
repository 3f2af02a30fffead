"""Opening, growing and checking the LMDB environment, and the transactions on it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lmdb
import structlog

from mediad.durable import make_directory, sync_directory
from mediad.store.check import LMDB_DAMAGE, damage_of, table_names
from mediad.store.migrations import migrate
from mediad.store.raw import StoreDamaged
from mediad.store.tables import NAMES
from mediad.store.transaction import Transaction

log = structlog.get_logger()

_INITIAL_MAP = 256 << 20
_GROW_WHEN_FREE = 0.5  # share of the map in use from which it is doubled when no reader is in the way
_GROW_OR_WAIT = 0.9  # ... and from which we wait until no reader is
_GROW_PATIENCE = 10.0  # seconds that a growing map waits for readers, and everybody else for it
_CLOSE_PATIENCE = 3.0
_LOCK_BYTES = 36 << 10  # of LMDB's table of readers: a header and 64 bytes for each of `_READERS`
_READERS = 512
_HELP = "`mediad run` puts the newest good backup in its place"


class StoreUnwritable(OSError):
    """A transaction could not be written: no space, a read-only file system, a failing drive. All of it is undone."""


class StoreClosed(RuntimeError):
    """The store was closed while somebody still wanted to use it."""


class StoreBusy(Exception):
    """Another process writes to this store; `holder` is its process id where it is known."""

    def __init__(self, path: Path, holder: int | None) -> None:
        who = f"process {holder}" if holder else "another process"
        super().__init__(f"{path} is in use by {who}: stop it first, or choose another --state-dir")
        self.holder = holder


class Store:
    """One LMDB environment. A writer takes the directory's lock for as long as it is open; readers need none.

    Thread-safe. Every write transaction is durable when its block ends, and gone when the block raises. `damage` says
    what of it could not be read, once that has happened; `unwritable` why the last write failed, while that is so.

    Raises:
        StoreBusy: another process has it open for writing.
        StoreDamaged: the file is truncated, or not a store.
        StoreTooNew: a newer mediad wrote it.
        FileNotFoundError: `readonly` and there is none.
        OSError: it cannot be opened for another reason, such as its permissions.
    """

    def __init__(self, directory: Path, *, readonly: bool = False) -> None:
        self.directory = directory
        self.file = directory / "data.mdb"
        self.readonly = readonly
        self._readers = 0
        self._growing = False
        self._reads: Counter[int] = Counter()  # by thread
        self._blocked = 0
        self._closed = False
        self._gate = threading.Condition()
        self._writing = threading.RLock()
        self._full = False
        self.damage: str | None = None
        self.unwritable: str | None = None
        self._env: Any = None
        self._lock_fd = -1 if readonly else _take_lock(directory)
        try:
            self._env = _open(directory, readonly)
            self._dbs = self._open_databases()
            if not readonly:
                with self.write() as tx:
                    migrate(tx)
                self._refuse_unknown_tables()
        except BaseException:
            self.close()
            raise

    def _open_databases(self) -> dict[str, Any]:
        try:
            present = table_names(self._env)
            if present and not self.readonly and "meta" not in present:
                raise StoreDamaged(f"{self.file} holds no table with its version; {_HELP}")
            return {name: self._env.open_db(name.encode(), create=not self.readonly) for name in NAMES}
        except lmdb.NotFoundError as error:
            raise FileNotFoundError(f"{self.directory} holds no finished store") from error
        except LMDB_DAMAGE as error:
            raise StoreDamaged(f"{self.file}: {error}; {_HELP}") from error

    def _refuse_unknown_tables(self) -> None:
        """A table whose name was altered on the disk would be made anew, and be empty."""
        unknown = table_names(self._env) - set(NAMES)
        if unknown:
            raise StoreDamaged(f"{self.file} holds tables that nobody made: {sorted(unknown)}; {_HELP}")

    @contextlib.contextmanager
    def read(self) -> Iterator[Transaction]:
        """A consistent view; writers go on meanwhile. Keep it short: pages that it sees are not reused."""
        thread = threading.get_ident()  # a generator may begin in one thread and end in another
        with self._gate:
            if not self._reads[thread]:  # or reads without a pause between them would keep the map from growing
                self._gate.wait_for(lambda: not self._growing)
                self._check_open()
            self._readers += 1
            self._reads[thread] += 1
        try:
            with self._noting_damage(), self._begin(write=False) as txn:
                yield Transaction(txn, self._dbs)
        finally:
            with self._gate:
                self._readers -= 1
                self._reads[thread] -= 1
                if not self._reads[thread]:
                    del self._reads[thread]
                self._gate.notify_all()

    @contextlib.contextmanager
    def write(self) -> Iterator[Transaction]:
        """All or nothing, durable at the end of the block. One at a time: others wait.

        Raises:
            StoreUnwritable: it could not be written down; it may be tried again.
        """
        with self._in_turn(), self._noting_damage():
            self._check_open()
            self._grow()
            try:
                with self._begin(write=True) as txn:
                    yield Transaction(txn, self._dbs)
            except lmdb.MapFullError:
                self._full = True  # it was larger than the room that growing in time leaves: try it again
                raise
            except lmdb.Error as error:
                number = getattr(error, "code", 0)
                if number <= 0:  # LMDB's own errors are below, the system's above
                    raise
                self.unwritable = os.strerror(number)
                raise StoreUnwritable(number, self.unwritable, str(self.file)) from error
            self.unwritable = None

    @contextlib.contextmanager
    def _noting_damage(self) -> Iterator[None]:
        try:
            yield
        except StoreDamaged as error:
            self.damage = self.damage or str(error)
            raise
        except LMDB_DAMAGE as error:
            self.damage = self.damage or str(error)
            raise StoreDamaged(f"{self.file}: {error}") from error

    @contextlib.contextmanager
    def _in_turn(self) -> Iterator[None]:
        """One writer at a time. Who waits in the middle of a read says so, lest a growing map wait for that read."""
        inside = self._reads_here()
        with self._gate:
            self._blocked += inside
            self._gate.notify_all()
        self._writing.acquire()
        with self._gate:
            self._blocked -= inside
        try:
            yield
        finally:
            self._writing.release()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed(f"{self.directory} was closed: mediad is stopping")

    def _reads_here(self) -> bool:
        """Whether this thread is in a read."""
        with self._gate:
            return threading.get_ident() in self._reads

    def _begin(self, *, write: bool) -> Any:
        try:
            return self._env.begin(write=write)
        except lmdb.ReadersFullError:  # by processes that were killed in the middle of a read
            self._env.reader_check()
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
                free = self._gate.wait_for(lambda: not self._readers or self._blocked, _GROW_PATIENCE)
                if not free or self._readers:
                    return  # somebody reads for long: there is room left, or the transaction will have to be repeated
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
        """Wait for what is under way, then close; later reads and writes raise StoreClosed."""
        with self._gate:
            self._closed = True
            quiet = self._gate.wait_for(lambda: not self._readers, _CLOSE_PATIENCE)
        # A thread that hangs on a dead drive in the middle of a transaction must not find its pages unmapped.
        if quiet and self._writing.acquire(timeout=_CLOSE_PATIENCE):
            if self._env is not None:
                self._env.close()
                self._env = None
            self._writing.release()
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold a store's directory as a writer does, without opening the store. Raises StoreBusy."""
    fd = _take_lock(directory)
    try:
        yield
    finally:
        os.close(fd)


def _take_lock(directory: Path) -> int:
    make_directory(directory)
    fd = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(fd, 32, 0).strip()
        os.close(fd)
        raise StoreBusy(directory, int(holder) if holder.isdigit() else None) from None
    with contextlib.suppress(OSError):  # a full disk: the lock holds all the same
        os.ftruncate(fd, os.pwrite(fd, f"{os.getpid()}\n".encode(), 0))
    return fd


def _open(directory: Path, readonly: bool) -> Any:
    data = directory / "data.mdb"
    if readonly and not data.exists():
        raise FileNotFoundError(f"{directory} holds no store: has the daemon run with this state directory?")
    if not data.exists():
        _create(data)
    if not readonly:
        sync_directory(directory)  # what is acknowledged later must not be lost with the file's name
    if data.stat().st_size == 0:
        raise StoreDamaged(f"{data} is empty; {_HELP}")
    size = max(_INITIAL_MAP, 2 * data.stat().st_size)
    if not readonly:
        _reserve(directory / "lock.mdb")
    try:
        env = lmdb.open(
            str(directory),
            map_size=size,
            max_dbs=64,
            max_readers=_READERS,
            mode=0o600,
            readonly=readonly,
            lock=True,
        )
    except LMDB_DAMAGE as error:
        raise StoreDamaged(f"{data}: {error}; {_HELP}") from error
    except lmdb.Error as error:
        raise OSError(f"{data} cannot be opened: {error}") from error
    try:
        needed = (env.info()["last_pgno"] + 1) * env.stat()["psize"]
        if data.stat().st_size < needed:  # pages of an aborted tail may lie behind the end, data may not
            damage = damage_of(directory, deep=False)
            if damage is not None:
                raise StoreDamaged(f"{data} is truncated ({damage}); {_HELP}")
    except BaseException:
        env.close()
        raise
    return env


def _reserve(path: Path) -> None:
    """Give LMDB's table of readers its blocks: it writes there through a map, where a full disk is SIGBUS."""
    if not hasattr(os, "posix_fallocate"):
        return  # macOS
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(fd, 0, os.fstat(fd).st_size or _LOCK_BYTES)
    finally:
        os.close(fd)


def _create(data: Path) -> None:
    """Make the file under another name, so that an empty `data.mdb` is damage and never a creation cut short."""
    new = data.with_name(f"{data.name}.new")
    new.unlink(missing_ok=True)
    lmdb.open(str(new), subdir=False, lock=False, map_size=_INITIAL_MAP, max_dbs=64, mode=0o600).close()
    with new.open("rb") as file:
        os.fsync(file.fileno())
    new.rename(data)
