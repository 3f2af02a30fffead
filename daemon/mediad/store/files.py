"""Files and directories: what is on the volumes, by place.

Files stand under (volume, directory, name) in name order, so that a scan of a directory is one merge of two sorted
lists. Directories have numbers, because a path may be longer than LMDB's largest key.
"""

from __future__ import annotations

import struct
from collections.abc import Container, Iterable, Iterator
from itertools import islice

from mediad.model import ContentId, File, Stat, VolumeId, short_id
from mediad.store.raw import Raw

_PACKED = struct.Struct(">8sQqIqIQ16sdd")  # times as seconds and nanoseconds: 64 bits of nanoseconds end in 2262
_SECOND = 10**9
_NO_CONTENT = bytes(16)
_DIRECTORY_COUNTER = b"counter:directories"
HEAD = 12  # bytes of volume and directory in front of the name
_TRIES, _MANY = 8, 2048
_NOT_MISSING = bytes(8)
LONGEST_NAME = 511 - 16 - HEAD
"""Bytes of the longest name that fits into a key (LMDB's longest is 511) behind a content id, as `aliases` has them."""


class Files:
    """Every file that was seen and not forgotten, present or missing."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw

    # -- directories

    def directory_key(self, volume: VolumeId, relpath: bytes, *, create: bool = False) -> bytes | None:
        """The 12 bytes in front of all file keys of a directory; None where it is not known."""
        key = bytes.fromhex(volume) + bytes(8)
        if self._raw.get("directories", key) is None:
            if not create:
                return None
            self._raw.put("directories", key, b"")
        done: list[bytes] = []
        for name in relpath.split(b"/") if relpath else ():
            done.append(name)
            number = self._raw.get("children", key + name)
            if number is None:
                if not create:
                    return None
                number = self._new_directory(key, name, b"/".join(done))
            key = key[:4] + number
        return key

    def _new_directory(self, parent: bytes, name: bytes, relpath: bytes) -> bytes:
        number = int.from_bytes(self._raw.get("meta", _DIRECTORY_COUNTER) or b"", "big") + 1
        packed = number.to_bytes(8, "big")
        self._raw.put("meta", _DIRECTORY_COUNTER, packed)
        self._raw.put("children", parent + name, packed)
        self._raw.put("directories", parent[:4] + packed, relpath)
        return packed

    def subdirectories(self, volume: VolumeId, relpath: bytes) -> list[bytes]:
        """Names of the known directories directly below `relpath`."""
        key = self.directory_key(volume, relpath)
        return [] if key is None else [child[HEAD:] for child in self._raw.keys("children", key)]

    def directories(self, volume: VolumeId) -> Iterator[bytes]:
        """All known directories of a volume (paths below its root), in the order in which they were found."""
        return (relpath for _, relpath in self._raw.items("directories", bytes.fromhex(volume)))

    def empty_directories(self, volume: VolumeId) -> list[bytes]:
        """Known directories (paths below the root) that hold nothing that is known."""
        return [
            relpath
            for key, relpath in self._raw.items("directories", bytes.fromhex(volume))
            if relpath and not any(True for table in ("files", "children") for _ in self._raw.keys(table, key))
        ]

    def drop_directory(self, volume: VolumeId, relpath: bytes) -> None:
        """Forget a directory with nothing in it; one with files, directories or sequences in it is kept."""
        key = self.directory_key(volume, relpath)
        if key is None or not relpath:
            return
        if any(True for table in ("files", "children", "sequences") for _ in self._raw.keys(table, key)):
            return
        parent, _, name = relpath.rpartition(b"/")
        self._raw.delete("children", (self.directory_key(volume, parent) or b"") + name)
        self._raw.delete("directories", key)

    # -- files

    def key(self, volume: VolumeId, relpath: bytes, *, create: bool = False) -> bytes | None:
        directory, _, name = relpath.rpartition(b"/")
        head = self.directory_key(volume, directory, create=create)
        return None if head is None else head + name

    def at(self, key: bytes) -> File | None:
        """The file under a key of the `files` table."""
        value = self._raw.get("files", key)
        return None if value is None else self._unpack(key, value, self._directory_of(key))

    def get(self, volume: VolumeId, relpath: bytes) -> File | None:
        key = self.key(volume, relpath)
        return None if key is None else self.at(key)

    def by_id(self, file_id: str) -> File | None:
        key = self._raw.get("file_ids", bytes.fromhex(file_id))
        return None if key is None else self.at(key)

    def put(self, file: File) -> None:
        """Write a file's record; the index by content and the catalog's list of what to render again follow."""
        key = self.key(file.volume, file.relpath, create=True)
        assert key is not None
        before = self._raw.get("files", key)
        if before is not None:
            self._unlink(key, before)
        stat = file.stat
        packed = _PACKED.pack(
            bytes.fromhex(file.id), stat.size, *divmod(stat.mtime_ns, _SECOND), *divmod(stat.ctime_ns, _SECOND),
            stat.inode, file.content_id or _NO_CONTENT, file.first_seen, file.missing_since,
        )  # fmt: skip
        self._raw.put("files", key, packed)
        self._raw.put("file_ids", bytes.fromhex(file.id), key)
        self._raw.put("dirty", key, b"")
        if file.content_id is not None:
            self._raw.put("aliases", file.content_id + key, b"")
            self._raw.delete("orphans", file.content_id)

    def delete(self, file: File, now: float) -> None:
        """Forget a file. Its asset stays, as an orphan since `now` where this was its last file."""
        key = self.key(file.volume, file.relpath)
        value = None if key is None else self._raw.get("files", key)
        if key is None or value is None:
            return
        self._unlink(key, value)
        self._raw.delete("files", key)
        for table in ("work", "failing", "suspects"):
            self._raw.delete(table, key)
        self._raw.put("dirty", key, b"")
        if file.content_id is not None:
            self.mark_orphan(file.content_id, now)

    def mark_orphan(self, content_id: ContentId, now: float) -> None:
        """Note since when no file has this content, if that is so."""
        if not any(True for _ in self._raw.keys("aliases", content_id)):
            self._raw.put("orphans", content_id, struct.pack(">d", now))

    def _unlink(self, key: bytes, value: bytes) -> None:
        file_id, *_, content, _, _ = _PACKED.unpack(value)
        if self._raw.get("file_ids", file_id) == key:  # a moved file's id already leads to its new place
            self._raw.delete("file_ids", file_id)
        if content != _NO_CONTENT:
            self._raw.delete("aliases", content + key)

    def in_directory(self, volume: VolumeId, relpath: bytes) -> Iterator[File]:
        """Files directly in a directory, by name, missing ones included."""
        key = self.directory_key(volume, relpath)
        for entry, value in self._raw.items("files", key) if key is not None else ():
            yield self._unpack(entry, value, relpath)

    def of(self, content_id: ContentId) -> Iterator[File]:
        """Files with this content, missing ones included."""
        for alias in self._raw.keys("aliases", content_id):
            file = self.at(alias[16:])
            if file is not None:
                yield file

    def of_volume(self, volume: VolumeId) -> Iterator[File]:
        """Every file of a volume, by directory and name, missing ones included."""
        head, relpath = b"", b""
        for key, value in self._raw.items("files", bytes.fromhex(volume)):
            if key[:HEAD] != head:
                head, relpath = key[:HEAD], self._directory_of(key)
            yield self._unpack(key, value, relpath)

    def sample(self, volume: VolumeId, count: int) -> list[File]:
        """Present files, spread over the directories of a volume: at most `count`, at least one where there is any."""
        head = bytes.fromhex(volume)
        last = int.from_bytes(self._raw.get("meta", _DIRECTORY_COUNTER) or b"", "big")
        found: dict[bytes, File] = {}
        for step in range(count):
            start = (step * (last + 1) // count).to_bytes(8, "big")
            entries = islice(self._raw.items("files", head, after=head + start), _TRIES)
            found |= islice(self._present(entries, found), 1)
        entries = islice(self._raw.items("files", head), _MANY if found else None)
        found |= islice(self._present(entries, found), count - len(found))
        return list(found.values())

    def _present(self, entries: Iterable[tuple[bytes, bytes]], known: Container[bytes]) -> Iterator[tuple[bytes, File]]:
        for key, value in entries:
            if value.endswith(_NOT_MISSING) and key not in known:
                yield key, self._unpack(key, value, self._directory_of(key))

    def all_missing(self) -> Iterator[File]:
        """Those that are missing: few among many, so the others are not unpacked."""
        for key, value in self._raw.items("files"):
            if not value.endswith(_NOT_MISSING):
                yield self._unpack(key, value, self._directory_of(key))

    def __iter__(self) -> Iterator[File]:
        head, relpath = b"", b""
        for key, value in self._raw.items("files"):
            if key[:HEAD] != head:
                head, relpath = key[:HEAD], self._directory_of(key)
            yield self._unpack(key, value, relpath)

    def new_id(self, volume: VolumeId, relpath: bytes) -> str:
        """An id for a file first seen at this place: the same after a rebuild, and never one in use."""
        salt = 0
        while True:
            file_id = short_id(volume, relpath, str(salt))
            if self._raw.get("file_ids", bytes.fromhex(file_id)) is None:
                return file_id
            salt += 1

    def _directory_of(self, key: bytes) -> bytes:
        return self._raw.get("directories", key[:HEAD]) or b""

    def _unpack(self, key: bytes, value: bytes, directory: bytes) -> File:
        file_id, size, mtime, mtime_ns, ctime, ctime_ns, inode, content, first_seen, missing = _PACKED.unpack(value)
        return File(
            id=file_id.hex(),
            volume=VolumeId(key[:4].hex()),
            relpath=directory + b"/" + key[HEAD:] if directory else key[HEAD:],
            stat=Stat(size, mtime * _SECOND + mtime_ns, ctime * _SECOND + ctime_ns, inode),
            content_id=None if content == _NO_CONTENT else ContentId(content),
            first_seen=first_seen,
            missing_since=missing,
        )
