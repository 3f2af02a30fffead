"""Reading one directory: what a scan compares with the store. Nothing here opens a file."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from mediad.model import Stat

_ENCODING, _ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# A directory on the way needs only be passed through, for which O_PATH (Linux) wants no permission to read.
_PASS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
# Gone since it was listed, or a link to nothing or to itself.
_NOTHING_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})

Inode = tuple[int, int]
"""Device and inode number: one directory of one file system."""


class Filter(Protocol):
    """What `list_directory` asks of the rules."""

    @property
    def follow_symlinks(self) -> bool: ...
    def skip_directory(self, relpath: bytes) -> bool: ...
    def wanted(self, relpath: bytes) -> bool: ...


@dataclass(slots=True)
class Listing:
    """One directory. All names are bare and sorted; only names that the rules let through are in it.

    `special` are FIFOs, sockets and devices with a name of a wanted kind. `failed` are names that are there but could
    not be looked at, with the errno: they are *not* missing. `before` and `after` are the directory's own status
    around the listing: if they differ, something came or went meanwhile, and it should be listed again. `device` is
    its `st_dev`: where it differs from the parent's, another file system is mounted, and its absence later means
    "unmounted", not "deleted".
    """

    device: int
    before: Stat
    after: Stat
    files: list[tuple[bytes, Stat]] = field(default_factory=list)
    directories: list[bytes] = field(default_factory=list)
    special: list[bytes] = field(default_factory=list)
    failed: list[tuple[bytes, int]] = field(default_factory=list)


def list_directory(root: bytes, relpath: bytes, rules: Filter, kind_of: Callable[[bytes], bool]) -> Listing:
    """List the directory `relpath` (b"" is the root) of the volume at `root`.

    `kind_of(name)` tells whether a file of that bare name is of a kind that we want. Symbolic links are passed over,
    also on the way to `relpath`, unless `rules.follow_symlinks`; then those to files count as files, and those to
    directories as directories unless they lead back to one above them. The root itself may be a link.

    Raises:
        OSError: untouched. FileNotFoundError and NotADirectoryError mean that the directory is gone (a link in its
            place raises the latter); nothing else does.
    """
    fd, above = _open(root, relpath, follow=rules.follow_symlinks)
    try:
        status = os.fstat(fd)
        before = to_stat(status)
        listing = Listing(status.st_dev, before, before)
        _fill(listing, fd, relpath, rules, kind_of, above)
        listing.after = to_stat(os.fstat(fd))
    finally:
        os.close(fd)
    listing.files.sort(key=lambda file: file[0])
    for names in (listing.directories, listing.special):
        names.sort()
    listing.failed.sort()
    return listing


def to_stat(status: os.stat_result) -> Stat:
    """What we keep of a `stat` result."""
    return Stat(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def _open(root: bytes, relpath: bytes, *, follow: bool) -> tuple[int, set[Inode]]:
    """Open a directory part by part, so that no link is passed unseen; with the inodes on the way if links count."""
    parts = relpath.split(b"/") if relpath else []
    fd = os.open(root, _PASS if parts else _OPEN)
    above: set[Inode] = set()
    try:
        for number, part in enumerate(parts, 1):
            if follow:
                above.add(_inode(os.fstat(fd)))
            deeper = _step(fd, part, _OPEN if number == len(parts) else _PASS, follow=follow)
            os.close(fd)
            fd = deeper
        if follow:
            above.add(_inode(os.fstat(fd)))
    except BaseException:
        os.close(fd)
        raise
    return fd, above


def _step(fd: int, part: bytes, flags: int, *, follow: bool) -> int:
    try:
        return os.open(part, flags if follow else flags | os.O_NOFOLLOW, dir_fd=fd)
    except OSError as error:
        if error.errno == errno.ELOOP and not follow:  # how some systems say "a link, and you want none"
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), part) from error
        raise


def _inode(status: os.stat_result) -> Inode:
    return status.st_dev, status.st_ino


def _fill(
    listing: Listing, fd: int, relpath: bytes, rules: Filter, kind_of: Callable[[bytes], bool], above: set[Inode]
) -> None:
    prefix = relpath + b"/" if relpath else b""
    follow, wanted, skip = rules.follow_symlinks, rules.wanted, rules.skip_directory
    with os.scandir(fd) as entries:
        for entry in entries:
            name = entry.name.encode(_ENCODING, _ERRORS)
            try:
                if entry.is_symlink() and not follow:
                    continue
                if entry.is_dir(follow_symlinks=follow):
                    if not skip(prefix + name) and not (entry.is_symlink() and _inode(entry.stat()) in above):
                        listing.directories.append(name)
                elif kind_of(name) and wanted(prefix + name):
                    _add(listing, name, entry.stat(follow_symlinks=follow))
            except OSError as error:
                if error.errno not in _NOTHING_THERE:
                    listing.failed.append((name, error.errno or errno.EIO))


def _add(listing: Listing, name: bytes, status: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode):
        size_and_times = Stat(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        listing.files.append((name, size_and_times))
    else:
        listing.special.append(name)
