"""Every setting of mediad: its name, type, default and bounds. `config/default.toml` gives the reason of each default.

Durations are seconds as floats here; the file may also say "30 s", "10 min", "6 h", "30 d". Sizes named `_mb` are
units of 1,000,000 bytes.
"""

from __future__ import annotations

import ipaddress
import os
import re
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from mediad.encoder_spec import parse

from .values import SOCKET_PATH_LIMIT, AbsolutePath, Seconds

Patterns = Annotated[tuple[str, ...], Field(strict=False)]  # not strict: TOML has lists, we keep tuples

LEAST_TOKEN = 16
_HOW_TO_MAKE_ONE = 'make one with: python3 -c "import secrets; print(secrets.token_urlsafe())"'


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, validate_default=True, allow_inf_nan=False)


class VolumeSettings(_Table):
    """A root that mediad watches. Its path is enough."""

    path: AbsolutePath = Field(description="Absolute path of the folder to watch; ~ is the home directory.")
    name: str = Field(default="", description="What people call the volume; by default the last part of its path.")
    recursive: bool = Field(default=True, description="Look into folders inside the volume too.")
    include: Patterns = Field(default=(), description="Take only files that match one of these patterns.")
    exclude: Patterns = Field(default=(), description="Leave out what matches one of these patterns.")
    hidden: bool = Field(default=False, description="Take files and folders whose name starts with a dot too.")
    follow_symlinks: bool = Field(default=False, description="Follow symbolic links to files and folders.")
    poll: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="Poll for changes: where needed (network and FUSE mounts), always, never.",
    )

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if "/" in name or name.startswith("~") or not (name.isprintable() and name == name.strip()):
            raise ValueError("must be plain text without / and not start with ~, so that it cannot be taken for a path")
        return name

    @field_validator("include", "exclude")
    @classmethod
    def _sensible_patterns(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            _check_pattern(pattern)
        return patterns


def _check_pattern(pattern: str) -> None:
    import pathspec  # here, because it is not light and most volumes have no patterns

    try:
        pathspec.GitIgnoreSpec.from_lines([pattern])
    except (ValueError, re.error):
        raise ValueError(f"holds {pattern!r}, which is no pattern as in a .gitignore file") from None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on `host` (a name other than localhost: not known, so no)."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _at_least(other: str, value: float, info: ValidationInfo) -> float:
    least = info.data.get(other, 0.0)
    if value < least:
        raise ValueError(f"must not be less than {other} ({least:g} s)")
    return value


class ClusteringSettings(_Table):
    """How alike assets are gathered."""

    method: Literal["umap_hdbscan", "kmeans", "agglomerative", "dbscan"] = Field(
        default="umap_hdbscan", description="The clustering method."
    )
    reduce: Literal["umap", "pca", "none"] = Field(
        default="umap", description="What makes the vectors short before clustering."
    )
    neighbors: int = Field(
        default=10, ge=2, le=1000, description="Neighbours that UMAP looks at: fewer make finer clusters."
    )
    components: int = Field(default=5, ge=2, le=512, description="Dimensions that are left after the reduction.")
    min_cluster_size: int = Field(default=5, ge=2, description="Fewer alike assets than this are no cluster.")
    clusters: int = Field(default=0, ge=0, description="Clusters to make with kmeans and agglomerative; 0: estimated.")
    by_name: bool = Field(default=True, description="Gather the files left over by their names and folders.")


class DuplicatesSettings(_Table):
    """Which duplicates are looked for."""

    tiers: Annotated[tuple[Literal["exact"], ...], Field(strict=False)] = Field(
        default=("exact",), description="Tiers of duplicates to report: exact (same bytes). Empty: none."
    )


class PreviewsSettings(_Table):
    """Small renderings of images and videos."""

    size: int = Field(default=512, ge=64, le=4096, description="Longer side of a still, in pixels.")
    format: Literal["jpeg", "webp"] = Field(default="jpeg", description="File format of stills.")
    quality: int = Field(default=80, ge=1, le=100, description="Quality of stills.")
    gif: bool = Field(default=True, description="Make animated previews of videos and of long sequences.")
    gif_size: int = Field(default=240, ge=32, le=1024, description="Longer side of an animated preview, in pixels.")
    gif_frames: int = Field(default=10, ge=2, le=100, description="Frames in an animated preview, at most.")
    keyframes: int = Field(default=5, ge=1, le=64, description="Frames taken from a video, spread over its length.")


class CatalogSettings(_Table):
    """How the catalog is published."""

    min_interval: Seconds = Field(default=0.5, ge=0, description="Least time between two rewrites of the catalog.")
    max_interval: Seconds = Field(default=30.0, ge=0, description="Most time that a change waits to be in the catalog.")
    changes_max_mb: int = Field(default=64, ge=1, description="Size at which the change feed is rotated, in MB.")

    @field_validator("max_interval")
    @classmethod
    def _not_below_min(cls, value: float, info: ValidationInfo) -> float:
        return _at_least("min_interval", value, info)


class ScheduleSettings(_Table):
    """When things are done."""

    settle: Seconds = Field(default=1.0, ge=0, description="How long a file must stay unchanged before it is read.")
    sweep: Seconds = Field(default=3600.0, ge=1, description="Time between two full scans of a watched volume.")
    poll_min: Seconds = Field(default=10.0, ge=0.1, description="Least time between two scans of a polled volume.")
    poll_max: Seconds = Field(default=600.0, ge=0.1, description="Most time between two scans of a polled volume.")
    recluster_interval: Seconds = Field(
        default=21600.0, ge=1, description="Time between clusterings, if anything changed."
    )
    recluster_changes: float = Field(
        default=0.1, gt=0, le=1, description="Share of all assets that must change to cluster again at once."
    )
    recluster_min_files: int = Field(
        default=20, ge=1, description="Fewer changes than this never cluster again at once."
    )
    retention: Seconds = Field(
        default=2592000.0, ge=0, description="How long what is missing keeps record and previews."
    )
    encoder_retry: Seconds = Field(
        default=900.0, ge=1, description="Time until an encoder that could not be started is tried again."
    )
    encoder_idle: Seconds = Field(default=60.0, ge=0, description="How long the encoder process stays without work.")
    decoder_idle: Seconds = Field(default=15.0, ge=0, description="How long decoder processes stay without work.")

    @field_validator("poll_max")
    @classmethod
    def _not_below_min(cls, value: float, info: ValidationInfo) -> float:
        return _at_least("poll_min", value, info)


class LimitsSettings(_Table):
    """What the work may cost."""

    decoders: int = Field(default=0, ge=0, le=1024, description="Decoder processes at once; 0: one for each core.")
    decoder_memory_mb: int = Field(default=2048, ge=256, description="Address space of a decoder process, in MB.")
    encoder_memory_mb: int = Field(default=0, ge=0, description="Address space of the encoder, in MB; 0: no limit.")
    image_deadline: Seconds = Field(default=30.0, ge=0.1, description="Longest time to decode an image.")
    video_deadline: Seconds = Field(default=120.0, ge=0.1, description="Longest time to take the frames of a video.")
    attempts: int = Field(default=2, ge=1, le=10, description="Failed attempts after which a file is quarantined.")
    max_pixels_mp: int = Field(default=400, ge=1, description="Largest image that is decoded, in millions of pixels.")
    nice: int = Field(default=10, ge=0, le=19, description="Niceness of child processes: 19 yields most.")
    free_space_mb: int = Field(
        default=500, ge=0, description="Free space in MB below which nothing new is taken in; 0: until it is full."
    )


class HttpSettings(_Table):
    """The page and the API."""

    enabled: bool = Field(default=True, description="Serve the page and the API over TCP too, beside the unix socket.")
    host: str = Field(default="127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(default=8765, ge=0, le=65535, description="Port to listen on; 0: any that is free.")
    socket: str = Field(default="auto", description="Unix socket that the commands use: auto or an absolute path.")
    token: SecretStr = Field(default=SecretStr(""), description="Token that every request must bear; empty: none.")

    @field_validator("socket")
    @classmethod
    def _auto_or_path(cls, value: str) -> str:
        path = os.path.expanduser(value)  # noqa: PTH111 - Path.expanduser raises for an unknown user
        if value != "auto" and not (path.startswith("/") and "\0" not in path):
            raise ValueError('must be "auto" or an absolute path')
        if len(os.fsencode(path)) > SOCKET_PATH_LIMIT:
            raise ValueError(f"is longer than the {SOCKET_PATH_LIMIT} bytes that a unix socket's path may have")
        return path

    @field_validator("token")
    @classmethod
    def _token_where_needed(cls, token: SecretStr, info: ValidationInfo) -> SecretStr:
        length, host = len(token), info.data.get("host", "127.0.0.1")
        if not length and not is_loopback(host) and info.data.get("enabled", True):
            raise ValueError(f"is needed because host {host!r} can be reached from other machines; {_HOW_TO_MAKE_ONE}")
        if 0 < length < LEAST_TOKEN:
            raise ValueError(f"must have at least {LEAST_TOKEN} characters; {_HOW_TO_MAKE_ONE}")
        return token


def name_volumes(volumes: tuple[VolumeSettings, ...]) -> tuple[VolumeSettings, ...]:
    """The same volumes, where those without a name have the last part of their path, with "-2" where it is taken."""
    taken = {volume.name for volume in volumes if volume.name}
    named = []
    for volume in volumes:
        name = volume.name or _free_name(volume, taken)
        taken.add(name)
        named.append(volume.model_copy(update={"name": name}))
    return tuple(named)


def _free_name(volume: VolumeSettings, taken: set[str]) -> str:
    stem = os.fsencode(volume.path.name or "root").decode("utf-8", "replace")
    name, number = stem, 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    return name


Volumes = Annotated[tuple[VolumeSettings, ...], Field(strict=False)]


class Settings(_Table):
    """All settings. A file with one volume's path is enough; so is none, which watches nothing."""

    encoder: str = Field(
        default="auto", description="What turns pixels into vectors: auto, descriptor, open_clip:..., timm:..."
    )
    volumes: Volumes = Field(default=(), description="What is watched.")
    clustering: ClusteringSettings = Field(default=ClusteringSettings(), description="How alike assets are gathered.")
    duplicates: DuplicatesSettings = Field(default=DuplicatesSettings(), description="Which duplicates are looked for.")
    previews: PreviewsSettings = Field(default=PreviewsSettings(), description="Small renderings of images and videos.")
    catalog: CatalogSettings = Field(default=CatalogSettings(), description="How the catalog is published.")
    schedule: ScheduleSettings = Field(default=ScheduleSettings(), description="When things are done.")
    limits: LimitsSettings = Field(default=LimitsSettings(), description="What the work may cost.")
    http: HttpSettings = Field(default=HttpSettings(), description="The page and the API.")

    @field_validator("encoder")
    @classmethod
    def _known_encoder(cls, value: str) -> str:
        parse(value)
        return value

    @field_validator("volumes")
    @classmethod
    def _named(cls, volumes: tuple[VolumeSettings, ...]) -> tuple[VolumeSettings, ...]:
        return name_volumes(volumes)

    def with_volumes(self, volumes: tuple[VolumeSettings, ...]) -> Self:
        """The same settings for other volumes, which get names where they have none."""
        return self.model_copy(update={"volumes": name_volumes(volumes)})
