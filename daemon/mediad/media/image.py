"""An image file becomes an upright RGB picture, decoded no larger than what is made of it, and its metadata."""

from __future__ import annotations

import resource
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import BinaryIO

import numpy as np
from PIL import AvifImagePlugin, Image

from mediad.media import camera_raw, colour, hdr, metadata
from mediad.media.formats import RAW_SUFFIXES, how_to_get
from mediad.media.previews import least_size
from mediad.media.sidecar import Metadata
from mediad.media.spec import DecodeSpec, Undecodable

Size = tuple[int, int]
Least = Callable[[Size], Size]

# Only these are tried: others of Pillow's formats start programs (EPS), or are no pictures that anyone keeps.
_FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "DIB", "AVIF", "JPEG2000", "TGA", "PPM", "PSD", "QOI"]
_HEIF = ["HEIF"]
_ANIMATED = {"GIF", "WEBP", "PNG", "AVIF"}
_MOST_FRAMES = 10
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
# Bytes that a decode takes for each pixel, measured on 27 megapixels of each and rounded up.
_COST = {"JPEG2000": 22, "AVIF": 16, "HEIF": 16, "WEBP": 16, "GIF": 10, "PSD": 10}
_COST_OF_MODE = {"1": 2, "L": 2, "I;16": 9, "I;16B": 9, "I": 16, "F": 16, "P": 7, "PA": 10, "LA": 10, "RGBA": 10}
_COST_OF_RGB = 7
_MEMORY_SHARE = 0.7
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112

for _plugin in ("Bmp", "Gif", "Jpeg", "Jpeg2K", "Mpo", "Png", "Ppm", "Psd", "Qoi", "Tga", "Tiff", "WebP"):
    import_module(
        f"PIL.{_plugin}ImagePlugin"
    )  # importing registers it; Pillow's own `init` imports three times as many
AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # several children decode at once already


@dataclass
class Picture:
    """A decoded image: upright RGB pixels, at least as large as asked for; `width` and `height` of the original."""

    pixels: Image.Image
    width: int
    height: int
    format: str
    metadata: Metadata


def decode(file: BinaryIO, suffix: str, spec: DecodeSpec) -> Picture:
    """Decode an image file by what is in it; the suffix only tells camera RAW, which looks like TIFF.

    Raises:
        Undecodable: refused, with the reason.
        Exception: whatever the format's library raises for a file that it cannot read.
    """
    Image.MAX_IMAGE_PIXELS = spec.max_pixels
    head = file.read(64)
    file.seek(0)

    def least(size: Size) -> Size:
        return least_size(size, spec)

    if name := hdr.is_hdr(head):
        pixels, (width, height) = hdr.decode(file, name, spec.max_pixels, least)
        return Picture(pixels, width, height, name, Metadata())
    if suffix in RAW_SUFFIXES:
        return _camera_raw(file, suffix, spec, least)
    return _pillow(file, _HEIF if _is_heif(head) else _FORMATS, spec, least)


def _is_heif(head: bytes) -> bool:
    """Whether pillow-heif is to decode it; registers it. AVIF shares the container, but Pillow reads it itself."""
    brands = {head[at : at + 4] for at in range(8, min(len(head), int.from_bytes(head[:4], "big")), 4)}
    heif = head[4:8] == b"ftyp" and not brands & _AVIF_BRANDS and bool(brands & _HEIF_BRANDS)
    if not heif:
        return False
    try:
        import pillow_heif
    except ImportError:
        raise Undecodable(f"HEIC {how_to_get('heic')}") from None
    pillow_heif.options.DECODE_THREADS = 1
    pillow_heif.register_heif_opener(thumbnails=False)
    return True


def _camera_raw(file: BinaryIO, suffix: str, spec: DecodeSpec, least: Least) -> Picture:
    raw = camera_raw.read(file)
    if isinstance(raw.preview, Image.Image):
        pixels, found = raw.preview, Metadata()
    else:
        shown = _pillow(raw.preview, ["JPEG"], spec, least)
        pixels, found = shown.pixels, shown.metadata
    if (raw.width > raw.height) != (pixels.width > pixels.height):  # not every camera marks its preview as turned
        pixels = pixels.transpose(_UPRIGHT[raw.orientation]) if raw.orientation in _UPRIGHT else pixels
    return Picture(pixels, raw.width, raw.height, suffix, raw.metadata.completed(found))


def _pillow(file: BinaryIO, formats: list[str], spec: DecodeSpec, least: Least) -> Picture:
    with Image.open(file, formats=formats) as image:
        size = image.size
        _check(image, spec.max_pixels)
        image.draft(None, least(size))  # JPEG: scaled while it is decoded
        if image.format in _ANIMATED and getattr(image, "is_animated", False):
            _seek_content(image)
        image.load()
        found = metadata.of_image(image)
        turn = _UPRIGHT.get(metadata.exif_of(image).get(_ORIENTATION, 1))
        pixels = colour.to_srgb(_reduced(image, least(size)))
        if turn is not None:
            pixels = pixels.transpose(turn)
        if turn is not None and turn not in (_UPRIGHT[2], _UPRIGHT[3], _UPRIGHT[4]):
            size = size[::-1]
        return Picture(pixels, *size, _name(image), found)


def _name(image: Image.Image) -> str:
    name = str(image.format).lower()
    return "jpeg" if name == "mpo" else name  # phones put several pictures into what is a JPEG file to everyone


def _check(image: Image.Image, max_pixels: int) -> None:
    """Refuse by its header what is too large: more pixels than the limit, or than fit into this process's memory."""
    width, height = image.size
    if width * height > max_pixels:
        raise Undecodable(f"{width} x {height} pixels are more than the limit of {max_pixels}")
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    needed = width * height * _bytes_per_pixel(image)
    if limit != resource.RLIM_INFINITY and needed > limit * _MEMORY_SHARE:
        text = f"{width} x {height} pixels of {image.format} take {needed >> 20} MiB to decode"
        raise Undecodable(f"{text}, too much for a decoder's {limit >> 20} MiB")


def _bytes_per_pixel(image: Image.Image) -> int:
    if image.format in ("JPEG", "MPO"):  # progressive ones keep all coefficients, 2 bytes each
        return 8 if image.info.get("progressive") else 2
    return _COST.get(str(image.format), _COST_OF_MODE.get(image.mode, _COST_OF_RGB))


def _seek_content(image: Image.Image) -> None:
    """Go to the first frame with something on it: many animations begin with an empty one."""
    for index in range(_MOST_FRAMES):  # `n_frames` would look for all, and there may be millions
        try:
            image.seek(index)
        except EOFError:
            break
        if np.asarray(colour.to_rgb(image).resize((16, 16), Image.Resampling.BOX)).std(axis=(0, 1)).max() > 3:
            return
    image.seek(0)


def _reduced(image: Image.Image, least: Size) -> Image.Image:
    """Means of blocks where the image is far larger than needed; as it is where its mode has no mean (palettes)."""
    factor = min(image.width // max(1, least[0]), image.height // max(1, least[1]))
    if factor < 2 or image.mode not in ("L", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB"):
        return image
    return image.reduce(factor)
