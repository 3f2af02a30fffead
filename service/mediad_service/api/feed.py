"""Following changes.ndjson from any number on, at the cost of what is new: no line is read twice."""

from __future__ import annotations

import os
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import orjson

from mediad.catalog.changes import FEED_NAME

GAP = "gap"
"""Type of a line of ours: what lay between is not to be had, because the feed was rotated away or begun again."""


@dataclass(frozen=True, slots=True)
class Line:
    """A change as it stands in the feed, or a `GAP`, whose `seq` is the last number that is lost."""

    seq: int
    type: str
    data: bytes


class Tail:
    """The lines of one catalog directory.

    `begin` opens it, `read` gives what is there and can be called again when there is more. Rotation is followed: a
    file that was opened is read to its end before the next one. May be closed while another thread is in a call.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / FEED_NAME
        self._waiting: deque[BinaryIO] = deque()
        self._file: BinaryIO | None = None
        self._after = 0
        self._closed = False
        self._using = threading.Lock()

    def begin(self, after: int | None) -> int:
        """Stand behind number `after`, or behind the present end where that is None; the number.

        One that is greater than the feed has ever had is of a feed that is gone: all there is will be new.
        """
        with self._using:
            if not self._closed:
                self._open_both()
            last = self._last()
            self._after = last if after is None else after
            if self._after <= last:
                for file in self._waiting:
                    _seek_behind(file, self._after)
            return self._after

    def _open_both(self) -> None:
        newer = _open(self._path)  # first: a rotation in between shows it twice, and hides nothing
        older = _open(self._path.with_name(f"{FEED_NAME}.1"))
        if newer and older and os.path.sameopenfile(newer.fileno(), older.fileno()):
            older.close()
            older = None
        self._waiting = deque(file for file in (older, newer) if file is not None)

    def _last(self) -> int:
        """The number of the newest line, 0 where there is none."""
        for file in reversed(self._waiting):
            seq = _seq_before(file, os.fstat(file.fileno()).st_size)
            if seq is not None:
                return seq
        return 0

    def read(self, limit: int) -> list[Line]:
        """The next lines, at most about `limit`; none where there is nothing new, or when closed."""
        lines: list[Line] = []
        with self._using:
            while not self._closed and len(lines) < limit and (raw := self._next_raw()) is not None:
                lines += self._lines(raw)
        return lines

    def _lines(self, raw: bytes) -> list[Line]:
        """The change, and before it the gap where others should have come first."""
        change = orjson.loads(raw)
        seq, before = int(change["seq"]), self._after
        self._after = seq
        line = Line(seq, str(change["type"]), raw.rstrip(b"\n"))
        gap = Line(seq - 1, GAP, orjson.dumps({"after": before, "next": seq}))
        return [line] if seq == before + 1 else [gap, line]

    def _next_raw(self) -> bytes | None:
        while True:
            if self._file is None:
                self._file = self._waiting.popleft() if self._waiting else _open(self._path)
                if self._file is None:
                    return None
            raw = self._whole_line(self._file)
            if raw is not None:
                return raw
            if not self._waiting and not self._is_replaced(self._file):
                return None
            raw = self._whole_line(self._file)  # what came between our look and its replacement
            if raw is not None:
                return raw
            self._file.close()
            self._file = None

    @staticmethod
    def _whole_line(file: BinaryIO) -> bytes | None:
        at = file.tell()
        raw = file.readline()
        if raw.endswith(b"\n"):
            return raw
        file.seek(at)  # it is being written
        return None

    def _is_replaced(self, file: BinaryIO) -> bool:
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        return not os.path.samestat(there, os.fstat(file.fileno()))

    def close(self) -> None:
        with self._using:
            self._closed = True
            for file in (self._file, *self._waiting):
                if file is not None:
                    file.close()


def _open(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None


def _seek_behind(file: BinaryIO, after: int) -> None:
    """Stand before the first line with a greater number: numbers grow, so half of what is left is ruled out at a time.

    Holds throughout: the line that contains byte `low - 1` has no greater number, the one that contains `high` has.
    """
    low, high = 0, os.fstat(file.fileno()).st_size
    while low < high:
        middle = (low + high) // 2
        start = _line_start(file, middle)
        file.seek(start)
        raw = file.readline()
        if not raw.endswith(b"\n") or _seq(raw) > after:
            high = start
        else:
            low = start + len(raw)
    file.seek(low)


def _line_start(file: BinaryIO, at: int) -> int:
    """Where the line begins that holds the byte `at`."""
    reach = 4096
    while True:
        start = max(0, at - reach)
        newline = os.pread(file.fileno(), at - start, start).rfind(b"\n")
        if newline >= 0 or start == 0:
            return start + newline + 1
        reach *= 8


def _seq_before(file: BinaryIO, end: int) -> int | None:
    """The number of the last whole line before `end`."""
    while end > 0:
        start = _line_start(file, end - 1)
        raw = os.pread(file.fileno(), end - start, start)
        if raw.endswith(b"\n"):
            return _seq(raw)
        end = start
    return None


def _seq(raw: bytes) -> int:
    return int(orjson.loads(raw)["seq"])
