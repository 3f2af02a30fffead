"""Mounts below a volume's root: a drive inside a drive, which may be unplugged by itself."""

from __future__ import annotations

import os

from mediad.model import VolumeId
from mediad.store import Store
from mediad.volume.mounts import mounts

_KNOWN = "mounts:"  # in meta, with the volume's id: paths in hex


class Nested:
    """Remembers what was mounted below a volume's root, also over restarts. For the volume's loop, but for `forget`."""

    def __init__(self, store: Store, volume: VolumeId, root: bytes) -> None:
        self._store = store
        self._name = f"{_KNOWN}{volume}"
        self._root = os.path.realpath(root)
        with store.read() as tx:
            self._known = frozenset(bytes.fromhex(path) for path in tx.meta.get(self._name) or ())
        self._away: frozenset[bytes] = frozenset()

    def look(self) -> None:
        """See what is mounted now."""
        prefix = self._root.rstrip(b"/") + b"/"
        points = (mount.mount_point for mount in mounts())
        now = frozenset(point[len(prefix) :] for point in points if point.startswith(prefix))
        self._away = self._known - now
        if not now <= self._known:
            self._remember(self._known | now)

    def lost(self, relpath: bytes) -> bool:
        """Whether a path lies on a mount that was there, and is not now."""
        return bool(self._away) and any(relpath.startswith(point + b"/") for point in self._away)

    def forget(self) -> None:
        """What is away now will not come back."""
        away, self._away = self._away, frozenset()
        if away:
            self._remember(self._known - away)

    def _remember(self, known: frozenset[bytes]) -> None:
        self._known = known
        with self._store.write() as tx:
            tx.meta.put(self._name, sorted(path.hex() for path in known))
