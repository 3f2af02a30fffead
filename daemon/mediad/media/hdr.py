"""Pictures with more range than a screen: OpenEXR, Radiance and DPX frames, made into RGB.

FFmpeg decodes them: Pillow does not read them, and OpenCV's wheels are built without OpenEXR.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

from mediad.media.spec import Undecodable

Floats = npt.NDArray[np.float32]
Size = tuple[int, int]

_MAGIC = {
    b"\x76\x2f\x31\x01": "exr",
    b"#?RADIANCE": "hdr",
    b"#?RGBE": "hdr",
    b"SDPX": "dpx",
    b"XPDS": "dpx",
}

# Frames whose mean (of logarithms) lies in here are shown at the exposure that they were made with; others are moved
# to the nearest end. A middle grey is 0.18; this is three stops below it to two above.
_DARKEST, _BRIGHTEST = 0.18 / 8, 0.18 * 4
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
_PLANES = {"gbr": (2, 0, 1), "gra": (0, 0, 0)}
_MAX_HEADER = 1 << 20


def is_hdr(head: bytes) -> str | None:
    """The format's name ("exr", "hdr", "dpx") by a file's first bytes, or None."""
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


def decode(file: BinaryIO, name: str, max_pixels: int, least: Callable[[Size], Size]) -> tuple[Image.Image, Size]:
    """A file that `is_hdr` named so as an RGB picture of at least `least(its size)`, and its size; alpha is left out.

    Raises:
        Undecodable: it has no colour channels that we know, or too many pixels.
        Exception: whatever FFmpeg raises for a file that it cannot read.
    """
    options = {}
    if name == "exr":
        layer = exr_layer(file.read(_MAX_HEADER))
        options = {"layer": layer} if layer else {}
        file.seek(0)
    container: Any = av.open(file, format=f"{name}_pipe")
    with container:
        codec = container.streams.video[0].codec_context
        size = (codec.width, codec.height)
        if math.prod(size) > max_pixels:
            raise Undecodable(f"{size[0]} x {size[1]} pixels are more than the limit of {max_pixels}")
        codec.thread_count = 1
        codec.options = options
        frame = next(container.decode(video=0), None)
        if frame is None:
            raise Undecodable("it holds no picture")
        if "f" not in frame.format.name:  # DPX: film codes, shown as they are
            return Image.fromarray(frame.to_ndarray(format="rgb24")), size
        return tone_mapped(_reduced(_linear(frame), least(size))), size


def exr_layer(header: bytes) -> str:
    """The layer to show of an OpenEXR file: "" where it has plain R, G, B or Y, else the first that has R, G and B."""
    names = _exr_channels(header)
    if {"R", "G", "B"} <= set(names) or "Y" in names:
        return ""
    layers = [name[:-2] for name in names if name.endswith(".R")]
    whole = [layer for layer in layers if f"{layer}.G" in names and f"{layer}.B" in names]
    if not whole:
        raise Undecodable("none of its layers has colours (R, G and B)")
    return next((layer for layer in whole if layer.lower().endswith("combined")), whole[0])


def _exr_channels(header: bytes) -> list[str]:
    """Channel names, from the attribute of type chlist (openexr.com, "OpenEXR File Layout")."""
    at, names = 8, []
    while at < len(header) and header[at]:
        name, kind, _ = header[at : at + 600].split(b"\0", 2)
        start = at + len(name) + len(kind) + 2
        (length,) = struct.unpack_from("<I", header, start)
        at = start + 4 + length
        if kind == b"chlist":
            channels = header[start + 4 : at]
            while channels and channels[0]:
                channel, _, channels = channels.partition(b"\0")
                names.append(channel.decode("latin-1"))
                channels = channels[16:]  # pixel type, linearity, sampling
            return names
    raise Undecodable("its header has no list of channels")


def _linear(frame: Any) -> Floats:
    """The planes of a float frame as one array; FFmpeg keeps them in the order green, blue, red."""
    order = _PLANES.get(frame.format.name[:3])
    kind = {"16": "<f2", "32": "<f4"}.get(frame.format.name[-4:-2])
    if order is None or kind is None or not frame.format.name.endswith("le"):
        raise Undecodable(f"its pixels come as {frame.format.name}, which is no linear light")
    rows = []
    for plane in frame.planes:
        samples = np.frombuffer(plane, kind).reshape(plane.height, -1)
        rows.append(samples[:, : frame.width])
    linear: Floats = np.empty((frame.height, frame.width, 3), np.float32)
    for colour, index in enumerate(order):
        linear[..., colour] = rows[index]
    return linear


def _reduced(linear: Floats, least: tuple[int, int]) -> Floats:
    """Means of blocks, as few as still give `least` (width, height): light adds up, so this comes before the curve."""
    height, width = linear.shape[:2]
    factor = max(1, min(width // max(1, least[0]), height // max(1, least[1])))
    whole = linear[: height // factor * factor, : width // factor * factor]
    blocks = whole.reshape(height // factor, factor, width // factor, factor, 3)
    means: Floats = blocks.mean(axis=(1, 3), dtype=np.float32)
    return means


def tone_mapped(linear: Floats) -> Image.Image:
    """Linear light as an sRGB picture: exposure, Reinhard's curve with a white point, the sRGB transfer function.

    The curve is equation 4 of Reinhard et al. 2002, "Photographic Tone Reproduction for Digital Images", on luminance,
    with the 99.9th percentile (at least 1) as white: where nothing is brighter than 1 it changes nothing, so a frame
    rendered for the screen looks as its renderer shows it. NaN and negative light count as 0, infinite as the
    brightest finite value.
    """
    finite = np.isfinite(linear)
    brightest = float(linear.max(where=finite, initial=0.0))
    light = np.clip(np.where(np.isnan(linear), 0.0, linear), 0.0, min(brightest, 1e9)).astype(np.float32)
    light *= _exposure(light @ _LUMA)
    luminance = light @ _LUMA
    white = max(1.0, float(np.percentile(luminance, 99.9)))
    light *= ((1 + luminance / white**2) / (1 + luminance))[..., None]
    np.clip(light, 0.0, 1.0, out=light)
    coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return Image.fromarray((coded * 255 + 0.5).astype(np.uint8))


def _exposure(luminance: Floats) -> float:
    lit = luminance[luminance > 1e-6]
    if not lit.size:
        return 1.0
    mean = float(np.exp(np.log(lit).mean()))
    return min(max(mean, _DARKEST), _BRIGHTEST) / mean
