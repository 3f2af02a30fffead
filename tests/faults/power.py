r"""What a disk may hold after the power failed: a recorded run, replayed up to any moment, less what was not durable.

`Recorder` runs a process under strace and keeps every operation that changes files below one directory, with its
data, and every line that the process wrote to its standard output. `Disk` replays them. It is as strict as POSIX:

- what was written to a file is durable after an fsync or fdatasync of that file that began after the write ended
  (or at once, where the file was opened with O_DSYNC);
- a name (created, renamed, removed) is durable after an fsync of its directory.

Everything else may be on the disk or not, so `Disk.image` makes any mixture of the two. Names of one directory
survive in order, as on every journaling file system; data survive page by page, in any order.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

CALLS = (
    "openat,write,pwrite64,writev,pwritev,lseek,ftruncate,rename,renameat,renameat2,fsync,fdatasync,unlink,unlinkat,"
    "mkdir,mkdirat,rmdir,link,linkat,symlink,symlinkat,truncate,fallocate,copy_file_range,sendfile,msync"
)
_UNKNOWN = {"link", "linkat", "symlink", "symlinkat", "truncate", "fallocate", "copy_file_range", "sendfile", "rmdir"}
_MEMORY = "/lock.mdb"  # LMDB's table of readers: shared memory that happens to have a name, made anew by who opens it
_PAGE = 4096
_TEXT = re.compile(rb'"((?:\\x[0-9a-f]{2})*)"')
_FD = re.compile(rb"(\d+|AT_FDCWD)<((?:\\x[0-9a-f]{2})*)>")
_LINE = re.compile(rb"(\d+) +(?:<\.\.\. (\w+) resumed>)?(.*)$", re.DOTALL)
_UNFINISHED = b" <unfinished ...>"

Mode = Literal["kept", "synced", "names", "data", "mixed"]
MODES: tuple[Mode, ...] = ("kept", "synced", "names", "data", "mixed")
"""What of all that is not durable survives: everything (so after kill -9), nothing, names, data, whatever falls out."""


@dataclass(frozen=True)
class Op:
    """One operation. `began` and `ended` are places in the record: another that ended before this began came first."""

    kind: Literal["create", "mkdir", "write", "truncate", "rename", "unlink", "fsync", "told"]
    path: str
    began: int
    ended: int
    data: bytes = b""
    offset: int = 0
    to: str = ""
    durable: bool = False


def command(record: Path) -> list[str]:
    """The prefix of a command that is to be recorded in the file `record`."""
    return ["strace", "-f", "-y", "-xx", "-s", "16777216", "--seccomp-bpf", "-o", str(record), "-e", f"trace={CALLS}"]


def operations(record: Path, below: Path) -> list[Op]:
    """Every operation of a record on files below a directory, and every line told, in the order of their ends."""
    return list(_Parser(str(below)).parse(record))


class _Parser:
    """Turns strace's lines into operations; follows where each open file is written next."""

    def __init__(self, below: str) -> None:
        self._below = below
        self._positions: dict[tuple[str, int], int] = {}
        self._flags: dict[tuple[str, int], bytes] = {}
        self._sizes: Counter[str] = Counter()

    def parse(self, record: Path) -> Iterator[Op]:
        started: dict[bytes, tuple[int, bytes]] = {}
        with record.open("rb") as lines:
            for number, line in enumerate(lines):
                match = _LINE.match(line.rstrip(b"\n"))
                assert match is not None
                thread, resumed, text = match.groups()
                if text.endswith(_UNFINISHED):
                    started[thread] = number, text.removesuffix(_UNFINISHED)
                    continue
                began, head = started.pop(thread) if resumed else (number, b"")
                name, _, rest = (head + text).partition(b"(")
                arguments, _, result = rest.rpartition(b" = ")
                if result[:1].isdigit():
                    yield from self._call(name.decode(), arguments, int(_number(result)), began, number)

    def _inside(self, path: str) -> bool:
        return (path == self._below or path.startswith(self._below + "/")) and not path.endswith(_MEMORY)

    def _call(self, name: str, text: bytes, result: int, began: int, ended: int) -> Iterator[Op]:
        if name == "openat":
            yield from self._open(text, result, began, ended)
        elif name in ("mkdir", "mkdirat", "unlink", "unlinkat", "rename", "renameat", "renameat2"):
            paths = [_plain(found) for found in _TEXT.findall(text)]
            kind = "mkdir" if "mkdir" in name else "unlink" if "unlink" in name else "rename"
            if self._inside(paths[0]):
                yield Op(kind, paths[0], began, ended, to=paths[-1])  # type: ignore[arg-type] # it is one of three
        elif (handle := _FD.match(text)) is not None:
            fd, path = int(handle.group(1)), _plain(handle.group(2))
            if self._inside(path):
                assert name not in _UNKNOWN, f"{name} on {path}: the model does not know it"
                yield from self._on_file(name, path, fd, text, result, began, ended)
            elif name == "write" and fd == 1:
                yield Op("told", "", began, ended, data=_bytes(_TEXT.findall(text)[0]))

    def _open(self, text: bytes, fd: int, began: int, ended: int) -> Iterator[Op]:
        path = _plain(_TEXT.findall(text)[0])
        if not self._inside(path):
            return
        self._positions[path, fd], self._flags[path, fd] = 0, text
        if b"O_CREAT" in text:
            yield Op("create", path, began, ended)
        if b"O_TRUNC" in text:
            self._sizes[path] = 0
            yield Op("truncate", path, began, ended, offset=0)

    def _on_file(self, name: str, path: str, fd: int, text: bytes, result: int, began: int, ended: int) -> Iterator[Op]:
        key, flags = (path, fd), self._flags.get((path, fd), b"")
        if name == "lseek":
            self._positions[key] = result
        elif name in ("fsync", "fdatasync"):
            yield Op("fsync", path, began, ended)
        elif name == "ftruncate":
            size = int(_number(text.rpartition(b", ")[2]))
            self._sizes[path] = size
            yield Op("truncate", path, began, ended, offset=size)
        else:
            data = b"".join(map(_bytes, _TEXT.findall(text)))[:result]
            if name in ("pwrite64", "pwritev"):
                offset = int(_number(text.rpartition(b", ")[2]))
            else:
                offset = self._sizes[path] if b"O_APPEND" in flags else self._positions.get(key, 0)
                self._positions[key] = offset + result
            self._sizes[path] = max(self._sizes[path], offset + result)
            yield Op("write", path, began, ended, data, offset, durable=b"O_DSYNC" in flags)


def _number(text: bytes) -> bytes:
    found = re.match(rb"\d+", text)
    assert found is not None, text
    return found.group()


def _bytes(text: bytes) -> bytes:
    return bytes.fromhex(text.replace(b"\\x", b"").decode())


def _plain(text: bytes) -> str:
    return _bytes(text).decode()


@dataclass
class _File:
    """Data that are durable, and operations on them that are not yet."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Op] = field(default_factory=list)

    def sync(self, before: int) -> None:
        for op in self.pending:
            if op.ended < before:
                _apply(self.durable, op)
        self.pending = [op for op in self.pending if op.ended >= before]

    def image(self, mode: Mode, dice: random.Random) -> bytes:
        data = bytearray(self.durable)
        for op in self.pending:
            if mode in ("kept", "data"):
                _apply(data, op)
            elif mode == "mixed":
                for part in _pages(op):
                    if dice.random() < 0.5:
                        _apply(data, part)
        return bytes(data)


def _apply(data: bytearray, op: Op) -> None:
    if op.kind == "truncate":
        del data[op.offset :]
        data.extend(bytes(op.offset - len(data)))
        return
    data.extend(bytes(max(0, op.offset + len(op.data) - len(data))))
    data[op.offset : op.offset + len(op.data)] = op.data


def _pages(op: Op) -> Iterator[Op]:
    """A write in the pieces in which it reaches the disk."""
    if op.kind != "write":
        yield op
        return
    start = 0
    while start < len(op.data):
        end = min(len(op.data), start + _PAGE - (op.offset + start) % _PAGE)
        yield Op("write", op.path, op.began, op.ended, op.data[start:end], op.offset + start)
        start = end


@dataclass
class _Directory:
    """Names that are durable, and changes of them that are not: (when it ended, name, what it is now)."""

    durable: dict[str, _File | _Directory] = field(default_factory=dict)
    pending: list[tuple[int, str, _File | _Directory | None]] = field(default_factory=list)

    @property
    def now(self) -> dict[str, _File | _Directory]:
        return _changed(self.durable, self.pending)

    def sync(self, before: int) -> None:
        self.durable = _changed(self.durable, [one for one in self.pending if one[0] < before])
        self.pending = [one for one in self.pending if one[0] >= before]

    def image(self, mode: Mode, dice: random.Random) -> dict[str, _File | _Directory]:
        if mode in ("kept", "names"):
            return self.now
        survives = dice.randint(0, len(self.pending)) if mode == "mixed" else 0
        return _changed(self.durable, self.pending[:survives])


def _changed(
    names: dict[str, _File | _Directory], changes: list[tuple[int, str, _File | _Directory | None]]
) -> dict[str, _File | _Directory]:
    result = dict(names)
    for _, name, what in changes:
        if what is None:
            result.pop(name, None)
        else:
            result[name] = what
    return result


class Disk:
    """The files below one directory, which was there, empty, from the beginning."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._top = _Directory()

    def play(self, op: Op) -> None:
        match op.kind:
            case "create":
                if self._find(op.path) is None:
                    self._enter(op, op.path, _File())
            case "mkdir":
                self._enter(op, op.path, _Directory())
            case "unlink":
                self._enter(op, op.path, None)
            case "rename":
                assert op.path.rpartition("/")[0] == op.to.rpartition("/")[0], "the model knows one directory only"
                self._enter(op, op.to, self._find(op.path))
                self._enter(op, op.path, None)
            case "fsync":
                found = self._find(op.path)
                if found is not None:  # it was removed by another thread meanwhile
                    found.sync(op.began)
            case "write" | "truncate":
                self._write(op)

    def _write(self, op: Op) -> None:
        file = self._find(op.path)
        assert isinstance(file, _File), op.path
        if op.durable:
            _apply(file.durable, op)
        else:
            file.pending.append(op)

    def _find(self, path: str) -> _File | _Directory | None:
        found: _File | _Directory | None = self._top
        for name in Path(path).relative_to(self._root).parts:
            found = found.now.get(name) if isinstance(found, _Directory) else None
        return found

    def _enter(self, op: Op, path: str, what: _File | _Directory | None) -> None:
        parent, _, name = path.rpartition("/")
        directory = self._find(parent)
        assert isinstance(directory, _Directory), parent
        directory.pending.append((op.ended, name, what))

    def image(self, target: Path, mode: Mode, seed: int = 0) -> None:
        """Write what may be found after the power failed now into the directory `target`."""
        _write_image(self._top, target, mode, random.Random(seed))


def _write_image(directory: _Directory, target: Path, mode: Mode, dice: random.Random) -> None:
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, what in sorted(directory.image(mode, dice).items()):
        if isinstance(what, _Directory):
            _write_image(what, target / name, mode, dice)
        else:
            (target / name).write_bytes(what.image(mode, dice))
