"""Files that are replaced whole: a reader sees the old one or the new one, after a power failure too."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mediad.durable import sync_directory


@contextlib.contextmanager
def staged(path: Path) -> Iterator[BinaryIO]:
    """A file beside `path` to write the new content to; durable, but not in place, when the block ends well.

    Its name is always the same, because there is one writer; what a killed one left is overwritten.
    """
    stage = stage_of(path)
    fd = os.open(stage, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with open(fd, "wb", buffering=1 << 20) as file:  # noqa: PTH123 - of a descriptor
            yield file
            file.flush()
            os.fsync(fd)
    except BaseException:
        stage.unlink(missing_ok=True)
        raise


def put_in_place(path: Path) -> None:
    """Rename what `staged` wrote to `path`, durably."""
    stage_of(path).replace(path)
    sync_directory(path.parent)


def write(path: Path, data: bytes) -> None:
    """Replace the content of `path`, durably. Nothing is done where it is that already."""
    with contextlib.suppress(OSError):
        if path.stat().st_size == len(data) and path.read_bytes() == data:
            return
    with staged(path) as file:
        file.write(data)
    put_in_place(path)


def stage_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")
