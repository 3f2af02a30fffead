"""The catalog document as types. The JSON Schema that is published beside it is made from these.

The document itself is written from cached fragments (`fragments`, `build`), not from these types, because it must
cost little; tests hold the two together. Fields typed with `None` are always there and may be null; fields that
`Optional` marks are left out where there is nothing to say.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

SCHEMA_VERSION = "1.0"
SCHEMA_NAME = "catalog.schema.json"


def _drop_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


def optional(description: str, **limits: Any) -> Any:
    """A field that may be left out of the document."""
    return Field(default=None, description=description, json_schema_extra=_drop_default, **limits)


FileId = Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time", "pattern": r"^\d{4}-.*Z$"})]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Gps(_Part):
    """Where it was taken."""

    latitude: float = Field(description="degrees, north positive")
    longitude: float = Field(description="degrees, east positive")
    altitude: float = optional("metres above the sea")


class File(_Part):
    """One image or video at one place. Files with the same `content_id` are exact copies of each other."""

    id: FileId = Field(description="stays with the file through renames, moves and edits")
    filename: str = Field(description="bytes of the name that are not UTF-8 stand as \\xNN; see relpath_bytes")
    filepath: str = Field(description="absolute path; bytes that are not UTF-8 stand as \\xNN")
    relpath_bytes: str = optional("only where the name is not UTF-8: the path below the volume's root, base64")
    filesize: int = Field(ge=0, description="bytes")
    created: Time = Field(description="the older of the file's modification and status change, as far as known")
    modified: Time = Field(description="when the file's bytes were last changed")
    content_id: str = Field(pattern="^[0-9a-f]{32}$", description="first 16 bytes of the BLAKE3 hash of its bytes")
    kind: Literal["image", "video"]
    width: int = Field(ge=0, description="pixels, as displayed (EXIF orientation honoured)")
    height: int = Field(ge=0, description="pixels, as displayed")
    captured: str = optional("ISO 8601; with the zone's offset where the file tells it")
    camera: str = optional("maker and model")
    lens: str = optional("name of the lens")
    gps: Gps = optional("where it was taken")
    rating: int = optional("stars that a person gave, 1 to 5; -1: rejected")
    keywords: list[str] = optional("what a person tagged it with")
    preview: str = optional("a still, relative to the catalog's directory")
    phash: str | None = Field(description="perceptual hash, 16 hex digits; null for what has none")
    volume: str = Field(description="id of its volume")
    state: Literal["present", "offline"] = Field(description="offline: its volume is away; nothing is known to be lost")


class Keyframe(_Part):
    """A frame chosen from a video."""

    seconds: float = Field(ge=0, description="from the start")
    preview: str = optional("a still, relative to the catalog's directory")


class Video(_Part):
    """A video, one entry for each file."""

    id: FileId = Field(description="its file's id")
    name: str = Field(description="file name without the extension")
    directory: str = Field(description="absolute path of the folder that it is in")
    filepath: str = Field(description="absolute path")
    preview_gif: str | None = Field(description="an animation, relative to the catalog's directory")
    metadata: File
    duration: float | None = Field(description="seconds")
    fps: float | None = Field(description="frames per second")
    codec: str | None
    keyframes: list[Keyframe]


class Sequence(_Part):
    """Ordered shots, listed in order. Clustered as one thing, by one representative frame."""

    id: str
    name: str
    directory: str = Field(description="absolute path of the folder that they are in")
    count: int = Field(ge=1, description="number of files listed")
    files: list[File]
    kind: str = Field(description="numbered, burst, timelapse or series")
    pattern: str = optional("file name with the frame number as printf writes it: shot_%04d.exr")
    first: int = optional("lowest frame number")
    last: int = optional("highest frame number")
    missing: list[int] = optional("frame numbers between them that have no file")
    preview_gif: str = optional("an animation, relative to the catalog's directory")


class Cluster(_Part):
    """Images and videos alike. Sequences that belong to it are named by id; their files stand there, not here."""

    id: str = Field(description="survives reclustering")
    name: str = Field(description="what a person called it, else a name made from its members")
    directory: str = Field(description="the folder that holds most of its files")
    count: int = Field(ge=0, description="number of files listed")
    files: list[File]
    kind: Literal["visual", "name"]
    medoid: FileId = Field(description="id of the file in its middle")
    tags: list[str]
    distribution: dict[str, int] = Field(description="how many of its files each folder holds, most first")
    sequences: list[str] = Field(description="ids of sequences whose representative frame is a member")
    preview: str = optional("a still of the medoid, relative to the catalog's directory")


class DuplicateFile(_Part):
    """A member of a duplicate group."""

    id: FileId
    filepath: str
    relation: Literal["keeper", "identical", "same_file"] = Field(
        description="how it relates to the keeper: it is the one; the same bytes once more; another name of the very "
        "same file (a hard link, or a symbolic link to it or to what is kept), so that to remove it frees no space"
    )


class DuplicateGroup(_Part):
    """Files that show the same."""

    id: str
    tier: Literal["exact", "variant", "similar"]
    keeper: FileId = Field(description="id of the file that we would keep")
    files: list[DuplicateFile]


class LowQuality(_Part):
    """A file that something is wrong with."""

    id: FileId
    filepath: str
    flags: list[str]
    scores: dict[str, float | None]


class Encoder(_Part):
    """What makes the embeddings that clusters and search rest on."""

    id: str = Field(description="names the embedding space: the encoder's name and a hash of its weights")
    dimensions: int = Field(ge=1)
    text: bool = Field(description="whether it understands text, so that search by words works")
    note: str | None = Field(default=None, description="said where another encoder was asked for, and why")


class VolumeEntry(_Part):
    """A configured root."""

    id: str
    name: str
    path: str
    state: Literal["online", "offline", "unreadable"]
    reason: str | None = Field(description="why it is not online")
    assets: int = Field(ge=0, description="its files in this catalog")
    last_scan: Time | None = Field(description="end of its last complete scan, as of this generation")


class Timing(_Part):
    """Seconds that work took since the start; 0: none was needed. A pass is all work until nothing is left to do.

    Each part tells of the last pass that had any of it. Parts overlap, because they go on at the same time.
    """

    total_seconds: float = Field(default=0.0, description="by the clock, from the first to the last work of a pass")
    file_discovery_seconds: float = Field(default=0.0, description="listing folders, added up over the volumes")
    directory_grouping_seconds: float = Field(default=0.0, description="looking for sequences in changed folders")
    clustering_seconds: float = Field(default=0.0, description="of the last clustering, whenever that was")
    sequence_naming_seconds: float = Field(default=0.0, description="finding names for sequences")
    gif_creation_seconds: float = Field(
        default=0.0, description="making animations of videos and sequences, added up over the processes"
    )
    json_preparation_seconds: float = Field(default=0.0, description="of this very document")


class Metadata(_Part):
    """What the document is about."""

    root_path: str = Field(description="the root, or the deepest folder above all of them")
    roots: list[str] = Field(description="the volumes' paths")
    scan_date: Time | None = Field(description="end of the latest complete scan of any volume")
    total_images: int = Field(ge=0, description="image files in sequences, clusters and unclustered")
    total_videos: int = Field(ge=0, description="video files")
    total_clusters: int = Field(ge=0)
    total_sequences: int = Field(ge=0)
    unclustered_count: int = Field(ge=0)
    complete: bool = Field(description="everything that the last scans found is read, embedded and grouped")
    pending: int = Field(ge=0, description="files that are not read or not embedded yet")
    quarantined: int = Field(ge=0, description="files that cannot be decoded; status.json names them")
    config_problem: str | None = Field(description="why the configuration file is not in force as it stands")
    degraded: str | None = Field(description="why nothing new is taken in now, such as a full disk")
    encoder: Encoder | None
    volumes: list[VolumeEntry]
    timing: Timing


class Catalog(_Part):
    """Every image and video that mediad knows.

    Each image file stands in exactly one of sequences, clusters and unclustered; each video file stands in videos,
    and in its cluster too where it has one.
    """

    schema_: str = Field(alias="$schema", description="where this schema is, relative to the document")
    schema_version: Literal["1.0"]
    generation: int = Field(ge=1, description="grows with each publication; lines of changes.ndjson name it")
    metadata: Metadata
    sequences: list[Sequence]
    clusters: list[Cluster]
    unclustered: list[File] = Field(description="images that are in no group, or not embedded yet")
    videos: list[Video]
    duplicates: list[DuplicateGroup]
    low_quality: list[LowQuality]
