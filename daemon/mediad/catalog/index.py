"""What the catalog shows, file by file, in the order in which it shows it: volume, folder, name."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from mediad.catalog.fragments import FLAGGED, VIDEO
from mediad.store import Transaction


@dataclass(slots=True)
class Index:
    """Parallel lists over the files; a file is named by its position in them. Ids are bytes here, to stay small."""

    keys: list[bytes] = field(default_factory=list)
    ids: list[bytes] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)
    flags: bytearray = field(default_factory=bytearray)
    folders: dict[bytes, bytes] = field(default_factory=dict)
    """Path below the volume's root, by the first 12 bytes of a key."""
    first: dict[bytes, int] = field(default_factory=dict)
    """The first file of each content ..."""
    others: dict[bytes, list[int]] = field(default_factory=dict)
    """... and the further ones of those that have any."""

    def __len__(self) -> int:
        return len(self.keys)

    def of(self, content: bytes) -> Iterator[int]:
        """Files with this content."""
        at = self.first.get(content)
        if at is not None:
            yield at
            yield from self.others.get(content, ())

    def is_video(self, at: int) -> bool:
        return bool(self.flags[at] & VIDEO)

    def is_flagged(self, at: int) -> bool:
        return bool(self.flags[at] & FLAGGED)


def read_index(tx: Transaction, volumes: Collection[bytes]) -> Index:
    """The files on these volumes (ids of 4 bytes) that have a fragment.

    Directories have numbers in the order in which they were found, so they are sorted by path here; the names in each
    are sorted in the store.
    """
    index = Index()
    heads = sorted((key[:4], path, key) for key, path in tx.raw.items("directories") if key[:4] in volumes)
    for _, path, head in heads:
        index.folders[head] = path
        for key, fragment in tx.raw.items("fragments", head):
            content = fragment[8:24]
            at = len(index.keys)
            index.keys.append(key)
            index.ids.append(fragment[:8])
            index.contents.append(content)
            index.flags.append(fragment[24])
            if index.first.setdefault(content, at) != at:
                index.others.setdefault(content, []).append(at)
    return index
