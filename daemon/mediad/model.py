"""The words of mediad as types: what an asset, a file, a volume, a change and a group are.

Everything else imports this module; it imports nothing of ours. Records are plain dataclasses, so that they cost
little, and have no behaviour beyond naming themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NewType

from blake3 import blake3

ContentId = NewType("ContentId", bytes)
"""Identity of the bytes of a file: the first 16 bytes of their BLAKE3 hash."""

VolumeId = NewType("VolumeId", str)
"""Eight hex digits; made once when a volume is first seen, kept when it is attached elsewhere."""

CONTENT_ID_BYTES = 16


class Kind(StrEnum):
    """What an asset is."""

    IMAGE = "image"
    VIDEO = "video"


class VolumeState(StrEnum):
    """What we know of a volume now. Only `ONLINE` lets a scan decide that a file is missing."""

    ONLINE = "online"
    OFFLINE = "offline"
    UNREADABLE = "unreadable"


class FileState(StrEnum):
    """What a file in the catalog is: there, or on a volume that is away (missing files are not in the catalog)."""

    PRESENT = "present"
    OFFLINE = "offline"


class ChangeType(StrEnum):
    """What a line of the change feed says."""

    ADDED = "added"
    CHANGED = "changed"
    MOVED = "moved"
    MISSING = "missing"
    RESTORED = "restored"
    REMOVED = "removed"
    CLUSTER_BORN = "cluster_born"
    CLUSTER_DIED = "cluster_died"
    CLUSTER_MERGED = "cluster_merged"
    CLUSTER_SPLIT = "cluster_split"
    CLUSTER_RENAMED = "cluster_renamed"
    VOLUME = "volume"
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True)
class Stat:
    """What `lstat` says that tells whether a file is still the same. Times in nanoseconds since the epoch."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Frame:
    """A keyframe chosen from a video. `preview` is a name inside the previews directory."""

    seconds: float
    preview: str | None = None


@dataclass(slots=True)
class Asset:
    """One image or video known to us, named by its content. `preview*` are names inside the previews directory.

    `captured` is ISO 8601, with the zone's offset where the file tells it; `gps` is (latitude, longitude) in
    degrees or (latitude, longitude, altitude in metres); `phash` is 16 hex digits; `duration` is in seconds.
    """

    content_id: ContentId
    kind: Kind
    width: int
    height: int
    format: str
    decoder: str
    phash: str | None = None
    captured: str | None = None
    camera: str | None = None
    lens: str | None = None
    gps: tuple[float, ...] | None = None
    rating: int | None = None
    keywords: tuple[str, ...] = ()
    preview: str | None = None
    preview_gif: str | None = None
    duration: float | None = None
    fps: float | None = None
    codec: str | None = None
    frames: tuple[Frame, ...] = ()
    scores: dict[str, float] = field(default_factory=dict)
    flags: tuple[str, ...] = ()


@dataclass(slots=True)
class File:
    """One path on one volume. `content_id` is None until the file was read.

    `relpath` is relative to the volume's root, as bytes, because names on disk are bytes. `id` (16 hex digits) stays
    with the file through renames, moves and edits. `missing_since` and `first_seen` are seconds since the epoch.
    """

    id: str
    volume: VolumeId
    relpath: bytes
    stat: Stat
    content_id: ContentId | None = None
    first_seen: float = 0.0
    missing_since: float = 0.0

    @property
    def missing(self) -> bool:
        return self.missing_since > 0


@dataclass(slots=True)
class Volume:
    """A configured root. `identity` holds what proves that a mounted file system is this volume (see `volume`)."""

    id: VolumeId
    name: str
    path: str
    state: VolumeState = VolumeState.OFFLINE
    reason: str | None = None
    last_scan: float | None = None
    identity: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the feed. `time` is seconds since the epoch; `detail` holds what the type needs (paths, ids)."""

    seq: int
    time: float
    type: ChangeType
    id: str
    detail: dict[str, Any]


@dataclass(slots=True)
class Sequence:
    """Ordered shots. `files` are file ids in order; `missing` are frame numbers inside the range with no file."""

    id: str
    kind: str
    name: str
    volume: VolumeId
    directory: bytes
    files: tuple[str, ...]
    representative: ContentId | None = None
    pattern: str | None = None
    first: int | None = None
    last: int | None = None
    missing: tuple[int, ...] = ()
    preview_gif: str | None = None


@dataclass(slots=True)
class Cluster:
    """Assets alike in embedding space (`kind` "visual") or by name ("name"); the medoid stands in its middle.

    `centroid` is a unit vector of the centred space (see `analysis.clusters`), `radius` the least cosine to it at
    which a new asset may join. Both are empty or 0 for kind "name". `user_name` is what a person called it.
    """

    id: str
    kind: str
    name: str
    medoid: ContentId
    members: tuple[ContentId, ...]
    centroid: tuple[float, ...] = ()
    radius: float = 0.0
    tags: tuple[str, ...] = ()
    user_name: str | None = None


@dataclass(frozen=True, slots=True)
class InputSpec:
    """How an encoder wants its pictures: `size` x `size` RGB pixels, uint8.

    `fit` is "crop" (shorter side to `size`, centre crop), "squash" (both sides to `size`) or "pad" (longer side to
    `size`, black border); `interpolation` is "bicubic" or "bilinear".
    """

    size: int
    fit: str = "crop"
    interpolation: str = "bicubic"


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """What made a vector. `id` names the embedding space: the encoder's spec and a hash of its weights.

    `spec` is what the configuration says, resolved ("open_clip:ViT-B-32-256/datacomp_s34b_b86k", "descriptor");
    `text` tells whether it can encode text; `backend` is how it computes here ("cuda", "mps", "cpu-bf16", ...).
    """

    id: str
    spec: str
    dimensions: int
    text: bool
    input: InputSpec
    backend: str


def content_id_of(data: bytes) -> ContentId:
    """The content id of bytes in memory."""
    return ContentId(blake3(data).digest(length=CONTENT_ID_BYTES))


def short_id(*parts: bytes | str) -> str:
    """A stable id of 16 hex digits made from `parts` (their lengths are hashed too, so parts cannot run together)."""
    hasher = blake3()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        hasher.update(len(raw).to_bytes(8, "big") + raw)
    return hasher.hexdigest(length=8)
