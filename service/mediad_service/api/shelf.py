"""The catalog for a page that shows a screenful: heads of the groups, and files by position.

The catalog of a large library is tens of megabytes, which neither the daemon should make nor a browser read after
every change. What stands where is kept for a while after it was last asked for, and made again when the store changed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from mediad.catalog.build import Writer
from mediad.catalog.index import Index, read_index
from mediad.catalog.placing import PlacedCluster, PlacedSequence, Placing, place
from mediad.catalog.text import path_text, preview_path
from mediad.engine import Library
from mediad.model import ContentId, Volume
from mediad.store import Transaction
from mediad_service.api.answers import Refused
from mediad_service.api.pools import Pool

_KEEP = 30.0  # seconds after the last question

FLAT = ("unclustered", "videos", "duplicates", "low_quality")
"""Sections that can be had in parts by position."""


@dataclass(frozen=True, slots=True)
class View:
    """What stands where at one revision of the store, and the heads as JSON."""

    revision: int
    volumes: list[Volume]
    index: Index
    placing: Placing
    overview: bytes
    groups: dict[str, PlacedCluster | PlacedSequence]

    def places(self, section: str) -> Sequence[Any]:
        """Positions in the index (lists of them for duplicates), in catalog order."""
        found: dict[str, Sequence[Any]] = {
            "unclustered": self.placing.unclustered,
            "videos": self.placing.videos,
            "duplicates": self.placing.duplicates,
            "low_quality": self.placing.flagged,
        }
        return found[section]


class Shelf:
    """Keeps the view that was asked for last. To be used in the event loop."""

    def __init__(self, library: Library, pool: Pool) -> None:
        self._library = library
        self._pool = pool
        self._view: View | None = None
        self._making = asyncio.Lock()
        self._dropping: asyncio.TimerHandle | None = None

    async def overview(self) -> bytes:
        """Heads of clusters and sequences, and how much there is of the rest."""
        return (await self._current()).overview

    async def part(self, section: str, offset: int, limit: int) -> bytes:
        """A part of one of FLAT, as a JSON array of the same entries."""
        view = await self._current()
        return await self._pool.run(self._render, view, section, view.places(section)[offset : offset + limit])

    async def files(self, group: str, offset: int, limit: int) -> bytes:
        """Files of a cluster or sequence: {"total", "files"}. Raises Refused for one that is not known."""
        view = await self._current()
        placed = view.groups.get(group)
        if placed is None:
            raise Refused(404, f"there is no {group.partition('/')[0]} {group.partition('/')[2]} (any more)")
        places = placed.files[offset : offset + limit]
        rendered = await self._pool.run(self._render, view, "unclustered", places)
        return b'{"total":%d,"files":%b}' % (len(placed.files), rendered)

    async def _current(self) -> View:
        async with self._making:
            if self._view is None or self._view.revision != self._library.store.revision:
                self._view = await self._pool.run(_look, self._library)
            view = self._view
        self.close()
        self._dropping = asyncio.get_running_loop().call_later(_KEEP, self._drop)
        return view

    def _drop(self) -> None:
        self._view = None

    def close(self) -> None:
        if self._dropping is not None:
            self._dropping.cancel()

    def _render(self, view: View, section: str, places: Sequence[Any]) -> bytes:
        """Entries of a section. A file that is not any more what it was in the view is left out: it is shown soon."""
        with self._library.store.read() as tx:
            kept = [one for one in places if all(_is_same(tx, view.index, at) for at in _positions(one))]
            name = "flagged" if section == "low_quality" else section
            return b"".join(Writer(tx, view.index, view.volumes).section(section, Placing(**{name: kept})))


def _positions(one: int | list[int]) -> list[int]:
    return one if isinstance(one, list) else [one]


def _is_same(tx: Transaction, index: Index, at: int) -> bool:
    fragment = tx.raw.get("fragments", index.keys[at])
    return fragment is not None and fragment[8:24] == index.contents[at] and fragment[24] == index.flags[at]


def _look(library: Library) -> View:
    revision = library.store.revision  # before the view: one that is newer than its number is only made again
    with library.store.read() as tx:
        volumes = list(tx.volumes)
        index = read_index(tx, {bytes.fromhex(volume.id) for volume in volumes})
        placing = place(tx, index)
        heads = _Heads(tx, index, volumes)
        overview = {
            "clusters": [heads.cluster(one) for one in placing.clusters],
            "sequences": [heads.sequence(one) for one in placing.sequences],
            "totals": {name: len(places) for name, places in _flat(placing).items()} | {"files": len(index)},
        }
    groups: dict[str, PlacedCluster | PlacedSequence] = {f"cluster/{one.cluster.id}": one for one in placing.clusters}
    groups |= {f"sequence/{one.sequence.id}": one for one in placing.sequences}
    return View(revision, volumes, index, placing, orjson.dumps(overview), groups)
