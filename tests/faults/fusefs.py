"""A small file system of the tests' own (FUSE, spoken by hand), whose files fail, hang and are as large as wanted.

Injected errors come from the kernel like those of a real drive, in the daemon and in its children alike.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_IN = struct.Struct("<IIQQIIIHH")
_ATTR = struct.Struct("<QQQQQQIIIIIIIIII")
_LOOKUP, _FORGET, _GETATTR, _OPEN, _READ, _STATFS, _RELEASE, _FLUSH, _INIT = 1, 2, 3, 14, 15, 17, 18, 25, 26
_OPENDIR, _READDIR, _RELEASEDIR, _INTERRUPT, _BATCH_FORGET = 27, 28, 29, 36, 42
_NAMES = {
    _LOOKUP: "lookup",
    _GETATTR: "getattr",
    _OPEN: "open",
    _READ: "read",
    _OPENDIR: "opendir",
    _READDIR: "readdir",
}
_UNANSWERED = {_FORGET, _INTERRUPT, _BATCH_FORGET}
_DIRECT_IO = 1
_DETACH = 2


@dataclass
class Node:
    """A file (`data`, or `size` bytes of zeros) or a directory (`children`).

    `fails` are errnos by operation ("lookup", "getattr", "open", "read", "opendir", "readdir"); what is in `hangs` is
    never answered; what is `unlisted` is missing from the listing of its directory.
    """

    data: bytes = b""
    size: int | None = None
    children: dict[bytes, Node] | None = None
    fails: dict[str, int] = field(default_factory=dict)
    hangs: set[str] = field(default_factory=set)
    unlisted: bool = False
    modified: float = field(default_factory=lambda: time.time() - 3600)
    number: int = 0

    @property
    def length(self) -> int:
        return len(self.data) if self.size is None else self.size


class FuseFs:
    """The served tree; change `root` and its nodes at will. `asked` counts requests by operation and node."""

    def __init__(self, point: Path) -> None:
        self.root = Node(children={})
        self.asked: dict[tuple[str, int], int] = {}
        self._nodes: dict[int, Node] = {1: self.root}
        self._fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self._fd},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"faults", os.fsencode(point), b"fuse.faults", 6, options):
            number = ctypes.get_errno()
            os.close(self._fd)
            raise OSError(number, os.strerror(number))
        self._point, self._libc = point, libc
        threading.Thread(target=self._serve, name="fuse", daemon=True).start()

    def unmount(self) -> None:
        """Gone at once; whoever hangs in it gets an error."""
        self._libc.umount2(os.fsencode(self._point), _DETACH)
        os.close(self._fd)

    def _serve(self) -> None:
        while True:
            try:
                request = os.read(self._fd, 1 << 18)
            except OSError as error:
                if error.errno in (errno.EINTR, errno.ENOENT, errno.EAGAIN):
                    continue
                return  # unmounted
            length, operation, unique, number, *_ = _IN.unpack_from(request)
            if operation not in _UNANSWERED:
                self._answer(operation, unique, number, request[_IN.size : length])

    def _answer(self, operation: int, unique: int, number: int, body: bytes) -> None:
        node = self._nodes.get(number)
        name = _NAMES.get(operation, "")
        try:
            target = self._child(node, body.rstrip(b"\0")) if operation == _LOOKUP and node is not None else node
            code, data = 0, self._do(operation, name, target, body)
        except OSError as error:
            code, data = -(error.errno or errno.EIO), b""
        if data is not None:
            try:
                os.write(self._fd, struct.pack("<IiQ", 16 + len(data), code, unique) + data)
            except OSError:
                return  # whoever asked is gone

    def _child(self, node: Node, name: bytes) -> Node:
        child = (node.children or {}).get(name)
        if child is None:
            raise OSError(errno.ENOENT, "")
        if not child.number:
            child.number = max(self._nodes) + 1
            self._nodes[child.number] = child
        return child

    def _do(self, operation: int, name: str, node: Node | None, body: bytes) -> bytes | None:
        if operation == _INIT:
            return struct.pack("<IIIIHHIIHHI28x", 7, 31, 1 << 17, 0, 16, 12, 1 << 17, 1, 32, 0, 0)
        if node is None:
            raise OSError(errno.ESTALE, "")
        self.asked[name, node.number] = self.asked.get((name, node.number), 0) + 1
        if name in node.fails:
            raise OSError(node.fails[name], "")
        if name in node.hangs:
            return None
        return self._answers(operation, node, body)

    def _answers(self, operation: int, node: Node, body: bytes) -> bytes:
        if operation == _LOOKUP:
            return struct.pack("<QQQQII", node.number, 0, 0, 0, 0, 0) + _attributes(node)
        if operation == _GETATTR:
            return struct.pack("<QII", 0, 0, 0) + _attributes(node)
        if operation in (_OPEN, _OPENDIR):
            return struct.pack("<QIi", 0, _DIRECT_IO, 0)
        if operation == _READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            return _content(node, offset, size)
        if operation == _READDIR:
            _, offset, size = struct.unpack_from("<QQI", body)
            return self._listing(node, offset, size)
        if operation == _STATFS:
            return struct.pack("<QQQQQIIII24x", 1 << 30, 1 << 29, 1 << 29, 1 << 20, 1 << 19, 4096, 1024, 4096, 0)
        if operation in (_RELEASE, _RELEASEDIR, _FLUSH):
            return b""
        raise OSError(errno.ENOSYS, "")

    def _listing(self, node: Node, offset: int, size: int) -> bytes:
        entries = b""
        for index, name in enumerate(list(node.children or {})[offset:], offset + 1):
            child = self._child(node, name)
            if child.unlisted:
                continue
            kind = stat.S_IFMT(_mode(child)) >> 12
            entry = struct.pack("<QQII", child.number, index, len(name), kind) + name
            entry += bytes(-len(entry) % 8)
            if len(entries) + len(entry) > size:
                break
            entries += entry
        return entries


def _mode(node: Node) -> int:
    return stat.S_IFREG | 0o444 if node.children is None else stat.S_IFDIR | 0o555


def _attributes(node: Node) -> bytes:
    seconds, part = divmod(int(node.modified * 10**9), 10**9)
    times = (seconds, seconds, seconds, part, part, part)
    blocks = -(-node.length // 512)
    return _ATTR.pack(node.number, node.length, blocks, *times, _mode(node), 1, 0, 0, 0, 4096, 0)


def _content(node: Node, offset: int, size: int) -> bytes:
    if node.size is None:
        return node.data[offset : offset + size]
    return bytes(max(0, min(size, node.size - offset)))


@contextmanager
def fuse(point: Path) -> Iterator[FuseFs]:
    """A mounted file system; the test is skipped where none can be mounted."""
    point.mkdir()
    try:
        served = FuseFs(point)
    except OSError as error:
        pytest.skip(f"needs to mount a FUSE file system: {error}")
    try:
        yield served
    finally:
        served.unmount()


Fuse = Callable[[str], FuseFs]
