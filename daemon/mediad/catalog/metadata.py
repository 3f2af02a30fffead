"""The catalog's metadata, and what tells whether it would say anything new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson
from blake3 import blake3

from mediad.catalog import build
from mediad.catalog.document import Encoder, Metadata, Timing, VolumeEntry
from mediad.catalog.index import Index
from mediad.catalog.placing import Placing
from mediad.catalog.text import iso, path_text
from mediad.model import Volume
from mediad.store import Transaction

HOLE_BYTES = 12

_GROUPS = ("clusters", "members", "names", "sequences")
_SECONDS = b'"json_preparation_seconds":'


@dataclass(frozen=True)
class Facts:
    """What the catalog's metadata says that is not in the store."""

    encoder: Encoder | None = None
    pending: int = 0
    quarantined: int = 0
    complete: bool = True
    config_problem: str | None = None
    timing: Timing = field(default_factory=Timing)
    degraded: str | None = None
    tiers: tuple[str, ...] = ("exact",)
    """Tiers of duplicates that are reported."""


def metadata_of(volumes: Sequence[Volume], facts: Facts, index: Index, placing: Placing) -> Metadata:
    files = Counter(key[:4].hex() for key in index.keys)
    scans = [volume.last_scan for volume in volumes if volume.last_scan is not None]
    return Metadata(
        root_path=build.common_root([volume.path for volume in volumes]),
        roots=[path_text(volume.path) for volume in volumes],
        scan_date=iso(max(scans)) if scans else None,
        total_images=len(index) - len(placing.videos),
        total_videos=len(placing.videos),
        total_clusters=len(placing.clusters),
        total_sequences=len(placing.sequences),
        unclustered_count=len(placing.unclustered),
        complete=facts.complete,
        pending=facts.pending,
        quarantined=facts.quarantined,
        config_problem=facts.config_problem,
        degraded=facts.degraded,
        encoder=facts.encoder,
        volumes=[_volume(volume, files[volume.id]) for volume in volumes],
        timing=facts.timing,
    )


def _volume(volume: Volume, files: int) -> VolumeEntry:
    last_scan = iso(volume.last_scan) if volume.last_scan is not None else None
    return VolumeEntry(
        id=volume.id,
        name=volume.name,
        path=path_text(volume.path),
        state=volume.state.value,
        reason=volume.reason,
        assets=files,
        last_scan=last_scan,
    )


def head_with_hole(generation: int, metadata: Metadata) -> tuple[bytes, int]:
    """The document up to the end of its metadata, and where in it there is room for its own time.

    That is known only when the rest is written, so its number is a field of fixed width.
    """
    head = build.head(generation, metadata)
    hole = head.index(_SECONDS) + len(_SECONDS)  # quotes in texts are escaped, so this is the key itself
    end = head.index(b"}", hole)
    return head[:hole] + b" " * HOLE_BYTES + head[end:], hole


def fingerprint_of(tx: Transaction, volumes: Sequence[Volume], facts: Facts) -> str:
    """A hash of all that the catalog shows besides the fragments, less times that change without meaning anything."""
    hasher = blake3()
    for table in _GROUPS:
        for key, value in tx.raw.items(table):
            hasher.update(b"%d %d %b%b" % (len(key), len(value), key, value))
    shown = [(one.id, one.name, path_text(one.path), one.state, one.reason) for one in volumes]
    encoder = facts.encoder.model_dump() if facts.encoder else None
    told = (facts.pending, facts.quarantined, facts.complete, facts.config_problem, facts.degraded, facts.tiers)
    hasher.update(orjson.dumps([shown, encoder, told]))
    return hasher.hexdigest(length=16)
