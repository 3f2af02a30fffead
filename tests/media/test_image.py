from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
from PIL import Image

from mediad.media.decoder import Decoded, DecodeSpec, Undecodable
from mediad.model import InputSpec, Kind

DecodeFile = Callable[..., Decoded]

_TURNS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,  # stored as turned back, so that the tag's quarter to the right puts it upright
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def preview(made: Decoded) -> Image.Image:
    assert made.preview is not None
    return Image.open(io.BytesIO(made.preview))


def distance(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of two pictures, in levels of 0 to 255, at the size of the first."""
    a, b = (np.asarray(i.convert("RGB").resize((96, 64)), dtype=np.float32) for i in (one, other))
    return float(np.abs(a - b).mean())


@pytest.mark.parametrize(
    ("name", "kind", "mode", "options", "tolerance"),
    [
        ("a.jpg", "jpeg", "RGB", {"quality": 90}, 4),
        ("p.jpg", "jpeg", "RGB", {"quality": 90, "progressive": True}, 4),
        ("c.jpg", "jpeg", "CMYK", {"quality": 90}, 4),
        ("a.png", "png", "RGB", {}, 2),
        ("p.png", "png", "P", {}, 12),
        ("a.webp", "webp", "RGB", {"quality": 90}, 4),
        ("a.gif", "gif", "P", {}, 12),
        ("a.tif", "tiff", "RGB", {"compression": "tiff_lzw"}, 2),
        ("c.tif", "tiff", "CMYK", {}, 2),
        ("a.bmp", "bmp", "RGB", {}, 2),
        ("a.avif", "avif", "RGB", {"quality": 90, "speed": 10}, 4),
        ("a.jp2", "jpeg2000", "RGB", {}, 4),
        ("a.j2k", "jpeg2000", "RGB", {}, 4),
        ("a.tga", "tga", "RGB", {}, 2),
        ("a.ppm", "ppm", "RGB", {}, 2),
        ("no-jpeg.jpg", "png", "RGB", {"format": "PNG"}, 2),
    ],
)
def test_every_format_gives_the_picture(
    decode: DecodeFile,
    tmp_path: Path,
    photo: Image.Image,
    name: str,
    kind: str,
    mode: str,
    options: dict[str, Any],
    tolerance: float,
) -> None:
    photo.convert(mode).save(tmp_path / name, **options)
    made = decode(tmp_path / name)
    assert (made.asset.format, made.asset.width, made.asset.height) == (kind, 600, 400)
    assert preview(made).size == (512, 341)
    assert distance(preview(made), photo) < tolerance


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_orientation_is_honoured_everywhere(
    decode: DecodeFile, tmp_path: Path, photo: Image.Image, name: str, orientation: int
) -> None:
    turn = _TURNS[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    (photo.transpose(turn) if turn is not None else photo).save(tmp_path / name, exif=exif)
    made = decode(tmp_path / name, DecodeSpec(input=InputSpec(64, "squash")))
    assert (made.asset.width, made.asset.height) == (600, 400)
    assert distance(preview(made), photo) < 4
    assert distance(Image.fromarray(made.inputs[0]), photo) < 5


def test_sixteen_bits_become_eight(decode: DecodeFile, tmp_path: Path, photo: Image.Image) -> None:
    grey = np.asarray(photo.convert("L"), dtype=np.uint16) * 257
    for name in ("a.png", "a.tif"):
        Image.fromarray(grey).save(tmp_path / name)
        assert distance(preview(decode(tmp_path / name)), photo.convert("L")) < 2


def test_floats_become_grey(decode: DecodeFile, tmp_path: Path, photo: Image.Image) -> None:
    Image.fromarray(np.asarray(photo.convert("L"), dtype=np.float32) / 255).save(tmp_path / "a.tif")
    assert distance(preview(decode(tmp_path / "a.tif")), photo.convert("L")) < 2


def test_transparency_shows_a_middle_grey(decode: DecodeFile, tmp_path: Path) -> None:
    drawing = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
    drawing.paste((255, 0, 0, 255), (0, 0, 50, 100))
    for name in ("a.png", "a.webp"):
        drawing.save(tmp_path / name, lossless=True)
        pixels = np.asarray(preview(decode(tmp_path / name)), dtype=np.int16)
        assert np.abs(pixels[50, 20] - (255, 0, 0)).max() < 12
        assert np.abs(pixels[50, 80] - (128, 128, 128)).max() < 12


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_an_animation_shows_its_first_frame_with_content(
    decode: DecodeFile, tmp_path: Path, photo: Image.Image, name: str
) -> None:
    blank = Image.new("RGB", photo.size, "white")
    blank.save(tmp_path / name, save_all=True, append_images=[photo, photo.rotate(180)], duration=100)
    made = decode(tmp_path / name)
    assert made.asset.kind is Kind.IMAGE
    assert distance(preview(made), photo) < 15


def test_a_broken_profile_counts_as_none(decode: DecodeFile, tmp_path: Path, photo: Image.Image) -> None:
    photo.save(tmp_path / "a.png", icc_profile=b"no profile at all")
    assert distance(preview(decode(tmp_path / "a.png")), photo) < 2


def test_a_truncated_jpeg_is_refused(decode: DecodeFile, tmp_path: Path, photo: Image.Image) -> None:
    photo.save(tmp_path / "a.jpg")
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Undecodable, match="truncated"):
        decode(tmp_path / "a.jpg")


@pytest.mark.parametrize("data", [b"", b"\0" * 1000, b"%!PS-Adobe-3.0 EPSF-3.0\n", b"<svg/>", b"\xff\xd8\xff\xe0"])
def test_what_is_no_picture_is_refused(decode: DecodeFile, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(Undecodable):
        decode(tmp_path / "a.jpg")


def test_extras_say_how_to_get_them(decode: DecodeFile, tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 100)
    (tmp_path / "a.nef").write_bytes(b"II*\0" + b"\0" * 100)
    for name, extra, module in (("a.heic", "heic", "pillow_heif"), ("a.nef", "raw", "rawpy")):
        expected = "cannot be decoded" if importlib.util.find_spec(module) else rf"pip install 'mediad\[{extra}\]'"
        with pytest.raises(Undecodable, match=expected):
            decode(tmp_path / name)


def _write_frame(path: Path, codec: str, pixels: np.ndarray, form: str) -> None:
    frame = av.VideoFrame.from_ndarray(pixels, format=form)
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = cast(av.VideoStream, container.add_stream(codec, rate=1))
        stream.height, stream.width = pixels.shape[:2]
        stream.pix_fmt = form
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _linear(photo: Image.Image) -> np.ndarray:
    coded = np.asarray(photo, dtype=np.float32) / 255
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4).astype(np.float32)


@pytest.mark.parametrize(("name", "codec"), [("a.exr", "exr"), ("a.hdr", "hdr")])
def test_linear_frames_look_as_rendered(
    decode: DecodeFile, tmp_path: Path, photo: Image.Image, name: str, codec: str
) -> None:
    _write_frame(tmp_path / name, codec, _linear(photo), "gbrpf32le")
    made = decode(tmp_path / name, DecodeSpec(input=InputSpec(32)))
    assert (made.asset.format, made.asset.width, made.asset.height) == (codec, 600, 400)
    assert distance(preview(made), photo) < 4


def test_light_beyond_the_screen_keeps_its_order(decode: DecodeFile, tmp_path: Path) -> None:
    ramp = np.repeat(np.geomspace(0.01, 1000, 256, dtype=np.float32)[None, :, None], 64, axis=0).repeat(3, axis=2)
    ramp[0, 0], ramp[0, 1], ramp[0, 2] = np.nan, np.inf, -5.0
    _write_frame(tmp_path / "a.exr", "exr", np.ascontiguousarray(ramp), "gbrpf32le")
    grey = np.asarray(preview(decode(tmp_path / "a.exr")).convert("L"), dtype=np.float32)[8:].mean(axis=0)
    columns = grey.reshape(16, 16).mean(axis=1)
    assert (np.diff(columns) > 0).all()
    assert grey[0] < 40
    assert grey[-1] > 240


def test_film_scans_are_shown(decode: DecodeFile, tmp_path: Path, photo: Image.Image) -> None:
    _write_frame(tmp_path / "a.dpx", "dpx", np.asarray(photo), "rgb24")
    made = decode(tmp_path / "a.dpx")
    assert made.asset.format == "dpx"
    assert distance(preview(made), photo) < 4
