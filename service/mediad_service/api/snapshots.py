"""Sections of the catalog for readers of any speed.

The store's pages that a read transaction sees cannot be used again, so a section is not sent out of one: it is written
into an unlinked temporary file at the speed of the disk, and sent from there. Readers of the same state of the store
share one file.
"""

from __future__ import annotations

import asyncio
import io
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from weakref import WeakValueDictionary

from mediad.engine import Library
from mediad_service.api.answers import Refused
from mediad_service.api.pools import Pool

_IN_MEMORY = 1 << 20  # bytes; larger sections go to the disk
_PIECE = 128 << 10
_MOST = 16  # different ones at a time; readers that stall are dropped, so this is not for long

Key = tuple[str, int]


class Snapshot:
    """A section as it was at one moment; its file is gone when the last reader lets go of it."""

    def __init__(self, pieces: Iterator[bytes], directory: Path, tag: str) -> None:
        self.tag = tag
        self._fd = -1
        memory = io.BytesIO()
        for piece in pieces:
            memory.write(piece)
            if memory.tell() > _IN_MEMORY:
                self._spill(memory, directory)
        self._rest = memory.getvalue()
        if self._fd >= 0:
            self._append(self._rest)
            self._rest = b""
        self.size = len(self._rest) if self._fd < 0 else os.fstat(self._fd).st_size

    def _spill(self, memory: io.BytesIO, directory: Path) -> None:
        if self._fd < 0:
            with tempfile.TemporaryFile(dir=directory) as file:
                self._fd = os.dup(file.fileno())
        self._append(memory.getvalue())
        memory.seek(0)
        memory.truncate()

    def _append(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    async def read(self) -> AsyncIterator[bytes]:
        """All of it in pieces. They were just written, so they are in the page cache."""
        if self._fd < 0:
            yield self._rest
        else:
            for at in range(0, self.size, _PIECE):
                yield os.pread(self._fd, _PIECE, at)
                await asyncio.sleep(0)  # sending does not wait while there is room: others get their turn

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)


class Snapshots:
    """Makes and shares them. To be used in the event loop."""

    def __init__(self, library: Library, pool: Pool) -> None:
        self._library = library
        self._pool = pool
        self._boot = secrets.token_hex(4)  # a store that was put back could have the same numbers again
        self._making: dict[Key, asyncio.Task[Snapshot]] = {}
        self._made: WeakValueDictionary[Key, Snapshot] = WeakValueDictionary()

    def tag(self, name: str) -> str:
        """What an answer that holds this section now has as its ETag."""
        return self._tag((name, self._library.store.revision))

    def _tag(self, key: Key) -> str:
        return f'"{self._boot}-{key[1]}-{key[0]}"'

    async def take(self, name: str) -> Snapshot:
        """The section as it is now. Raises Refused when too many different ones are being read."""
        key = (name, self._library.store.revision)
        if (found := self._made.get(key)) is not None:
            return found
        if key not in self._making:
            if len(self._made) + len(self._making) >= _MOST:
                raise Refused(503, "too many are reading the catalog while it changes: try again in a moment")
            self._making[key] = asyncio.create_task(self._make(key))
        return await asyncio.shield(self._making[key])

    async def _make(self, key: Key) -> Snapshot:
        pieces = self._library.section(key[0])
        try:
            made = await self._pool.run(Snapshot, pieces, self._library.locations.state, self._tag(key))
            self._made[key] = made
            return made
        finally:
            del self._making[key]
