"""Bytes in, bytes out: the few operations on a named database that the tables are made of.

Every value carries a checksum of its table, key and bytes. LMDB has none, so that without it a flipped bit on the disk
would be believed; and a value that is found without the tree around it (`salvage`) tells where it belongs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from zlib import crc32

from mediad.store.tables import NAMES

_SEEDS = {name: crc32(name.encode()) for name in NAMES}
_SUM = 4
_WHOLE = 0x2144DF1C  # what CRC-32 makes of any bytes with their own CRC-32, little-endian, behind them


class StoreDamaged(Exception):
    """The store's file cannot be read as it is; the message names what and, where that is known, what to do."""


def seal(table: str, key: bytes, value: bytes) -> bytes:
    """The value as it is stored: with its checksum behind it."""
    return value + crc32(value, crc32(key, _SEEDS[table])).to_bytes(_SUM, "little")


def unseal(table: str, key: bytes, stored: bytes) -> bytes | None:
    """The value; None where the checksum is not that of this table, key and value."""
    return stored[:-_SUM] if crc32(stored, crc32(key, _SEEDS[table])) == _WHOLE else None


class Raw:
    """One LMDB transaction with its named databases. Reading raises StoreDamaged where a checksum is wrong."""

    def __init__(self, txn: Any, databases: Mapping[str, Any]) -> None:
        self._txn = txn
        self._dbs = databases

    def get(self, table: str, key: bytes) -> bytes | None:
        stored: bytes | None = self._txn.get(key, db=self._dbs[table])
        return None if stored is None else _good(table, key, stored)

    def put(self, table: str, key: bytes, value: bytes) -> None:
        self._txn.put(key, seal(table, key, value), db=self._dbs[table])

    def delete(self, table: str, key: bytes) -> bool:
        return bool(self._txn.delete(key, db=self._dbs[table]))

    def count(self, table: str) -> int:
        return int(self._txn.stat(self._dbs[table])["entries"])

    def items(self, table: str, prefix: bytes = b"", after: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Entries whose key starts with `prefix`, in key order; from the first key greater than `after`."""
        cursor = self._txn.cursor(db=self._dbs[table])
        start = prefix if after is None else after + b"\0"
        if not (cursor.set_range(start) if start else cursor.first()):
            return
        for key, stored in cursor.iternext():
            if not key.startswith(prefix):
                return
            yield key, _good(table, key, stored)

    def keys(self, table: str, prefix: bytes = b"") -> Iterator[bytes]:
        cursor = self._txn.cursor(db=self._dbs[table])
        if not (cursor.set_range(prefix) if prefix else cursor.first()):
            return
        for key in cursor.iternext(values=False):
            if not key.startswith(prefix):
                return
            yield key

    def last(self, table: str) -> tuple[bytes, bytes] | None:
        cursor = self._txn.cursor(db=self._dbs[table])
        if not cursor.last():
            return None
        key, stored = cursor.item()
        return key, _good(table, key, stored)

    def drop(self, table: str) -> None:
        """Delete every entry."""
        self._txn.drop(self._dbs[table], delete=False)


def _good(table: str, key: bytes, stored: bytes) -> bytes:
    if crc32(stored, crc32(key, _SEEDS[table])) != _WHOLE:
        raise StoreDamaged(f"the entry {key.hex()} of table {table} is not as it was written")
    return stored[:-_SUM]
