"""Small renderings: how large a decode must be for all that is made of it, stills, moving GIFs, encoder inputs."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps

from mediad.media.spec import DecodeSpec, Pixels
from mediad.model import InputSpec

SMALL_SIDE = 512
"""Longer side, in pixels, of what perceptual hash and scores are made of."""

# A 4,000 pixels wide photo decoded at an eighth is 500 wide; asking for the full 512 would decode four times as many
# pixels for 12 more. No preview is ever scaled up, so those are 500 wide.
_SLACK = 0.95
_INTERPOLATION = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


def least_size(size: tuple[int, int], spec: DecodeSpec) -> tuple[int, int]:
    """The least width and height that a picture of `size` may be decoded to; never more than `size`."""
    longer, shorter = max(size), min(size)
    ratio = max(spec.preview_size, SMALL_SIDE) / longer
    if spec.input is not None:
        ratio = max(ratio, spec.input.size / (longer if spec.input.fit == "pad" else shorter))
    ratio = min(1.0, ratio * _SLACK)
    return math.ceil(size[0] * ratio), math.ceil(size[1] * ratio)


def fitted(picture: Image.Image, side: int) -> Image.Image:
    """The picture made to fit into a square of `side` pixels; smaller ones stay as they are."""
    scale = side / max(picture.size)
    if scale >= 1:
        return picture
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.HAMMING, reducing_gap=3.0)


def encode(picture: Image.Image, spec: DecodeSpec) -> bytes:
    """An RGB picture as a JPEG or WebP file, without metadata."""
    out = io.BytesIO()
    if spec.preview_format == "jpeg":
        picture.save(out, "JPEG", quality=spec.preview_quality, exif=b"", comment=b"")
    else:
        picture.save(out, "WEBP", quality=spec.preview_quality, method=2, exif=b"", xmp=b"")
    return out.getvalue()


def encoder_input(pictures: Sequence[Image.Image], spec: InputSpec) -> Pixels:
    """What an encoder wants of a picture, shape (size, size, 3). `pictures` are renderings of one, smallest first."""
    enough = (picture for picture in pictures if min(picture.size) >= spec.size)
    picture, method = next(enough, pictures[-1]), _INTERPOLATION[spec.interpolation]
    if spec.fit == "pad":
        return np.asarray(ImageOps.pad(picture, (spec.size, spec.size), method))
    width, height = picture.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side) if spec.fit == "crop" else (0, 0, width, height)
    return np.asarray(picture.resize((spec.size, spec.size), method, box=box))


def animated(stills: Sequence[Image.Image], side: int, frame_ms: int) -> bytes:
    """An endless GIF of RGB stills, fitted into `side` pixels; all take the size of the first."""
    first = fitted(stills[0], side)
    frames = [fitted(still, side).resize(first.size) for still in stills]
    # The octree quantizer takes a fifth of the time of the default and its dither hides the difference at this size.
    paletted = [frame.quantize(128, method=Image.Quantize.FASTOCTREE) for frame in frames]
    out = io.BytesIO()
    paletted[0].save(out, "GIF", save_all=True, append_images=paletted[1:], duration=frame_ms, loop=0, disposal=1)
    return out.getvalue()
