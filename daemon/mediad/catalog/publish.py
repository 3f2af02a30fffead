"""Publishing: the store's state becomes catalog.json, changes.ndjson and the schema beside them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import structlog

from mediad import durable
from mediad.catalog import atomic, build, fragments
from mediad.catalog.changes import FEED_NAME, Feed
from mediad.catalog.document import SCHEMA_NAME
from mediad.catalog.index import read_index
from mediad.catalog.metadata import HOLE_BYTES, Facts, fingerprint_of, head_with_hole, metadata_of
from mediad.catalog.placing import place
from mediad.catalog.schema import schema_bytes
from mediad.catalog.status import STATUS_NAME
from mediad.durable import make_directory
from mediad.model import Volume
from mediad.store import Store, Transaction

log = structlog.get_logger()

CATALOG_NAME = "catalog.json"
RECORD = "catalog"
"""In `meta`: {generation, seq, fingerprint, totals, file}, of the last publication."""

_BATCH = 4096  # fragments made in one transaction: others who write wait that long


@dataclass(frozen=True)
class Publication:
    """What `publish` did. `cpu_seconds` is processor time of the calling thread, for `Interval.published`."""

    generation: int
    written: bool
    cpu_seconds: float


class Publisher:
    """Writes one catalog directory from one store; one thread publishes.

    Order of a publication, each step durable before the next: the new document beside the old one, the store's record
    of the generation, the change feed, the rename. Killed in between, the next call finds that the file in place is
    not the one recorded, and publishes again. `clock` (seconds, monotonic) only measures the document's own time.
    """

    def __init__(
        self,
        store: Store,
        directory: Path,
        *,
        changes_max_bytes: int = 16 << 20,
        journal_keep: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._path = directory / CATALOG_NAME
        self._feed = Feed(directory, changes_max_bytes)
        self._journal_keep = journal_keep
        self._clock = clock
        self._seen: list[Any] | None = None  # what stood in the directory after the last publication
        make_directory(directory)
        atomic.stage_of(self._path).unlink(missing_ok=True)

    def publish(self, volumes: Sequence[Volume], facts: Facts) -> Publication:
        """Bring the catalog directory up to date with the store; nothing is written where it is that already.

        `volumes` are the configured ones in their order, with their present states; files on others are left out.
        """
        started = time.thread_time()
        if self._in_place() != self._seen and not self._feed.sound():
            log.warning("the change feed is damaged; it is written again from the journal")
            self._feed.reset()
        seq = self._refresh()
        with self._store.read() as tx:
            fingerprint = fingerprint_of(tx, volumes, facts)
            record = tx.meta.get(RECORD)
        generation = record["generation"] if record else 0
        written = not self._is_current(record, fingerprint, seq)
        if written:
            generation += 1
            self._write(volumes, facts, {"generation": generation, "seq": seq, "fingerprint": fingerprint})
            log.debug("catalog published", generation=generation, seconds=round(time.thread_time() - started, 3))
        self._seen = self._in_place()
        return Publication(generation, written, time.thread_time() - started)

    def intact(self) -> bool:
        """Whether the files are those of the last publication; if not, the next one puts them in place again."""
        return self._in_place() == self._seen and self._path.with_name(STATUS_NAME).exists()

    def _in_place(self) -> list[Any]:
        return [_identity(self._path.with_name(name)) for name in (CATALOG_NAME, FEED_NAME, SCHEMA_NAME)]

    def _refresh(self) -> int:
        """Bring all fragments up to date; the number of the last change that they show."""
        while True:
            with self._store.write() as tx:
                fragments.outdate(tx)
                seen, changed = fragments.refresh(tx, _BATCH)
                record = tx.meta.get(RECORD)
                if changed and record and record["fingerprint"]:
                    tx.meta.put(RECORD, {**record, "fingerprint": ""})
                if seen < _BATCH:
                    return tx.journal.last_seq()

    def _is_current(self, record: dict[str, Any] | None, fingerprint: str, seq: int) -> bool:
        return (
            record is not None
            and record["fingerprint"] == fingerprint
            and record["seq"] == seq
            and record["file"] == _identity(self._path)
            and (seq == 0 or self._feed.exists())
            and self._path.with_name(SCHEMA_NAME).exists()
        )

    def _write(self, volumes: Sequence[Volume], facts: Facts, record: dict[str, Any]) -> None:
        make_directory(self._path.parent)
        atomic.write(self._path.with_name(SCHEMA_NAME), schema_bytes())
        stage = atomic.stage_of(self._path)
        with durable.staged(stage) as file:
            started = self._clock()
            with self._store.read() as tx:
                index = read_index(tx, {bytes.fromhex(volume.id) for volume in volumes})
                placing = place(tx, index, facts.tiers)
                metadata = metadata_of(volumes, facts, index, placing)
                record["totals"] = {
                    "images": metadata.total_images,
                    "videos": metadata.total_videos,
                    "volumes": {volume.id: volume.assets for volume in metadata.volumes},
                }
                head, hole = head_with_hole(record["generation"], metadata)
                file.write(head)
                file.writelines(build.Writer(tx, index, volumes).document(placing))
            file.seek(hole)
            file.write(f"{min(self._clock() - started, 1e7):{HOLE_BYTES}.3f}".encode())
        record["file"] = _identity(stage)
        self._commit(record)
        self._follow_journal(record)
        durable.put_in_place(stage, self._path)

    def _commit(self, record: dict[str, Any]) -> None:
        with self._store.write() as tx:
            if tx.meta.get(RECORD) is None:
                self._feed.reset()  # what lies there tells of another store
            tx.meta.put(RECORD, record)
            tx.meta.count("publishes")

    def _follow_journal(self, record: dict[str, Any]) -> None:
        """Append to the feed what the journal tells up to this publication; drop what the journal has too much of."""
        with self._store.read() as tx:
            newest = tx.journal.last_seq()
            changes = tx.journal.after(self._feed.repair(newest))
            self._feed.append(takewhile(lambda change: change.seq <= record["seq"], changes), record["generation"])
            crowded = tx.raw.count("journal") > 2 * self._journal_keep
        if crowded:
            with self._store.write() as tx:
                tx.journal.trim(self._journal_keep + tx.journal.last_seq() - record["seq"])


def published_generation(tx: Transaction) -> int:
    """The generation of the last publication that the store knows of; 0 before the first."""
    record = tx.meta.get(RECORD)
    return int(record["generation"]) if record else 0


def published_totals(tx: Transaction) -> dict[str, Any]:
    """Files in the last publication: {"images", "videos", "volumes": {id: files}}."""
    record = tx.meta.get(RECORD) or {}
    totals: dict[str, Any] = record.get("totals") or {"images": 0, "videos": 0, "volumes": {}}
    return totals


def _identity(path: Path) -> list[int] | None:
    """What tells whether this is the very file that was written; a rename keeps it."""
    try:
        stat = os.stat(path, follow_symlinks=False)  # noqa: PTH116 - one call for any kind of file
    except FileNotFoundError:
        return None
    return [stat.st_ino, stat.st_size, stat.st_mtime_ns]
