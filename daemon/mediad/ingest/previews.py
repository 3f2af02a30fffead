"""The previews directory: small renderings, named by the content that they show, so that nothing is rendered twice."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mediad.model import ContentId


class Previews:
    """Files below one directory; names are relative, with the first two hex digits as a folder."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @staticmethod
    def name(content_id: ContentId, version: str, suffix: str) -> str:
        """For example "3f/3fa2...-1.jpg": the content, the version of what rendered it, the part and format."""
        return f"{content_id.hex()[:2]}/{content_id.hex()}-{version}{suffix}"

    def put(self, name: str, data: bytes) -> str:
        """Write a preview; it is durable, whole and under its name when this returns. Returns the name."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(fd)
        partial.replace(path)
        return name

    def get(self, name: str) -> bytes | None:
        try:
            return (self.directory / name).read_bytes()
        except FileNotFoundError:
            return None

    def exists(self, name: str) -> bool:
        return (self.directory / name).exists()

    def names(self) -> Iterator[str]:
        """All names, leftovers of a crash included."""
        for folder in sorted(self.directory.glob("*")):
            if folder.is_dir():
                yield from (f"{folder.name}/{entry.name}" for entry in folder.iterdir())

    def remove(self, name: str) -> None:
        (self.directory / name).unlink(missing_ok=True)
