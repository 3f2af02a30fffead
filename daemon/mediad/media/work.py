"""What a decoder child does with a file: pixels, then everything that is made of them, once."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from mediad.media import image, previews, video
from mediad.media.formats import kind_of, suffix_of
from mediad.media.hashes import phash
from mediad.media.keyframes import keyframes
from mediad.media.scores import scores
from mediad.media.sidecar import Metadata
from mediad.media.spec import DecodeSpec, Pixels
from mediad.model import InputSpec, Kind

Facts = dict[str, Any]
_FRAME_MS = 500


class Made:
    """What was made of one file: fields of its `Asset`, times of its keyframes, files and arrays for the wire."""

    def __init__(self, facts: Facts, stills: list[bytes], inputs: Pixels) -> None:
        self.facts, self.stills, self.inputs = facts, stills, inputs
        self.seconds: list[float] = []
        self.gif = b""
        self.gif_seconds = 0.0


def make(file: BinaryIO, path: bytes, spec: DecodeSpec) -> Made:
    """Decode an open file; a name that says nothing is taken for an image."""
    if kind_of(path) is Kind.VIDEO:
        return _of_video(video.decode(file, suffix_of(path), spec, max(spec.gif_frames, 2 * spec.keyframes)), spec)
    return _of_image(image.decode(file, suffix_of(path), spec), spec)


def _of_image(picture: image.Picture, spec: DecodeSpec) -> Made:
    small = previews.fitted(picture.pixels, previews.SMALL_SIDE)
    facts = _facts(Kind.IMAGE, picture, picture.metadata, small)
    return Made(facts, [_still(picture.pixels, small, spec)], _inputs([(small, picture.pixels)], spec.input))


def _of_video(clip: video.Clip, spec: DecodeSpec) -> Made:
    pictures = [picture for _, picture in clip.shots]
    chosen = keyframes(pictures, spec.keyframes)
    smalls = [previews.fitted(pictures[index], previews.SMALL_SIDE) for index in chosen]
    facts = _facts(Kind.VIDEO, clip, clip.metadata, smalls[0])
    facts.update(duration=clip.duration, fps=clip.fps, codec=clip.codec)
    stills = [_still(pictures[index], small, spec) for index, small in zip(chosen, smalls, strict=True)]
    made = Made(
        facts, stills, _inputs([(small, pictures[i]) for i, small in zip(chosen, smalls, strict=True)], spec.input)
    )
    made.seconds = [clip.shots[index][0] for index in chosen]
    if spec.gif and len(pictures) > 1:
        started = time.monotonic()
        made.gif = previews.animated(_at_most(pictures, spec.gif_frames), spec.gif_size, _FRAME_MS)
        made.gif_seconds = time.monotonic() - started
    return made


def _facts(kind: Kind, of: image.Picture | video.Clip, said: Metadata, small: Image.Image) -> Facts:
    return {
        "kind": kind,
        "width": of.width,
        "height": of.height,
        "format": of.format,
        "phash": phash(small),
        "scores": scores(small),
        "captured": said.captured,
        "camera": said.camera,
        "lens": said.lens,
        "gps": said.gps,
        "rating": said.rating,
        "keywords": said.keywords,
    }


def _still(full: Image.Image, small: Image.Image, spec: DecodeSpec) -> bytes:
    same = spec.preview_size == previews.SMALL_SIDE
    return previews.encode(small if same else previews.fitted(full, spec.preview_size), spec)


def _inputs(renderings: Sequence[Sequence[Image.Image]], spec: InputSpec | None) -> Pixels:
    if spec is None:
        return np.empty((0, 0, 0, 3), np.uint8)
    return np.stack([previews.encoder_input(pictures, spec) for pictures in renderings])


def inputs_from_preview(data: bytes | bytearray, spec: InputSpec) -> Pixels:
    """The encoder's input from a preview that was kept, shape (1, size, size, 3)."""
    with Image.open(io.BytesIO(data), formats=["JPEG", "WEBP"]) as still:
        return _inputs([[still.convert("RGB")]], spec)


def animate(stills: Sequence[bytes | bytearray], side: int, frame_ms: int) -> bytes:
    """A moving GIF of previews that were kept."""
    pictures = []
    for data in stills:
        with Image.open(io.BytesIO(data), formats=["JPEG", "WEBP"]) as still:
            pictures.append(still.convert("RGB"))
    return previews.animated(pictures, side, frame_ms)


def _at_most(pictures: list[Image.Image], most: int) -> list[Image.Image]:
    return [pictures[round(at)] for at in np.linspace(0, len(pictures) - 1, min(most, len(pictures)))]
