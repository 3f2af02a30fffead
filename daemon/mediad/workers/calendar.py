"""Retention by days that passed, not by days that the clock skipped.

A clock that is a year ahead for an hour must not cost the vectors of everything that is missing just now. So a jump
of the clock between two looks counts as one day, and times that lie in the future become now.
"""

from __future__ import annotations

from itertools import islice

import structlog

from mediad.model import File
from mediad.store import Store, Transaction

log = structlog.get_logger()

_LAST_LOOK = "calendar"  # in meta: wall time of the last look
_MOST = 86400.0  # seconds that may pass between two looks; of a longer pause nobody knows whether it was one
_BATCH = 500


def follow_clock(store: Store, now: float) -> float:
    """Move the times since which files are missing, and assets without a file, along with a clock that was set.

    To be called before anything is forgotten. `now` is the wall time; returns the seconds that the clock skipped.
    """
    with store.read() as tx:
        last = tx.meta.get(_LAST_LOOK)
        skipped = 0.0 if last is None else max(0.0, now - last - _MOST)
        missing = ((file, file.missing_since) for file in tx.files.all_missing())
        files = [file for file, since in missing if _moved(since, last, skipped, now) != since]
    rest = iter(files)
    while batch := list(islice(rest, _BATCH)):
        with store.write() as tx:
            for file in batch:
                _move(tx, file, last, skipped, now)
    with store.write() as tx:
        tx.assets.move_orphans(lambda since: _moved(since, last, skipped, now))
        tx.meta.put(_LAST_LOOK, now)
    if skipped or files:
        log.warning("the clock was set, or nothing ran for long", seconds=round(skipped), missing=len(files))
    return skipped


def _moved(since: float, last: float | None, skipped: float, now: float) -> float:
    if since <= 0:
        return since  # not missing
    if skipped and last is not None and since <= last:
        since += skipped
    return min(since, now)


def _move(tx: Transaction, file: File, last: float | None, skipped: float, now: float) -> None:
    current = tx.files.get(file.volume, file.relpath)
    if current is not None and current.id == file.id:
        current.missing_since = _moved(current.missing_since, last, skipped, now)
        tx.files.put(current)
