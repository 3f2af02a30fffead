"""The first stage: what is in a directory against what the store knows of it. Only this decides what is missing.

A scan finds three things: files that must be read (new, or with another stat), files that are back unchanged, and
files that are gone. The gone ones are only candidates: the volume's worker looks at each again before it is said to
be missing (`confirm_missing`), so that a rename is not told as a loss and a find.
"""

from __future__ import annotations

import os
import stat
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

from mediad.model import ChangeType, File, Stat, VolumeId
from mediad.store import Transaction
from mediad.store.work import WorkItem

_MOVE_TAKES = 86400.0  # seconds that a copy may stand beside its original and still be a move of it: drives are slow


@dataclass(slots=True)
class Difference:
    """What one directory's listing says against the store. Names are relative paths below the volume's root."""

    new: list[tuple[bytes, Stat]] = field(default_factory=list)
    changed: list[tuple[File, Stat]] = field(default_factory=list)
    back: list[File] = field(default_factory=list)
    gone: list[File] = field(default_factory=list)
    gone_directories: list[bytes] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.new or self.changed or self.back or self.gone)


def compare(
    tx: Transaction,
    volume: VolumeId,
    directory: bytes,
    listed: Sequence[tuple[bytes, Stat]],
    subdirectories: Iterable[bytes],
) -> Difference:
    """Merge a listing (files by name, both in byte order) with the store's record of the directory."""
    found = Difference()
    known = {file.relpath: file for file in tx.files.in_directory(volume, directory)}
    prefix = directory + b"/" if directory else b""
    for name, status in listed:
        relpath = prefix + name
        file = known.pop(relpath, None)
        if file is None:
            found.new.append((relpath, status))
        elif file.stat != status or file.content_id is None:
            if not _queued(tx, file, status):
                found.changed.append((file, status))
        elif file.missing:
            found.back.append(file)
    found.gone = [file for file in known.values() if _expected(tx, file)]
    present = set(subdirectories)
    found.gone_directories = [
        prefix + name for name in tx.files.subdirectories(volume, directory) if name not in present
    ]
    return found


def _expected(tx: Transaction, file: File) -> bool:
    """Whether it would be news that it is not there; of what is missing, while it is read again because it was back."""
    return not file.missing or tx.work.get(_key(tx, file)) is not None


def _queued(tx: Transaction, file: File, status: Stat) -> bool:
    """Whether it waits to be read as it is now; queueing it anew would forget how often that failed."""
    key = tx.files.key(file.volume, file.relpath)
    item = tx.work.get(key) if key is not None else None
    return item is not None and item.seen == status


def enlist(tx: Transaction, volume: VolumeId, found: Difference, now: float) -> None:
    """Queue what must be read, and restore what is back with the very stat that it had: that costs no reading."""
    for relpath, status in found.new:
        _queue(tx, File(tx.files.new_id(volume, relpath), volume, relpath, status, first_seen=now))
    for file, status in found.changed:
        if file.content_id is None:
            file.stat = status
            _queue(tx, file)
        else:  # the record tells of the old bytes until the new ones were read
            tx.work.put(WorkItem(_key(tx, file), seen=status))
    for file in found.back:
        file.missing_since = 0.0
        tx.files.put(file)
        if shown(tx, file):
            tx.journal.append(ChangeType.RESTORED, file.id, **place(file))


def _queue(tx: Transaction, file: File) -> None:
    tx.files.put(file)
    tx.work.put(WorkItem(_key(tx, file), seen=file.stat))


def _key(tx: Transaction, file: File) -> bytes:
    key = tx.files.key(file.volume, file.relpath)
    assert key is not None
    return key


def absent(
    root: bytes, candidates: Iterable[File], excluded: Callable[[bytes], bool], *, follow: bool = False
) -> list[File]:
    """Those of the candidates that are not there, or that the rules exclude now. Looks at the disk, not at the store.

    Only ENOENT and ENOTDIR prove absence, or that something in a file's place is no file, or that something on the way
    to it is a link. `follow`: links count as what they lead to.
    """
    links: dict[bytes, bool] = {}
    return [
        file
        for file in candidates
        if excluded(file.relpath)
        or _absent(os.path.join(root, file.relpath), follow)
        or (not follow and _behind_link(root, os.path.dirname(file.relpath), links))
    ]


def _absent(path: bytes, follow: bool) -> bool:
    try:
        status = os.stat(path, follow_symlinks=follow)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False  # EIO, EACCES, ESTALE: nothing is proven, the next sweep asks again
    return not stat.S_ISREG(status.st_mode)


def _behind_link(root: bytes, directory: bytes, known: dict[bytes, bool]) -> bool:
    """Whether a directory, or one above it, is a symbolic link."""
    if not directory:
        return False
    if directory not in known:
        link = os.path.islink(os.path.join(root, directory))
        known[directory] = link or _behind_link(root, os.path.dirname(directory), known)
    return known[directory]


def mark_missing(tx: Transaction, absent: Iterable[File]) -> int:
    """Say of files just proven to be absent that they are missing; how many that are.

    One that moved meanwhile (its id leads elsewhere) or that was never read is no loss.
    """
    count = 0
    now = time.time()
    for file in absent:
        current = tx.files.get(file.volume, file.relpath)
        if current is None or current.id != file.id:
            continue
        if current.missing:
            tx.work.done(_key(tx, current))  # what is being read of it came too late
        else:
            count += _mark_missing(tx, current, now)
    return count


def stats_in_work(tx: Transaction) -> set[tuple[int, int]]:
    """(size, mtime_ns) of what waits to be read: a rename keeps both."""
    return {(item.seen.size, item.seen.mtime_ns) for item in tx.work.after(b"") if item.seen is not None}


def _mark_missing(tx: Transaction, file: File, now: float) -> bool:
    tx.work.done(_key(tx, file))
    if file.content_id is None:
        tx.files.delete(file, now)
        return False
    copy = _fresh_copy(tx, file, now)
    if copy is not None:
        _continue_at(tx, file, copy, now)
        return True
    file.missing_since = now
    tx.files.put(file)
    if shown(tx, file):
        tx.journal.append(ChangeType.MISSING, file.id, **place(file))
    return True


def _fresh_copy(tx: Transaction, file: File, now: float) -> File | None:
    """The copy that a move to another file system made: of the same name, and not known for long."""
    name = os.path.basename(file.relpath)
    copies = [
        copy
        for copy in (tx.files.of(file.content_id) if file.content_id is not None else ())
        if not copy.missing and os.path.basename(copy.relpath) == name
        if copy.first_seen > file.first_seen and now - copy.first_seen < _MOVE_TAKES
    ]
    return max(copies, key=lambda copy: (_same_end(copy.relpath, file.relpath), copy.relpath), default=None)


def _same_end(one: bytes, other: bytes) -> int:
    """How many names at the end of two paths are the same."""
    pairs = zip(reversed(one.split(b"/")), reversed(other.split(b"/")), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _continue_at(tx: Transaction, file: File, copy: File, now: float) -> None:
    """Whoever knows the file by its id finds it at the copy's place; the id of the copy, hardly known yet, goes."""
    queued = tx.work.get(_key(tx, copy))
    tx.files.delete(copy, now)
    tx.files.delete(file, now)
    moved = replace(copy, id=file.id, first_seen=file.first_seen)
    tx.files.put(moved)
    if queued is not None:
        tx.work.put(queued)
    if shown(tx, moved):
        tx.journal.append(ChangeType.REMOVED, copy.id, **place(copy))
        tx.journal.append(ChangeType.MOVED, file.id, **place(moved) | place(file, "from_"))


def files_below(tx: Transaction, volume: VolumeId, directory: bytes) -> list[File]:
    """Present files of a directory and everything below it, and missing ones that were just seen there again."""
    found = [file for file in tx.files.in_directory(volume, directory) if _expected(tx, file)]
    for name in tx.files.subdirectories(volume, directory):
        found += files_below(tx, volume, directory + b"/" + name if directory else name)
    return found


def shown(tx: Transaction, file: File) -> bool:
    """Whether the catalog names it while it is there; of one that is quarantined the feed says nothing either."""
    return file.content_id is not None and file.content_id in tx.assets


def place(file: File, prefix: str = "") -> dict[str, str]:
    """Where a file is, for a line of the feed.

    Bytes of a name that are not UTF-8 stand as backslash escapes; "path_bytes" (base64) then holds the name itself.
    """
    text = file.relpath.decode("utf-8", "backslashreplace")
    detail = {f"{prefix}volume": file.volume, f"{prefix}path": text}
    if text.encode() != file.relpath:
        detail[f"{prefix}path_bytes"] = b64encode(file.relpath).decode()
    return detail


def place_of(detail: dict[str, str], prefix: str = "") -> tuple[VolumeId, bytes] | None:
    """Back from a line of the feed: volume and path; None where it names none."""
    if f"{prefix}path" not in detail:
        return None
    exact = detail.get(f"{prefix}path_bytes")
    relpath = b64decode(exact) if exact is not None else detail[f"{prefix}path"].encode()
    return VolumeId(detail[f"{prefix}volume"]), relpath
