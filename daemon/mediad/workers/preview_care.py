"""Looking now and then whether the previews that the store names are there and whole, and having them made again.

A preview that is gone, or that neither begins nor ends as one, costs one decode of its original when that is at hand.
A still that was altered in its middle is not noticed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import PurePosixPath

import structlog

from mediad.ingest.previews import Previews
from mediad.model import Asset, VolumeId
from mediad.store import Store, Transaction

log = structlog.get_logger()

_FIRST = 10.0  # seconds of quiet after the start
_AFTER_LOSS = 5.0  # seconds of quiet until it is looked whether all was made again
_LOOKS_AFTER_LOSS = 3
_INTERVAL = 86400.0

Place = tuple[VolumeId, bytes]


class PreviewCare:
    """`tick` every few seconds. `look_again` is given folders whose sequences lost their animation."""

    def __init__(
        self, store: Store, previews: Previews, work_added: Callable[[], None], look_again: Callable[[set[Place]], None]
    ) -> None:
        self._store = store
        self._previews = previews
        self._work_added = work_added
        self._look_again = look_again
        self._next = time.monotonic() + _FIRST
        self._looks = 0

    def tick(self, *, idle: bool) -> None:
        """Check if it is time to. `idle`: nothing is being taken in."""
        now = time.monotonic()
        if not idle:
            self._next = max(self._next, now + _AFTER_LOSS)
        elif now >= self._next:
            lost = self.check()
            self._looks = self._looks + 1 if lost else 0
            self._next = now + (_AFTER_LOSS if 0 < self._looks <= _LOOKS_AFTER_LOSS else _INTERVAL)

    def check(self) -> int:
        """Queue what must be made again; how many assets and sequences lack something."""
        lost = sum(self._check_folder(first) for first in range(256))
        folders = self._lost_animations()
        if lost:
            self._work_added()
        if folders and (not lost or self._looks >= _LOOKS_AFTER_LOSS):  # they are made of stills
            self._look_again(folders)
        if lost or folders:
            log.warning("previews were lost; they are made again", assets=lost, folders_of_sequences=len(folders))
        return lost + len(folders)

    def _check_folder(self, first: int) -> int:
        """Assets whose content id begins with this byte have their previews in the folder of that name."""
        there = self._previews.whole_in(f"{first:02x}")
        with self._store.read() as tx:
            lost = [asset for asset in tx.assets.starting(bytes([first])) if not _names(asset) <= there]
        if not lost:
            return 0
        with self._store.write() as tx:
            return sum(_queue(tx, asset) for asset in lost)

    def _lost_animations(self) -> set[Place]:
        with self._store.read() as tx:
            named = [(one.preview_gif, (one.volume, one.directory)) for one in tx.sequences if one.preview_gif]
        return {place for name, place in named if not self._previews.whole(PurePosixPath(name))}


def _names(asset: Asset) -> set[str]:
    names = (asset.preview, asset.preview_gif, *(frame.preview for frame in asset.frames))
    return {name for name in names if name}


def _queue(tx: Transaction, asset: Asset) -> bool:
    """Whether a file could be queued, or is: an asset that no file has needs no preview."""
    for file in tx.files.of(asset.content_id):
        key = tx.files.key(file.volume, file.relpath)
        if key is not None and not file.missing:
            if tx.work.get(key) is None:
                tx.work.again(tx.files, file)
            return True
    return False
