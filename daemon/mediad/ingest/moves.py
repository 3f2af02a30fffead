"""Which files have left their places: what a rename or a move needs to be told from a copy.

Asked before the transaction that records, because a drive may take its time, and proven like every absence: only on a
volume that is healthy after the look. (Unplugging a drive whose files were copied just now is no move.)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from itertools import islice

from mediad.ingest.job import Job
from mediad.model import ContentId, File, VolumeId
from mediad.store import Store

_MOST = 256  # files with one content that are looked at: of more copies than this, a rename may look like one more

Departed = dict[ContentId, list[File]]
"""By content: files that are missing, or not at their places any more. They may stand elsewhere now."""


def departed(
    store: Store,
    jobs: Iterable[Job],
    root_of: Callable[[VolumeId], bytes | None],
    follows: Callable[[VolumeId], bool],
    proven: Callable[[VolumeId], bool],
) -> Departed:
    """Files with the content of one of these jobs that do not stand where the store has them."""
    read: dict[ContentId, set[tuple[VolumeId, int]]] = {}
    for job in jobs:
        if job.file is not None and job.content_id is not None and job.stat is not None:
            read.setdefault(job.content_id, set()).add((job.file.volume, job.stat.inode))
    with store.read() as tx:
        known = {content_id: list(islice(tx.files.of(content_id), _MOST)) for content_id in read}
    left: Departed = {}
    for content_id, files in known.items():
        left[content_id] = [file for file in files if file.missing or _left(file, root_of, follows, read[content_id])]
    doubtful = {file.volume for files in left.values() for file in files if not file.missing}
    healthy = {volume for volume in doubtful if proven(volume)}
    return {
        content_id: [file for file in files if file.missing or file.volume in healthy]
        for content_id, files in left.items()
    }


def _left(
    file: File,
    root_of: Callable[[VolumeId], bytes | None],
    follows: Callable[[VolumeId], bool],
    read: set[tuple[VolumeId, int]],
) -> bool:
    """Whether it is not at its place. A file on a volume that is away stays: what was read may be a copy."""
    root = root_of(file.volume)
    if root is None:
        return False
    path = os.path.join(root, file.relpath)
    try:
        found = os.stat(path, follow_symlinks=follows(file.volume))
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    if found.st_ino != file.stat.inode:
        return found.st_ino != 0
    # A file system that ignores case finds a file under its old name too. (Of hard links, both names are listed.)
    return (file.volume, found.st_ino) in read and not named(path)


def named(path: bytes, names_in: Callable[[bytes], list[bytes]] = os.listdir) -> bool:
    """Whether a directory lists the name exactly so; True where that cannot be told."""
    directory, name = os.path.split(path)
    try:
        return name in names_in(directory)
    except OSError:
        return True
