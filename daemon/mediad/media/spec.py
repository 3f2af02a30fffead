"""What is asked of a decoder and what it answers: shared by the daemon's side and the child's; light to import."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from importlib import metadata
from typing import Literal

import numpy as np
import numpy.typing as npt

from mediad.model import Asset, ContentId, InputSpec, Stat

DECODER_VERSION = "1"
"""Changes when the same file would give another asset or other previews; assets carry it."""

Pixels = npt.NDArray[np.uint8]


def _build() -> str:
    found = []
    for name in ("pillow", "av", "pillow-heif", "rawpy"):
        try:
            found.append(metadata.version(name))
        except metadata.PackageNotFoundError:
            found.append("")
    return f"{DECODER_VERSION}+{blake2b(repr(found).encode(), digest_size=4).hexdigest()}"


DECODER_BUILD = _build()
"""Also changes with the libraries that decode (an update, an extra installed): what failed is worth another try."""


class Undecodable(Exception):
    """The file was refused cleanly; the text says why, in words for people."""


class FileChanged(Exception):
    """The file changed while it was read or decoded: what was seen is of no one state."""


@dataclass(frozen=True)
class DecodeSpec:
    """What to make of a file.

    `input` says what the encoder wants (None: nothing). Previews fit into a square of `preview_size` pixels, GIFs into
    one of `gif_size`; `preview_quality` is 1 to 100. `keyframes` and `gif_frames` are the most that a video gives.
    A picture of more than `max_pixels` is refused by its header.
    """

    input: InputSpec | None = None
    preview_size: int = 512
    preview_format: Literal["jpeg", "webp"] = "jpeg"
    preview_quality: int = 80
    keyframes: int = 5
    gif: bool = True
    gif_size: int = 240
    gif_frames: int = 10
    max_pixels: int = 400_000_000

    @property
    def preview_suffix(self) -> str:
        return ".jpg" if self.preview_format == "jpeg" else ".webp"


@dataclass(frozen=True)
class ReadResult:
    """The identity of a file's bytes, and what the file looked like before and after they were read."""

    content_id: ContentId
    stat: Stat


@dataclass(frozen=True)
class FrameData:
    """A keyframe of a video: its time, and its encoded preview."""

    seconds: float
    preview: bytes


@dataclass(frozen=True)
class Decoded:
    """All that one decode gives. The names of previews in `asset` are None: whoever keeps the previews names them.

    `preview` is the encoded still (a video's: its first keyframe) and `preview_suffix` goes with it and with the
    frames; `inputs` are the encoder's, uint8 of shape (k, size, size, 3): k is 1 for an image, the number of keyframes
    for a video, 0 when none were asked for. `gif_seconds` is how long making the `gif` took.
    """

    asset: Asset
    preview: bytes | None
    preview_suffix: str
    inputs: Pixels
    frames: list[FrameData] = field(default_factory=list)
    gif: bytes | None = None
    gif_seconds: float = 0.0
