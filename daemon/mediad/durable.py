"""Files and names that survive a power failure: a name is durable once its directory was synced, not before."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


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


@contextlib.contextmanager
def staged(stage: Path) -> Iterator[BinaryIO]:
    """A file `stage`, for its user alone, to write what shall replace another; durable when the block ends well.

    Raises:
        OSError: it could not be written; it is gone again.
    """
    fd = os.open(stage, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with open(fd, "wb", buffering=1 << 20) as file:  # noqa: PTH123 - of a descriptor
            yield file
            file.flush()
            os.fsync(fd)
    except BaseException:
        stage.unlink(missing_ok=True)
        raise


def put_in_place(stage: Path, path: Path) -> None:
    """Let what was `staged` take the place of `path`: readers see the old or the new, also after a power failure."""
    stage.replace(path)
    sync_directory(path.parent)


def replace_file(path: Path, data: bytes) -> None:
    """Give a file this content, whole and durably, for its user alone.

    Raises:
        OSError: it could not be written; the old content stands.
    """
    stage = path.with_name(f".{path.name}.{os.getpid()}.new")
    with staged(stage) as file:
        file.write(data)
    put_in_place(stage, path)
