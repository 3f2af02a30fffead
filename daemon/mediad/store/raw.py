"""Bytes in, bytes out: the few operations on a named database that the tables are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class Raw:
    """One LMDB transaction with its named databases."""

    def __init__(self, txn: Any, databases: Mapping[str, Any]) -> None:
        self._txn = txn
        self._dbs = databases

    def get(self, table: str, key: bytes) -> bytes | None:
        value: bytes | None = self._txn.get(key, db=self._dbs[table])
        return value

    def put(self, table: str, key: bytes, value: bytes) -> None:
        self._txn.put(key, value, db=self._dbs[table])

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
        for key, value in cursor.iternext():
            if not key.startswith(prefix):
                return
            yield key, value

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
        return cursor.item() if cursor.last() else None

    def drop(self, table: str) -> None:
        """Delete every entry."""
        self._txn.drop(self._dbs[table], delete=False)
