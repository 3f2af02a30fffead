"""Clusters and sequences without their files: what a card shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from mediad.catalog.index import Index
from mediad.catalog.placing import PlacedCluster, PlacedSequence
from mediad.catalog.text import path_text, preview_path
from mediad.model import Asset, ContentId, Volume
from mediad.store import Transaction


class Heads:
    """Renders them out of one read transaction; fields that have nothing to say are null."""

    def __init__(self, tx: Transaction, index: Index, volumes: Sequence[Volume]) -> None:
        self._tx = tx
        self._index = index
        self._roots = {bytes.fromhex(volume.id): volume.path.rstrip("/") for volume in volumes}

    def cluster(self, placed: PlacedCluster) -> dict[str, Any]:
        """As in the catalog, and `renamed`: whether a person gave the name."""
        cluster = placed.cluster
        folders = Counter(self._index.keys[at][:12] for at in placed.files)
        folder = folders.most_common(1)[0][0] if folders else self._index.keys[placed.medoid][:12]
        return {
            "id": cluster.id,
            "name": cluster.user_name or cluster.name,
            "renamed": cluster.user_name is not None,
            "kind": cluster.kind,
            "count": len(placed.files),
            "folders": len(folders),
            "directory": self._folder(folder),
            "tags": list(cluster.tags),
            "sequences": placed.sequences,
            **self._previews(cluster.medoid),
        }

    def sequence(self, placed: PlacedSequence) -> dict[str, Any]:
        """As in the catalog, and `preview`: a still of the frame that stands for it."""
        sequence = placed.sequence
        stands = sequence.representative or ContentId(self._index.contents[placed.files[0]])
        gif = preview_path(sequence.preview_gif) if sequence.preview_gif else None
        return {
            "id": sequence.id,
            "name": sequence.name,
            "kind": sequence.kind,
            "count": len(placed.files),
            "directory": self._folder(self._index.keys[placed.files[0]][:12]),
            "pattern": sequence.pattern,
            "first": sequence.first,
            "last": sequence.last,
            "missing": list(sequence.missing),
            **self._previews(stands),
            "preview_gif": gif,
        }

    def _folder(self, head: bytes) -> str:
        path = self._index.folders[head]
        root = path_text(self._roots[head[:4]])
        return f"{root}/{path_text(path)}" if path else root or "/"

    def _previews(self, content_id: ContentId) -> dict[str, str | None]:
        asset: Asset | None = self._tx.assets.get(content_id)
        still, gif = (asset.preview, asset.preview_gif) if asset is not None else (None, None)
        return {"preview": still and preview_path(still), "preview_gif": gif and preview_path(gif)}
