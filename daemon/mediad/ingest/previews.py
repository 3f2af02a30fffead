"""The previews directory: small renderings, named by the content that they show, so that nothing is rendered twice."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mediad.durable import make_directory, staged, sync_directory
from mediad.model import ContentId

_HEAD, _TAIL = 12, 2


class Previews:
    """Files below one directory; names are relative, with the first two hex digits as a folder."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._unsynced: set[str] = set()
        self._settling = threading.Lock()

    @staticmethod
    def name(content_id: ContentId, version: str, suffix: str) -> str:
        """For example "3f/3fa2...-1.jpg": the content, the version of what rendered it, the part and format."""
        return f"{content_id.hex()[:2]}/{content_id.hex()}-{version}{suffix}"

    def put(self, name: str, data: bytes) -> str:
        """Write a preview, whole; its name is durable after the next `settle`. Returns the name."""
        path = self.directory / name
        make_directory(path.parent)
        partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        with staged(partial) as file:
            file.write(data)
        partial.replace(path)
        self._unsynced.update((str(path.parent), str(self.directory)))
        return name

    def settle(self) -> None:
        """Make durable what was put; to be called before anything that names it is committed. Thread-safe."""
        with self._settling:
            while self._unsynced:
                folder = self._unsynced.pop()
                try:
                    sync_directory(Path(folder))
                except OSError:
                    self._unsynced.add(folder)
                    raise

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

    def whole_in(self, folder: str) -> set[str]:
        """Names in one folder of what begins and ends as a preview does; what does not is removed."""
        try:
            with os.scandir(self.directory / folder) as entries:
                found = [entry.name for entry in entries if not entry.name.startswith(".")]
        except FileNotFoundError:
            return set()
        return {f"{folder}/{name}" for name in found if self.whole(PurePosixPath(folder, name))}

    def whole(self, name: PurePosixPath) -> bool:
        """Whether this preview is there, and begins and ends as one does; one that does not is removed."""
        try:
            with (self.directory / name).open("rb") as file:
                head = file.read(_HEAD)
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _TAIL))
                good = _framed(name.suffix, head, file.read(_TAIL), size)
        except FileNotFoundError:
            return False
        if not good:
            self.remove(str(name))
        return good

    def remove(self, name: str) -> None:
        (self.directory / name).unlink(missing_ok=True)


def _framed(suffix: str, head: bytes, tail: bytes, size: int) -> bool:
    """Whether a file of this suffix begins and ends so: markers of JPEG and GIF, the length that RIFF tells."""
    if suffix == ".jpg":
        return head.startswith(b"\xff\xd8\xff") and tail == b"\xff\xd9"
    if suffix == ".gif":
        return head.startswith(b"GIF8") and tail.endswith(b";")
    return head.startswith(b"RIFF") and head.endswith(b"WEBP") and size == int.from_bytes(head[4:8], "little") + 8
