"""What is on the disk, by a walk of its own: nothing here shares code with a scan.

Two definitions are shared, because there must be one of each: which names are media (`media.formats`), and which names
the user leaves out (`volume.rules`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from blake3 import blake3

from mediad.config import VolumeSettings
from mediad.media.formats import kind_of
from mediad.volume import Rules

_CHUNK = 1 << 20
_ID_BYTES = 16


@dataclass
class Seen:
    """Media files by absolute path, and folders and files that could not be looked at."""

    files: dict[bytes, os.stat_result] = field(default_factory=dict)
    unreadable: dict[bytes, str] = field(default_factory=dict)

    def hides(self, path: bytes) -> bool:
        """Whether the path is, or lies below, what could not be looked at."""
        return any(path == place or path.startswith(place + b"/") for place in self.unreadable)


def look(root: bytes, settings: VolumeSettings) -> Seen:
    """Every file of a media name below `root` that the settings let through."""
    rules = Rules(settings.include, settings.exclude, hidden=settings.hidden)
    seen = Seen()

    def failed(error: OSError) -> None:
        seen.unreadable[os.fsencode(error.filename)] = error.strerror or str(error)

    for folder, folders, names in os.walk(root, onerror=failed, followlinks=settings.follow_symlinks):
        below = os.path.relpath(folder, root)  # bytes, as folder is
        prefix = b"" if below == b"." else below + b"/"
        folders[:] = [
            name
            for name in folders
            if settings.recursive and not rules.skip_directory(prefix + name) and not _loops(root, folder, name)
        ]
        for name in names:
            if kind_of(name) is not None and rules.wanted(prefix + name):
                _add(seen, os.path.join(folder, name), follow=settings.follow_symlinks)  # noqa: PTH118 - bytes
    return seen


def _add(seen: Seen, path: bytes, *, follow: bool) -> None:
    try:
        status = os.stat(path, follow_symlinks=follow)  # noqa: PTH116 - bytes
    except (FileNotFoundError, NotADirectoryError):
        return  # it went, or is a link to nothing
    except OSError as error:
        seen.unreadable[path] = error.strerror or str(error)
        return
    if stat.S_ISREG(status.st_mode):
        seen.files[path] = status


def _loops(root: bytes, folder: bytes, name: bytes) -> bool:
    """Whether a link leads back to a folder above it."""
    path = os.path.join(folder, name)  # noqa: PTH118 - bytes
    return os.path.islink(path) and any(_same(path, above) for above in _above(root, folder))  # noqa: PTH114 - bytes


def _above(root: bytes, folder: bytes) -> Iterator[bytes]:
    while True:
        yield folder
        if folder == root:
            return
        folder = os.path.dirname(folder)  # noqa: PTH120 - bytes


def _same(one: bytes, other: bytes) -> bool:
    try:
        return os.path.samefile(one, other)  # noqa: PTH121 - bytes
    except OSError:
        return False


def content_id(path: bytes) -> str:
    """The first 16 bytes of the BLAKE3 hash of a file, in hex. Raises OSError."""
    hasher = blake3()
    with open(path, "rb") as file:  # noqa: PTH123 - bytes
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
    return hasher.digest(length=_ID_BYTES).hex()
