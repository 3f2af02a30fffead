"""Exact duplicates: files with the same bytes, and which of them we would keep."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from mediad.model import ContentId, File, short_id

_COPY = re.compile(r"(?i)(?:[ _-]|^)(?:copy|kopie|copie|copia|duplicate|dup)(?:[ _-]|\d|\.|$)|\(\d+\)\s*$|~\d*$")


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Files that hold the same picture. `files` are file ids, the keeper first; `relation` names each one's tie."""

    id: str
    tier: str
    content_id: ContentId
    keeper: str
    files: tuple[str, ...]
    relation: str = "exact"


def exact_groups(files: Mapping[ContentId, Iterable[File]]) -> list[DuplicateGroup]:
    """Groups of two and more files that are there and have the same bytes, sorted by content id.

    The keeper is, in this order: a file whose name and folder do not call it a copy ("copy", "(1)"), the oldest by
    modification time, the one with the shortest path, the first by volume and path.
    """
    groups = []
    for content_id, members in sorted(files.items()):
        order = sorted((file for file in members if not file.missing), key=_preference)
        if len(order) > 1:
            ids = tuple(file.id for file in order)
            groups.append(DuplicateGroup(short_id("exact", content_id), "exact", content_id, ids[0], ids))
    return groups


def _preference(file: File) -> tuple[bool, int, int, str, bytes]:
    return _is_copy(file.relpath), file.stat.mtime_ns, len(file.relpath), file.volume, file.relpath


def _is_copy(relpath: bytes) -> bool:
    path = PurePosixPath(relpath.decode(errors="replace"))
    return any(_COPY.search(part) for part in (path.stem, path.parent.name))
