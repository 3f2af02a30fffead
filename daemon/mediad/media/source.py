"""A file under the eyes of a child: opened without harm, hashed whole, proven unchanged, then given to decoders.

Nothing is ever mapped into memory: a drive that goes away must be an error, not a SIGBUS.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from blake3 import blake3

from mediad.media.spec import FileChanged
from mediad.model import CONTENT_ID_BYTES, ContentId, Stat

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_IN_MEMORY = 64 << 20
_CHUNK = 4 << 20
_HOLES_FROM = 1 << 30
_MOST_HOLES = 0.5
_MOST_EXTENTS = 10_000
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_NO_ATIME = getattr(os, "O_NOATIME", 0)


def _stat(status: os.stat_result) -> Stat:
    return Stat(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def _open(path: bytes, follow: bool) -> int:
    flags = _FLAGS if follow else _FLAGS | os.O_NOFOLLOW
    try:
        return os.open(path, flags | _NO_ATIME)  # reading must leave no trace, but only a file's owner may ask that
    except PermissionError:
        return os.open(path, flags)


class Source:
    """One file, hashed. Small ones stay in memory, so that they are read once; of larger ones the descriptor stays.

    Raises:
        OSError: it cannot be opened or read, is no regular file (EISDIR, EINVAL; ELOOP for a symbolic link), or is a
            large one that is mostly holes (ENODATA): a download that has just begun, or a trap of terabytes.
        FileChanged: it is not the same before and after, or the path leads elsewhere by now.
    """

    def __init__(self, path: bytes, follow: bool = False) -> None:
        self.path = path
        self.error: OSError | None = None
        self._data: bytes | None = None
        self._fd = _open(path, follow)
        try:
            status = os.fstat(self._fd)
            if not stat.S_ISREG(status.st_mode):
                code = errno.EISDIR if stat.S_ISDIR(status.st_mode) else errno.EINVAL
                raise OSError(code, "not a regular file")
            self.stat = _stat(status)
            if status.st_size >= _HOLES_FROM:
                self._refuse_holes()
            self.content_id = self._hash()
            self.verify()
            now = os.stat(path, follow_symlinks=follow)  # noqa: PTH116 - a path is bytes here
            if _stat(now) != self.stat:
                raise FileChanged("another file took its place while it was read")
        except BaseException:
            self.close()
            raise
        if self.stat.size <= _IN_MEMORY:
            self._close_fd()

    def _refuse_holes(self) -> None:
        size, here = self.stat.size, self._bytes_on_disk()
        os.lseek(self._fd, 0, os.SEEK_SET)
        if here < size * _MOST_HOLES:
            raise OSError(errno.ENODATA, f"only {here} of its {size} bytes are there yet")

    def _bytes_on_disk(self) -> int:
        """All of them for a file system that knows no holes, and for a file that is in too many pieces to count."""
        here = end = 0
        try:
            for _ in range(_MOST_EXTENTS):
                start = os.lseek(self._fd, end, os.SEEK_DATA)
                end = os.lseek(self._fd, start, os.SEEK_HOLE)
                here += end - start
        except OSError as error:
            return here if error.errno == errno.ENXIO else self.stat.size  # ENXIO: nothing but a hole is left
        return self.stat.size

    def _hash(self) -> ContentId:
        hasher, parts, length = blake3(), [], 0
        keep = self.stat.size <= _IN_MEMORY
        step = self.stat.size + 1 if keep else _CHUNK  # what is kept comes in one piece, of which no copy is made
        while chunk := os.read(self._fd, step):
            hasher.update(chunk)
            length += len(chunk)
            if keep:
                parts.append(chunk)
            if length > self.stat.size:
                break
            if not keep:
                self.verify()  # a file that grows for ever is found out at once, and not at its end
        if length != self.stat.size:
            raise FileChanged("its size changed while it was read")
        self._data = b"".join(parts) if keep else None
        return ContentId(hasher.digest(length=CONTENT_ID_BYTES))

    def verify(self) -> None:
        """Raise FileChanged when the file behind the descriptor is no longer as it was when it was opened."""
        if self._fd >= 0 and _stat(os.fstat(self._fd)) != self.stat:
            raise FileChanged("it changed while it was read")

    @contextlib.contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The hashed bytes as a file; an error of reading is kept in `error`, whatever a decoder makes of it."""
        raw: io.RawIOBase | io.BytesIO = io.BytesIO(self._data) if self._data is not None else _Descriptor(self)
        with raw if isinstance(raw, io.BytesIO) else io.BufferedReader(raw, 1 << 20) as file:
            try:
                yield file
            finally:
                self.verify()

    def pread(self, length: int, offset: int) -> bytes:
        try:
            return os.pread(self._fd, length, offset)
        except OSError as error:
            self.error = error
            raise

    def close(self) -> None:
        self._data = None
        self._close_fd()

    def _close_fd(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class _Descriptor(io.RawIOBase):
    """A large source as a raw stream with a position of its own."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._source.stat.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        data = self._source.pread(len(view), self._position)
        view[: len(data)] = data
        self._position += len(data)
        return len(data)
