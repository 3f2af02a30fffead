"""Whether a store can be read to its last value. In a process that may die of what it meets: see `child`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lmdb

from mediad.channel import Child, ChildError, Limits
from mediad.store.raw import Raw, StoreDamaged
from mediad.store.tables import NAMES, VERSION

LMDB_DAMAGE = (
    lmdb.CorruptedError,
    lmdb.PageNotFoundError,
    lmdb.InvalidError,
    lmdb.IncompatibleError,
    lmdb.VersionMismatchError,
    lmdb.PanicError,
)
"""What tells that a file is not as it was written, and not that it could not be read or written just now."""

DAMAGE = (StoreDamaged, lmdb.NotFoundError, *LMDB_DAMAGE)
_FATAL = ("SIGBUS", "SIGSEGV", "SIGABRT", "SIGFPE", "SIGILL")
_DEADLINE = 3600.0


def damage_of(path: Path, *, deep: bool) -> str | None:
    """What is wrong with a store (its directory, or a file of one) that nobody writes to; None where it is whole.

    All pages are walked; `deep` also reads every value, and looks whether it is the one that was written.

    Raises:
        OSError: it could not be told.
    """
    child = Child("mediad.store.child", limits=Limits(nice=0))
    try:
        answer, _ = child.request({"op": "check", "path": str(path), "deep": deep}, deadline=_DEADLINE)
    except ChildError as error:
        if died_of_it(error):
            return f"reading it all failed: {error}"
        raise OSError(f"{path} could not be checked: {error}") from error
    finally:
        child.stop()
    damage: str | None = answer["damage"]
    return damage


def died_of_it(error: ChildError) -> bool:
    """Whether a child died of what it read, and not because somebody killed it."""
    return error.reason == "crashed" and any(name in str(error) for name in _FATAL)


def open_for_reading(path: Path) -> Any:
    """The LMDB environment of a store, or of a file of one, that nobody writes to now."""
    return lmdb.open(str(path), subdir=path.is_dir(), readonly=True, lock=False, max_dbs=64)


def walk(env: Any) -> None:
    """Follow every tree to its last page, that of the free pages too."""
    with Path("/dev/null").open("wb") as nothing:
        env.copyfd(nothing.fileno(), compact=True)


def examine(env: Any) -> None:
    """Read every entry of every table.

    Raises:
        StoreDamaged, lmdb.Error: one is not as it was written, or not in its place.
    """
    present = table_names(env)
    databases = {name: env.open_db(name.encode(), create=False) for name in NAMES if name in present}
    with env.begin() as txn:
        raw = Raw(txn, databases)
        version = raw.get("meta", b"schema_version") if "meta" in databases else None
        if version is None:
            raise StoreDamaged("it holds no version: it was never finished")
        if int(version) > VERSION:
            return  # who opens it says that it is too new
        if present - databases.keys():
            raise StoreDamaged(f"it holds tables that nobody made: {sorted(present - databases.keys())}")
        for name in databases:  # one that is not there is new in this version
            _examine_table(raw, name)


def table_names(env: Any) -> set[str]:
    """Names of all tables that there are."""
    with env.begin() as txn:
        return {name.decode(errors="backslashreplace") for name in txn.cursor().iternext(values=False)}


def _examine_table(raw: Raw, name: str) -> None:
    before, count = b"", 0
    for key, _ in raw.items(name):
        if key <= before:
            raise StoreDamaged(f"the keys of table {name} are out of order")
        before, count = key, count + 1
    if count != raw.count(name):
        raise StoreDamaged(f"table {name} has {count} entries instead of {raw.count(name)}")
