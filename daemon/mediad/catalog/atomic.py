"""The files beside the catalog, replaced whole; each has one writer and so one stage of a fixed name.

What a killed writer left there is overwritten by the next.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from mediad import durable


def write(path: Path, data: bytes) -> None:
    """Replace the content of `path`, durably. Nothing is done where it is that already."""
    with contextlib.suppress(OSError):
        if path.stat().st_size == len(data) and path.read_bytes() == data:
            return
    stage = stage_of(path)
    with durable.staged(stage) as file:
        file.write(data)
    durable.put_in_place(stage, path)


def stage_of(path: Path) -> Path:
    """Where what shall replace `path` is written."""
    return path.with_name(f".{path.name}.new")
