"""Files that mean harm: small ones that claim to be huge, that take for ever, and that nest without end."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import cast

import av
import numpy as np
from PIL import Image

_XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b"%s</rdf:RDF></x:xmpmeta>"
)
_LARGEST = 2**31 - 1


def picture(seed: int, form: str, **options: object) -> bytes:
    """A small picture in one of Pillow's formats."""
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    data = io.BytesIO()
    Image.fromarray(coarse).resize((64, 48), Image.Resampling.BICUBIC).save(data, form, **options)
    return data.getvalue()


def film(container: str, seed: int = 0, frames: int = 20, codec: str = "mpeg4") -> bytes:
    """A video of two seconds, 160 x 96."""
    data = io.BytesIO()
    with av.open(data, "w", format=container) as target:
        stream = cast(av.VideoStream, target.add_stream(codec, rate=10))
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.gop_size = 5
        for index in range(frames):
            pixels = np.random.default_rng(seed + index // 5).integers(0, 255, (6, 10, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(np.kron(pixels, np.ones((16, 16, 1), np.uint8)), format="rgb24")
            target.mux(stream.encode(frame))
        target.mux(stream.encode())
    return data.getvalue()


def endless_jpeg(seed: int = 0, scans: int = 20_000) -> bytes:
    """A progressive JPEG of 16 megapixels that refines itself `scans` times: a fast machine decodes 1,000 a second.

    2 MB of valid file; the decoder neither crashes nor needs memory, it only works on.
    """
    data = io.BytesIO()
    Image.new("L", (4000, 4000), 128).save(data, "JPEG", progressive=True, quality=50)
    plain = data.getvalue()
    second = [segment for segment in _segments(plain) if segment[0] == 0xDA][1]
    start, end = second[1:]
    return plain[:end] + plain[start:end] * scans + plain[end:] + b"%d" % seed


def _segments(jpeg: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each; a scan's end is that of its entropy-coded data."""
    at = 2
    while jpeg[at + 1] != 0xD9:
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if jpeg[at + 1] == 0xDA:
            while jpeg[end] != 0xFF or jpeg[end + 1] in (0, *range(0xD0, 0xD8)):
                end += 1
        yield jpeg[at + 1], at, end
        at = end


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + name + data + struct.pack("!I", zlib.crc32(name + data))


def _png(width: int, height: int) -> bytes:
    header = _chunk(b"IHDR", struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", zlib.compress(bytes(1000))) + _chunk(b"IEND", b"")


def _gif(width: int, height: int, frames: int = 1) -> bytes:
    """Frames of one pixel on a canvas of any size."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    return head + (b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x44\1\0") * frames + b";"


def _tiff(width: int, height: int) -> bytes:
    strips = 40
    tags = [(256, width), (257, height), (258, 8), (259, 5), (262, 1), (273, 8), (277, 1), (278, height), (279, strips)]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + strips) + bytes(strips) + directory + bytes(4)


def _webp(side: int) -> bytes:
    data = bytearray(picture(1, "WEBP", lossless=True))
    at = data.index(b"VP8L") + 9
    (bits,) = struct.unpack_from("<I", data, at)
    struct.pack_into("<I", data, at, bits & 0xF0000000 | (side - 1) | (side - 1) << 14)
    return bytes(data)


def _with_chunk(name: bytes, data: bytes, seed: int) -> bytes:
    plain = picture(seed, "PNG")
    return plain[:33] + _chunk(name, data) + plain[33:]


def _with_xmp(packet: bytes, seed: int) -> bytes:
    return _with_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet, seed)


def _with_exif(tiff: bytes, seed: int) -> bytes:
    return picture(seed, "JPEG", exif=b"Exif\0\0" + tiff)


def _exif_loop() -> bytes:
    """Directories that are their own subdirectories and their own successors."""
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, 8) for tag in (0x8769, 0x8825, 0xA005))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 3) + entries + struct.pack("<I", 8)


def _exif_huge() -> bytes:
    """65,535 entries, each of which claims the same 20 MB."""
    entries = b"".join(struct.pack("<HHII", tag, 2, 20 << 20, 8) for tag in range(65535))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 65535) + entries + bytes(20 << 20)


def _laughs() -> bytes:
    """A billion words out of nine entities."""
    entities = b'<!ENTITY a "lollollol">'
    entities += b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    return b"<!DOCTYPE l [" + entities + b"]>" + _XMP % b"<rdf:Description>&j;</rdf:Description>"


def _absurd(clip: bytes, *fields: tuple[bytes, int, bytes]) -> bytes:
    """A video that says something else: (what stands in front, bytes behind its start, new bytes), wherever it does."""
    data = bytearray(clip)
    for name, offset, value in fields:
        at = data.find(name)
        assert at >= 0
        while at >= 0:
            data[at + offset : at + offset + len(value)] = value
            at = data.find(name, at + 1)
    return bytes(data)


def bombs() -> dict[str, bytes]:
    """Name -> file. None may be taken in: there is no picture in it."""
    most, mp4 = struct.pack("!I", _LARGEST), film("mp4")
    raw, jpegs = film("avi", codec="rawvideo"), film("avi", codec="mjpeg")
    return {
        "large.png": _png(19_000, 19_000),
        "larger.png": _png(30_000, 30_000),
        "largest.png": _png(_LARGEST, _LARGEST),
        "largest.gif": _gif(65_535, 65_535),
        "large.tif": _tiff(19_000, 19_000),
        "largest.tif": _tiff(_LARGEST, _LARGEST),
        "largest.webp": _webp(16_384),
        "text.png": _with_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(300 << 20), 9), 1),
        "samples.mp4": _absurd(mp4, (b"stsz", 12, most)),
        "wide.avi": _absurd(raw, (b"strf", 12, most[::-1] * 2)),
        "frames.avi": _absurd(jpegs, (b"\xff\xc0\x00\x11\x08", 5, b"\x7f\xff\xff\xf0")),  # only its frames are huge
    }


def traps() -> dict[str, bytes]:
    """Name -> file. There is a picture in each, beside something that would take for ever if it were followed."""
    most = struct.pack("!I", _LARGEST)
    deep, wide = 300_000, 100_000
    nested = b"<rdf:Description>" * wide + b"</rdf:Description>" * wide
    mp4 = film("mp4", 30)
    return {
        "deep-xmp.png": _with_xmp(_XMP % (b"<a>" * deep + b"</a>" * deep), 2),
        "nested-xmp.png": _with_xmp(_XMP % nested, 3),
        "laughs.jpg": picture(4, "JPEG", xmp=_laughs()),
        "huge-xmp.png": _with_xmp(_XMP % (b'<rdf:Description a="' + b"x" * (20 << 20) + b'"/>'), 5),
        "loop-exif.jpg": _with_exif(_exif_loop(), 6),
        "huge-exif.png": _with_chunk(b"eXIf", _exif_huge(), 7),
        "frames.gif": _gif(16, 16, 1_000_000),
        "long.mp4": _absurd(mp4, (b"mvhd", 20, most), (b"tkhd", 24, most), (b"mdhd", 20, most)),
    }


def truncated() -> dict[str, bytes]:
    """Name -> file, cut in the middle of every part."""
    whole = {suffix: picture(40, form) for suffix, form in _FORMS.items()} | {
        suffix: film(form, 40) for suffix, form in _CONTAINERS.items()
    }
    cuts = (0.02, 0.3, 0.6, 0.9, 0.999)
    return {
        f"cut{int(share * 1000)}.{suffix}": data[: int(len(data) * share)]
        for suffix, data in whole.items()
        for share in cuts
    }


_FORMS = {"jpg": "JPEG", "png": "PNG", "gif": "GIF", "webp": "WEBP", "tif": "TIFF", "bmp": "BMP", "avif": "AVIF"}
_FORMS |= {"jp2": "JPEG2000", "ppm": "PPM", "tga": "TGA"}
_CONTAINERS = {"mp4": "mp4", "mkv": "matroska", "avi": "avi", "ts": "mpegts"}
