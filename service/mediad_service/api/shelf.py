"""The catalog for a page that shows a screenful: heads of the groups, and files by position.

The catalog of a large library is tens of megabytes, which neither the daemon should make nor a browser read after
every change. What stands where is kept for a while after it was last asked for, and made again when the store changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from mediad.catalog.build import Writer
from mediad.catalog.index import Index, read_index
from mediad.catalog.placing import PlacedCluster, PlacedSequence, Placing, place
from mediad.engine import Library
from mediad.model import Volume
from mediad.store import Transaction
from mediad_service.api.answers import Refused
from mediad_service.api.heads import Heads
from mediad_service.api.pools import Pool

_KEEP = 30.0  # seconds after the last question

FLAT = ("unclustered", "videos", "duplicates", "low_quality")
"""Sections that can be had in parts by position."""


@dataclass(frozen=True, slots=True)
class View:
    """What stands where at one revision of the store, and the heads as JSON."""

    revision: int
    index: Index
    flat: dict[str, Sequence[Any]]
    """Positions in the index by section, in catalog order; lists of them for duplicates."""
    groups: dict[str, PlacedCluster | PlacedSequence]
    """By "cluster/ID" and "sequence/ID"."""
    overview: bytes


class Shelf:
    """Keeps the view that was asked for last. To be used in the event loop."""

    def __init__(self, library: Library, pool: Pool) -> None:
        self._library = library
        self._pool = pool
        self._view: View | None = None
        self._making = asyncio.Lock()
        self._dropping: asyncio.TimerHandle | None = None

    async def overview(self) -> bytes:
        """Heads of clusters and sequences, and how much there is of the rest, as JSON."""
        return (await self._current()).overview

    async def part(self, section: str, offset: int, limit: int) -> bytes:
        """A part of one of FLAT, as a JSON array of the same entries."""
        view = await self._current()
        return await self._pool.run(self._render, view.index, section, view.flat[section][offset : offset + limit])

    async def files(self, kind: str, group: str, offset: int, limit: int) -> bytes:
        """Files of a "cluster" or "sequence": {"total", "files"}. Raises Refused for one that is not known."""
        view = await self._current()
        placed = view.groups.get(f"{kind}/{group}")
        if placed is None:
            raise Refused(404, f"there is no {kind} {group} (any more)")
        places = placed.files[offset : offset + limit]
        rendered = await self._pool.run(self._render, view.index, "unclustered", places)
        return b'{"total":%d,"files":%b}' % (len(placed.files), rendered)

    async def _current(self) -> View:
        async with self._making:
            view = self._view
            if view is None or view.revision != self._library.store.revision:
                view = self._view = await self._pool.run(_look, self._library)
        self.close()
        self._dropping = asyncio.get_running_loop().call_later(_KEEP, self._drop)
        return view

    def _drop(self) -> None:
        self._view = None

    def close(self) -> None:
        if self._dropping is not None:
            self._dropping.cancel()

    def _render(self, index: Index, section: str, places: Sequence[Any]) -> bytes:
        """Entries of a section. A file that is not any more what it was in the view is left out: it is shown soon."""
        with self._library.store.read() as tx:
            volumes = list(tx.volumes)
            known = {bytes.fromhex(volume.id) for volume in volumes}
            kept = [one for one in places if all(_is_same(tx, index, at, known) for at in _positions(one))]
            placing = Placing(**{"flagged" if section == "low_quality" else section: kept})
            return b"".join(Writer(tx, index, volumes).section(section, placing))


def _positions(one: int | list[int]) -> list[int]:
    return one if isinstance(one, list) else [one]


def _is_same(tx: Transaction, index: Index, at: int, volumes: Collection[bytes]) -> bool:
    key = index.keys[at]
    fragment = tx.raw.get("fragments", key) if key[:4] in volumes else None
    return fragment is not None and fragment[8:24] == index.contents[at] and fragment[24] == index.flags[at]


def _look(library: Library) -> View:
    revision = library.store.revision  # before the view: one that is newer than its number is only made again
    with library.store.read() as tx:
        volumes: list[Volume] = list(tx.volumes)
        index = read_index(tx, {bytes.fromhex(volume.id) for volume in volumes})
        placing = place(tx, index, library.settings.duplicates.tiers)
        heads = Heads(tx, index, volumes)
        clusters = [heads.cluster(one) for one in placing.clusters]
        sequences = [heads.sequence(one) for one in placing.sequences]
    flat: dict[str, Sequence[Any]] = {
        "unclustered": placing.unclustered,
        "videos": placing.videos,
        "duplicates": placing.duplicates,
        "low_quality": placing.flagged,
    }
    totals = {name: len(places) for name, places in flat.items()} | {"files": len(index)}
    overview = orjson.dumps({"clusters": clusters, "sequences": sequences, "totals": totals})
    groups: dict[str, PlacedCluster | PlacedSequence] = {f"cluster/{one.cluster.id}": one for one in placing.clusters}
    groups |= {f"sequence/{one.sequence.id}": one for one in placing.sequences}
    return View(revision, index, flat, groups, overview)
