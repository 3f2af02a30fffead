"""changes.ndjson: the change feed as a file, a line for each change, appended to and rotated."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import chain, islice
from pathlib import Path
from typing import Any

import orjson
import structlog

from mediad.catalog.text import iso
from mediad.durable import sync_directory
from mediad.model import Change

log = structlog.get_logger()

FEED_NAME = "changes.ndjson"
_TAIL = 64 << 10
_BATCH = 10_000  # lines in memory at a time


class Feed:
    """The feed in one catalog directory. The store's journal is the truth; this file follows it.

    A line is there once and whole, whatever was killed when: what a killed writer left half a line of is cut off, and
    the number in the last whole line says where to go on. When the file is larger than `max_bytes` it becomes
    `changes.ndjson.1` (replacing the one before) and a new one begins.
    """

    def __init__(self, directory: Path, max_bytes: int = 16 << 20) -> None:
        self._path = directory / FEED_NAME
        self._rotated = directory / f"{FEED_NAME}.1"
        self._max_bytes = max_bytes

    def append(self, changes: Iterable[Change], generation: int) -> int:
        """Write changes behind the last one, durably; how many there were.

        `changes` are in order and begin behind what `repair` gave; `generation` is that of the catalog that shows them.
        """
        lines = (_line(change, generation) for change in changes)
        count = 0
        while batch := list(islice(lines, _BATCH)):
            self._rotate_if_large()
            self._write(b"".join(batch))
            count += len(batch)
        return count

    def _write(self, data: bytes) -> None:
        created = not self._path.exists()
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(fd, "wb", buffering=0) as file:  # noqa: PTH123 - of a descriptor
            view = memoryview(data)
            while view.nbytes:
                view = view[file.write(view) or 0 :]
            os.fsync(fd)
        if created:
            sync_directory(self._path.parent)

    def _rotate_if_large(self) -> None:
        if self._path.exists() and self._path.stat().st_size >= self._max_bytes:
            self._path.replace(self._rotated)

    def exists(self) -> bool:
        return self._path.exists()

    def repair(self, newest: int) -> int:
        """Make the file one that can be appended to; the number of the last change that it holds (0: none).

        Half a line at the end is cut off. A file that holds something else, or changes behind `newest`, the last one
        of the store's journal (the store was made anew, or an older one put back), is of no use: the feed begins again.
        """
        last = self._last_whole()
        if last is not None and last <= newest:
            return last
        log.warning("change feed begins again", path=str(self._path), last=last, journal=newest)
        self.reset()
        return 0

    def sound(self) -> bool:
        """Whether every line of both files is one of a feed, in order; half a line at the end is no harm."""
        before = 0
        try:
            with ExitStack() as stack:
                for line in chain(_open_if_there(self._rotated, stack), _open_if_there(self._path, stack)):
                    seq = _seq(line) if line.endswith(b"\n") else before
                    if seq is None or seq < before:
                        return False
                    before = seq
        except OSError:
            return False
        return True

    def last(self) -> int:
        """The number of the last change in the file; 0 where there is none, or where that cannot be told."""
        try:
            return self._last_whole() or 0
        except OSError:
            return 0

    def reset(self) -> None:
        """Remove the feed: the next append begins a new one."""
        self._path.unlink(missing_ok=True)
        self._rotated.unlink(missing_ok=True)

    def _last_whole(self) -> int | None:
        """The number of the last line after cutting off half a one (0: no line); None where it is not a feed."""
        line = b""
        if self._path.exists():
            with self._path.open("r+b") as file:
                line, end = _last_line(file.fileno())
                if end < os.fstat(file.fileno()).st_size:
                    os.ftruncate(file.fileno(), end)
        if not line and self._rotated.exists():
            with self._rotated.open("rb") as file:
                line, _ = _last_line(file.fileno())
        return _seq(line) if line else 0

    def read(self, after: int = 0) -> Iterator[dict[str, Any]]:
        """Changes with a number greater than `after`, in order, as they stand in the file.

        For any process, while the feed is written and rotated: the newer file is opened first, so that a rotation
        in between shows the same lines twice (the second time they are left out) but hides none.
        """
        with ExitStack() as stack:
            newer = _open_if_there(self._path, stack)
            older = _open_if_there(self._rotated, stack)
            for line in chain(older, newer):
                if not line.endswith(b"\n"):
                    continue  # it is being written
                change = orjson.loads(line)
                if change["seq"] > after:
                    after = change["seq"]
                    yield change


def _open_if_there(path: Path, stack: ExitStack) -> Iterable[bytes]:
    try:
        return stack.enter_context(path.open("rb"))
    except FileNotFoundError:
        return ()


def _line(change: Change, generation: int) -> bytes:
    head = {"seq": change.seq, "generation": generation, "time": iso(change.time), "type": change.type, "id": change.id}
    return orjson.dumps({**head, **change.detail, **head}, option=orjson.OPT_APPEND_NEWLINE)


def _last_line(fd: int) -> tuple[bytes, int]:
    """The last line that ends in a newline, and where it ends; (b"", 0) where there is none."""
    size = os.fstat(fd).st_size
    length = min(size, _TAIL)
    while True:
        tail = os.pread(fd, length, size - length)
        end = tail.rfind(b"\n") + 1
        start = tail.rfind(b"\n", 0, max(end - 1, 0)) + 1
        if (end and start) or length == size:
            return tail[start:end], size - length + end if end else 0
        length = min(size, length * 8)


def _seq(line: bytes) -> int | None:
    try:
        number = orjson.loads(line)["seq"]
    except (ValueError, KeyError, TypeError):
        return None
    return number if isinstance(number, int) else None
