"""Names on disk that survive a power failure: a name is durable once its directory was synced, not before."""

from __future__ import annotations

import os
from pathlib import Path


def sync_directory(directory: Path) -> None:
    """Make every name in a directory durable, as it is now."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_directory(directory: Path, mode: int = 0o700) -> None:
    """Make a directory and those above it, durably; nothing is done where it is there already.

    Raises:
        OSError: one of them cannot be made, or something else has its name.
    """
    if directory.is_dir():
        return
    try:
        directory.mkdir(mode=mode, exist_ok=True)
    except FileNotFoundError:
        make_directory(directory.parent, mode)
        directory.mkdir(mode=mode, exist_ok=True)
    sync_directory(directory.parent)


def replace_file(path: Path, data: bytes) -> None:
    """Give a file this content, for its user alone: readers see the old or the new, also after a power failure.

    Raises:
        OSError: it could not be written; the old content stands.
    """
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(fd)
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
