"""What can still be read of a damaged store: along its trees as far as they go, then page by page without them.

Every value carries a checksum of its table, key and bytes (`raw`), so an entry that is found anywhere in the file, in a
page that nothing leads to any more, is known for what it is. Such pages also hold old versions of entries; of tables
whose entries tell of a content, which does not change, that makes no difference.

The layout of pages is LMDB's (`mdb.c`, "Page header", "Header for a single key/data pair"), data version 1, on 64 bits
and little-endian.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import lmdb

from mediad.store.check import open_for_reading
from mediad.store.raw import unseal
from mediad.store.tables import NAMES

Entry = tuple[str, bytes, bytes]
"""Table, key, value."""

TREE = ("meta", "spaces", "names", "clusters", "members", "centroids", "assets", "vectors", "attempts")
PAGES = ("assets", "vectors", "attempts", "spaces", "names")

_FRAME = struct.Struct("<BHI")
_HEADER = struct.Struct("<QHHHH")  # page number, padding, flags, end of the pointers, start of the nodes
_NODE = struct.Struct("<HHHH")  # size of the value (low, high), flags, size of the key
_PAGE_SIZES = (4096, 16384, 65536)
_LEAF, _OVERFLOW = 0x02, 0x04
_ELSEWHERE = 0x01  # the value stands in pages of its own
_MAX_KEY = 511


def pack(entries: Iterable[Entry]) -> bytes:
    """Entries as bytes, for the way between processes."""
    return b"".join(
        _FRAME.pack(NAMES.index(table), len(key), len(value)) + key + value for table, key, value in entries
    )


def unpack(data: bytes | bytearray) -> Iterator[Entry]:
    """Back from `pack`."""
    at = 0
    while at < len(data):
        table, key_size, size = _FRAME.unpack_from(data, at)
        at += _FRAME.size
        yield NAMES[table], bytes(data[at : at + key_size]), bytes(data[at + key_size : at + key_size + size])
        at += key_size + size


def tree(path: Path) -> Iterator[Entry]:
    """Entries of TREE as they stand now. The process may die of it: read `pages` too."""
    with open_for_reading(path) as env, env.begin() as txn:
        for name in TREE:
            try:
                cursor = txn.cursor(db=env.open_db(name.encode(), txn, create=False))
                for key, stored in cursor:
                    value = unseal(name, key, stored)
                    if value is not None:
                        yield name, key, value
            except lmdb.Error:
                continue  # the rest of this table is lost to the tree


def pages(path: Path) -> Iterator[Entry]:
    """Entries of PAGES in any leaf page of the file, in any order, in all versions that are left."""
    with (path / "data.mdb").open("rb") as file:
        size = len(file.read(1)) and (path / "data.mdb").stat().st_size
        if not size:
            return
        with mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as data:
            page_size = _page_size(data)
            for start in range(0, size - page_size + 1, page_size):
                yield from _leaf(data, start, page_size)


def _page_size(data: mmap.mmap) -> int:
    """As most pages say by their numbers."""
    return max(_PAGE_SIZES, key=lambda size: sum(_is_page(data, start, size) for start in range(0, len(data), size)))


def _is_page(data: mmap.mmap, start: int, size: int) -> bool:
    return start + 16 <= len(data) and _HEADER.unpack_from(data, start)[0] == start // size > 0


def _leaf(data: mmap.mmap, start: int, size: int) -> Iterator[Entry]:
    _, _, flags, lower, _ = _HEADER.unpack_from(data, start)
    if flags & (_LEAF | _OVERFLOW) != _LEAF or not 16 <= lower <= size:
        return
    for number in range((lower - 16) // 2):
        (offset,) = struct.unpack_from("<H", data, start + 16 + 2 * number)
        if 16 <= offset <= size - _NODE.size:
            yield from _node(data, start, offset, size)


def _node(data: mmap.mmap, start: int, offset: int, size: int) -> Iterator[Entry]:
    low, high, flags, key_size = _NODE.unpack_from(data, start + offset)
    length = low | high << 16
    key_start = start + offset + _NODE.size
    at = key_start + key_size
    if not 0 < key_size <= _MAX_KEY or at > start + size:
        return
    key = data[key_start:at]
    if flags & _ELSEWHERE and at + 8 <= len(data):
        (page,) = struct.unpack_from("<Q", data, at)
        at = page * size + 16
    stored = data[at : at + length] if at + length <= len(data) else b""
    for table in PAGES:
        value = unseal(table, key, stored)
        if value is not None:
            yield table, key, value
            return
