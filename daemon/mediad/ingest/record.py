"""The last stage: what was learned goes into the store, in one transaction for a batch of jobs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from mediad.ingest.job import Ended, Job
from mediad.ingest.scan import place
from mediad.media.decoder import DECODER_BUILD
from mediad.model import ChangeType, ContentId, File, Stat, VolumeId
from mediad.store import Transaction
from mediad.store.work import WorkItem

RootOf = Callable[[VolumeId], bytes | None]


def record(tx: Transaction, job: Job, root_of: RootOf) -> None:
    """Write a job's asset and file, or its vectors: whatever it carries."""
    if job.vectors is not None:
        _record_vectors(tx, job)
        return
    if job.asset is not None and job.decoded_now:
        tx.assets.put(job.asset)
        tx.attempts.clear(job.asset.content_id, DECODER_BUILD)
        tx.meta.count("decodes")
    if job.item is not None and job.stat is not None and job.content_id is not None:
        _record_file(tx, job.item.key, job.content_id, job.stat, root_of)
        tx.work.done(job.item.key)


def _record_vectors(tx: Transaction, job: Job) -> None:
    if job.asset is None or job.encoder is None or job.vectors is None or job.asset.content_id not in tx.assets:
        return  # forgotten while it was encoded
    if tx.vectors.has(job.encoder.id, job.asset.content_id):
        return  # a copy of it was faster
    tx.vectors.put(job.encoder.id, job.asset.content_id, job.vectors)
    tx.meta.count("embeddings")


def record_end(tx: Transaction, job: Job, ended: Ended, root_of: RootOf) -> None:
    """A job that ended early: a file to try again later, one that is gone, or one that is quarantined."""
    if job.item is None:
        _read_again(tx, job)
        return
    if ended.retry_after is not None:
        not_before = time.time() + ended.retry_after
        tx.work.put(WorkItem(job.item.key, not_before, job.item.tries + 1, ended.why, ended.errno))
        return
    tx.work.done(job.item.key)
    if job.content_id is not None and job.stat is not None:
        _record_file(tx, job.item.key, job.content_id, job.stat, root_of)  # quarantined, but known by its content


def _read_again(tx: Transaction, job: Job) -> None:
    """Queue the files of an asset that cannot be embedded from what is kept of it."""
    for file in tx.files.of(job.content_id) if job.content_id is not None else ():
        key = tx.files.key(file.volume, file.relpath)
        if key is not None and not file.missing:
            tx.work.put(WorkItem(key))


def _record_file(tx: Transaction, key: bytes, content_id: ContentId, stat: Stat, root_of: RootOf) -> None:
    file = tx.files.at(key)
    if file is None:
        return  # its volume was removed meanwhile
    before, was_missing, before_stat = file.content_id, file.missing, file.stat
    file.stat, file.missing_since = stat, 0.0
    if before == content_id:
        tx.files.put(file)
        if was_missing:
            tx.journal.append(ChangeType.RESTORED, file.id, **place(file))
        return
    source = _moved_from(tx, file, content_id, root_of)
    if source is not None:
        displaced = replace(file, volume=source.volume, relpath=source.relpath, stat=before_stat)
        _record_move(tx, source, file, content_id, displaced)
        return
    file.content_id = content_id
    tx.files.put(file)
    if before is not None:
        tx.files.mark_orphan(before, time.time())
    if content_id in tx.assets or before is not None:
        tx.journal.append(ChangeType.ADDED if before is None else ChangeType.CHANGED, file.id, **place(file))


def _moved_from(tx: Transaction, file: File, content_id: ContentId, root_of: RootOf) -> File | None:
    """The file that this one was before a rename or a move: same content, and no longer where it stood.

    A place that was overwritten by another file of ours (a swap, a rename onto it) is told by the inode alone. A file
    on a volume that is away stays: it may be a copy.
    """
    aliases = [alias for alias in tx.files.of(content_id) if alias.id != file.id]
    if file.content_id is not None:
        aliases = [a for a in aliases if a.volume == file.volume and a.stat.inode == file.stat.inode]
    name = os.path.basename(file.relpath)
    aliases.sort(key=lambda a: (a.volume != file.volume, os.path.basename(a.relpath) != name, a.relpath))
    return next((alias for alias in aliases if alias.missing or _left(alias, root_of)), None)


def _left(alias: File, root_of: RootOf) -> bool:
    root = root_of(alias.volume)
    if root is None:
        return False
    try:
        found = os.lstat(os.path.join(root, alias.relpath))
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return found.st_ino != alias.stat.inode and found.st_ino != 0


def _record_move(tx: Transaction, source: File, target: File, content_id: ContentId, displaced: File) -> None:
    """`source` continues at `target`'s place. What stood there before is parked as missing at the source's place."""
    moved = File(source.id, target.volume, target.relpath, target.stat, content_id, source.first_seen)
    now = time.time()
    tx.files.delete(source, now)
    tx.files.delete(target, now)
    tx.files.put(moved)
    detail = place(moved) | place(source, "from_")
    tx.journal.append(ChangeType.MOVED, moved.id, **detail)
    if displaced.content_id is not None:
        displaced.missing_since = now
        tx.files.put(displaced)
        tx.journal.append(ChangeType.MISSING, displaced.id, **place(displaced))


def forget_expired(tx: Transaction, files: Iterable[File], now: float) -> int:
    """Forget missing files whose retention is over; their assets become orphans. How many files went."""
    count = 0
    for file in files:
        tx.files.delete(file, now)
        tx.journal.append(ChangeType.REMOVED, file.id, **place(file))
        count += 1
    return count
