"""Chores by the clock: forgetting what has been missing for too long, and what nothing refers to any more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice

import structlog

from mediad.ingest.previews import Previews
from mediad.ingest.record import forget_expired
from mediad.model import Asset, ContentId, File
from mediad.store import Store, Transaction

log = structlog.get_logger()

_BATCH = 500
_PART_AGE = 3600.0


def expire(store: Store, retention: float, forgotten: Callable[[list[ContentId]], None]) -> tuple[int, int]:
    """Forget files that were missing, and assets that no file had, for `retention` seconds: (files, assets) gone."""
    limit = time.time() - retention
    with store.read() as tx:
        old = [file for file in tx.files.all_missing() if file.missing_since < limit]
    for batch in _batches(old):
        with store.write() as tx:
            current = [file for file in batch if _still(tx, file, limit)]
            forget_expired(tx, current, limit)
    assets = _forget_orphans(store, limit, forgotten)
    if old or assets:
        log.info("retention is over", files=len(old), assets=assets)
    return len(old), assets


def _still(tx: Transaction, file: File, limit: float) -> bool:
    current = tx.files.get(file.volume, file.relpath)
    return current is not None and current.id == file.id and 0 < current.missing_since < limit


def _batches(files: list[File]) -> Iterator[list[File]]:
    rest = iter(files)
    while batch := list(islice(rest, _BATCH)):
        yield batch


def _forget_orphans(store: Store, limit: float, forgotten: Callable[[list[ContentId]], None]) -> int:
    with store.read() as tx:
        orphans = tx.assets.orphans(limit)
    gone = []
    for content_id in orphans:
        with store.write() as tx:
            if next(tx.files.of(content_id), None) is None:
                tx.assets.delete(content_id)
                gone.append(content_id)
    forgotten(gone)
    return len(gone)


def forget_directories(store: Store) -> int:
    """Forget directories in which nothing is known any more, or each scan would look for them for ever; how many."""
    with store.read() as tx:
        empty = [(volume.id, relpath) for volume in tx.volumes for relpath in tx.files.empty_directories(volume.id)]
    for at in range(0, len(empty), _BATCH):
        with store.write() as tx:
            for volume, relpath in empty[at : at + _BATCH]:
                tx.files.drop_directory(volume, relpath)
    return len(empty)


def collect_previews(store: Store, previews: Previews) -> int:
    """Remove previews that no asset and no sequence names, and leftovers of a crash; how many."""
    count = 0
    with store.read() as tx:
        used = {sequence.preview_gif for sequence in tx.sequences if sequence.preview_gif}
    for name in previews.names():
        with store.read() as tx:
            unused = name not in used and not _used(tx, name)
        if unused and _old(previews, name):
            previews.remove(name)
            count += 1
    return count


def _used(tx: Transaction, name: str) -> bool:
    try:
        content_id = ContentId(bytes.fromhex(name.partition("/")[2].partition("-")[0]))
    except ValueError:
        return False
    asset = tx.assets.get(content_id) if len(content_id) == 16 else None
    return asset is not None and name in _names(asset)


def _names(asset: Asset) -> set[str | None]:
    return {asset.preview, asset.preview_gif, *(frame.preview for frame in asset.frames)}


def _old(previews: Previews, name: str) -> bool:
    """Whether it is older than anything that may still be about to be named by a commit."""
    try:
        return (previews.directory / name).stat().st_mtime < time.time() - _PART_AGE
    except FileNotFoundError:
        return False
