"""The last stage: what was learned goes into the store, in one transaction for a batch of jobs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

from mediad.ingest.job import Ended, Job
from mediad.ingest.moves import Departed
from mediad.ingest.scan import place, shown
from mediad.media.decoder import DECODER_BUILD
from mediad.model import Asset, ChangeType, ContentId, File, Stat
from mediad.store import Transaction
from mediad.store.files import HEAD
from mediad.store.work import WorkItem

_NEAR = 256  # files of a directory that wait to be read and are looked at: of more swaps at once some tell of a return


def record(tx: Transaction, job: Job, left: Departed) -> None:
    """Write a job's asset and file, or its vectors: whatever it carries. `left` was asked for just before."""
    if job.vectors is not None:
        _record_vectors(tx, job)
        return
    if job.asset is not None and (job.decoded_now or job.asset.content_id not in tx.assets):
        _record_asset(tx, job.asset, counted=job.decoded_now)
    item = job.item
    current = tx.work.get(item.key) if item is not None else None
    if item is not None and current is not None and job.stat is not None and job.content_id is not None:
        _record_file(tx, item.key, job.content_id, job.stat, left)
        _done(tx, item, current, job.stat)
    if job.asset is not None:
        tx.files.mark_orphan(job.asset.content_id, time.time())  # its file went away meanwhile


def _record_asset(tx: Transaction, asset: Asset, *, counted: bool) -> None:
    hidden = asset.content_id not in tx.assets
    tx.assets.put(asset)
    tx.attempts.clear(asset.content_id, DECODER_BUILD)
    if counted:
        tx.meta.count("decodes")
    for file in tx.files.of(asset.content_id) if hidden else ():
        if not file.missing:  # it was quarantined: now the catalog shows it
            tx.journal.append(ChangeType.ADDED, file.id, **place(file))


def _done(tx: Transaction, taken: WorkItem, current: WorkItem, stat: Stat) -> None:
    """Strike off what was read. What a scan has seen to change since it was taken is read again."""
    if current.seen in (taken.seen, stat):
        tx.work.done(current.key)
    else:
        tx.work.put(current)


def _record_vectors(tx: Transaction, job: Job) -> None:
    if job.asset is None or job.encoder is None or job.vectors is None or job.asset.content_id not in tx.assets:
        return  # forgotten while it was encoded
    if tx.vectors.has(job.encoder.id, job.asset.content_id):
        return  # a copy of it was faster
    tx.vectors.put(job.encoder.id, job.asset.content_id, job.vectors)
    tx.meta.count("embeddings")


def record_end(tx: Transaction, job: Job, ended: Ended, left: Departed) -> None:
    """A job that ended early: a file to try again later, one that is gone, or one that is quarantined."""
    item = job.item
    if ended.uncounted is not None:
        tx.attempts.put(ended.uncounted)
    if item is None:
        _read_again(tx, job)
        return
    current = tx.work.get(item.key)
    if current is None or current.seen != item.seen:
        return  # it was taken off the list meanwhile, or is to be read again anyhow
    if ended.retry_after is not None:
        not_before = time.time() + ended.retry_after
        tx.work.put(WorkItem(item.key, not_before, item.tries + 1, ended.why, ended.errno, item.seen))
        return
    if job.content_id is not None and job.stat is not None:
        _record_file(tx, item.key, job.content_id, job.stat, left)  # quarantined, but known by its content
    tx.work.done(item.key)


def _read_again(tx: Transaction, job: Job) -> None:
    """Queue the files of an asset that cannot be embedded from what is kept of it."""
    for file in tx.files.of(job.content_id) if job.content_id is not None else ():
        key = tx.files.key(file.volume, file.relpath)
        if key is not None and not file.missing and tx.work.get(key) is None:
            tx.work.put(WorkItem(key, seen=file.stat))


def _record_file(tx: Transaction, key: bytes, content_id: ContentId, stat: Stat, left: Departed) -> None:
    file = tx.files.at(key)
    if file is None:
        return  # its volume was removed meanwhile
    before = replace(file)
    file.stat, file.missing_since = stat, 0.0
    source = _moved_from(tx, before, content_id, stat, left) if before.content_id != content_id else None
    if source is not None:
        _record_move(tx, source, file, content_id, before)
        _note_departure(tx, before, left)
        return
    file.content_id = content_id
    tx.files.put(file)
    _tell(tx, before, file)
    if before.content_id is not None and before.content_id != content_id:
        tx.files.mark_orphan(before.content_id, time.time())


def _tell(tx: Transaction, before: File, file: File) -> None:
    """What the change of one file is for those who read the feed and the catalog only."""
    was, now = shown(tx, before), shown(tx, file)
    if now and before.missing and was:
        tx.journal.append(ChangeType.RESTORED, file.id, **place(file))
    if now and not was:
        tx.journal.append(ChangeType.ADDED, file.id, **place(file))
    elif now and before.content_id != file.content_id:
        tx.journal.append(ChangeType.CHANGED, file.id, **place(file))
    elif was and not now and not before.missing:
        tx.journal.append(ChangeType.REMOVED, file.id, **place(file))


def _moved_from(tx: Transaction, file: File, content_id: ContentId, stat: Stat, left: Departed) -> File | None:
    """The file that this one was before a rename or a move: same content, and no longer where it stood.

    A place that was overwritten by another file of ours (a swap, a rename onto it) is told by the inode alone.
    """
    aliases = [alias for alias in left.get(content_id, ()) if alias.id != file.id and _unmoved(tx, alias)]
    if file.content_id is not None:
        aliases = [a for a in aliases if a.volume == file.volume and a.stat.inode == stat.inode]
    name = os.path.basename(file.relpath)
    aliases.sort(key=lambda a: (a.volume != file.volume, os.path.basename(a.relpath) != name, a.relpath))
    return next(iter(aliases), None)


def _unmoved(tx: Transaction, alias: File) -> bool:
    """Whether what was found out of it just before still holds."""
    current = tx.files.by_id(alias.id)
    same = current is not None and (current.volume, current.relpath) == (alias.volume, alias.relpath)
    return same and current is not None and current.content_id == alias.content_id and current.missing >= alias.missing


def _record_move(tx: Transaction, source: File, target: File, content_id: ContentId, before: File) -> None:
    """`source` continues at `target`'s place. What stood there `before` is parked at the source's place: as missing.

    Unless it too has another place, at which it waits to be read (names were swapped): that reading tells which.
    """
    moved = File(source.id, target.volume, target.relpath, target.stat, content_id, source.first_seen)
    now = time.time()
    source_key = tx.files.key(source.volume, source.relpath)
    current = tx.files.at(source_key) if source_key is not None else None
    was_missing = current is not None and current.missing  # so the feed has told, and its readers dropped it
    queued = tx.work.get(source_key) if source_key is not None else None  # something else stands there by now
    elsewhere = not before.missing and _waits_elsewhere(tx, before)
    tx.files.delete(source, now)  # and what waits there to be read
    tx.files.delete(target, now)
    tx.files.put(moved)
    if shown(tx, moved):
        kind = ChangeType.RESTORED if was_missing else ChangeType.MOVED
        tx.journal.append(kind, moved.id, **place(moved) | place(source, "from_"))
    if before.content_id is not None:
        since = 0.0 if elsewhere else before.missing_since or now
        parked = replace(before, volume=source.volume, relpath=source.relpath, missing_since=since)
        tx.files.put(parked)
        if not before.missing and shown(tx, parked):
            fate = place(parked) | place(before, "from_") if elsewhere else place(parked)
            tx.journal.append(ChangeType.MOVED if elsewhere else ChangeType.MISSING, parked.id, **fate)
    elif queued is not None:
        file_id = tx.files.new_id(source.volume, source.relpath)
        tx.files.put(File(file_id, source.volume, source.relpath, queued.seen or source.stat, first_seen=now))
    if queued is not None:
        tx.work.put(queued)


def _note_departure(tx: Transaction, before: File, left: Departed) -> None:
    """What stood there `before` may be parked by now, and not stand there either: a job of this batch may find it."""
    parked = tx.files.by_id(before.id)
    if parked is not None and before.content_id in left:
        others = [file for file in left[before.content_id] if file.id != before.id]
        left[before.content_id] = [*others, parked]


def _waits_elsewhere(tx: Transaction, file: File) -> bool:
    """Whether a file that is not at its place any more waits to be read at another one, in the same directory."""
    key = tx.files.key(file.volume, file.relpath)
    if key is None:
        return False
    stat = file.stat
    for item in islice(tx.work.after(key[:HEAD]), _NEAR):
        seen = item.seen
        if item.key[:HEAD] != key[:HEAD]:
            return False
        if item.key != key and seen is not None and seen.inode == stat.inode != 0:
            return (seen.size, seen.mtime_ns) == (stat.size, stat.mtime_ns)
    return False


def forget_expired(tx: Transaction, files: Iterable[File], now: float) -> int:
    """Forget missing files whose retention is over; their assets become orphans. How many files went."""
    count = 0
    for file in files:
        tx.files.delete(file, now)
        if shown(tx, file):
            tx.journal.append(ChangeType.REMOVED, file.id, **place(file))
        count += 1
    return count
