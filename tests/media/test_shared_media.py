"""What is known of real files, from cameras, phones, renderers and fuzzers."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mediad.channel import ChildError
from mediad.media.decoder import Decoded, Decoder, DecodeSpec, Undecodable
from mediad.model import Asset, InputSpec

DecodeFile = Callable[..., Decoded]


def _pixels(made: Decoded) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(made.preview or b"")).resize((90, 60)), dtype=np.float32)


@pytest.mark.parametrize(("group", "size"), [("Landscape", (1800, 1200)), ("Portrait", (1200, 1800))])
def test_all_orientations_agree(decode: DecodeFile, shared: Path, group: str, size: tuple[int, int]) -> None:
    spec = DecodeSpec(input=InputSpec(64))
    made = [decode(shared / f"media/exif/orientation/{group}_{n}.jpg", spec) for n in range(9)]
    assert {(m.asset.width, m.asset.height) for m in made} == {size}
    assert len({m.asset.phash for m in made}) == 1
    for other in made[1:]:  # they differ by the digit in the middle
        assert np.abs(_pixels(other) - _pixels(made[0])).mean() < 2
        assert np.abs(other.inputs.astype(np.int16) - made[0].inputs).mean() < 3


def test_what_cameras_wrote(decode: DecodeFile, shared: Path) -> None:
    def asset(name: str) -> Asset:
        return decode(shared / "media/exif/ianare/jpg" / name).asset

    nikon = asset("gps/DSCN0010.jpg")
    assert (nikon.captured, nikon.camera) == ("2008-10-22T16:28:39", "NIKON COOLPIX P6000")
    assert nikon.gps == pytest.approx((43.4674483, 11.8851267))
    canon = asset("Canon_40D.jpg")
    assert (canon.captured, canon.camera) == ("2008-05-30T15:56:01", "Canon EOS 40D")
    assert asset("Kodak_CX7530.jpg").gps == pytest.approx((-0.3713, 36.0564167))
    assert asset("Nikon_D70.jpg").lens == "100.0 mm f/2.8"
    assert asset("hdr/canon_hdr_YES.jpg").height == 2048
    pixel = decode(shared / "media/formats/exiftool/Google.jpg").asset
    assert pixel.captured == "2023-10-06T22:53:51.724000+02:00"
    assert decode(shared / "media/formats/exiftool/IPTC.jpg").asset.keywords == ("ExifTool", "Test", "IPTC")


def test_frames_of_a_renderer(decode: DecodeFile, shared: Path) -> None:
    made = [decode(path) for path in sorted((shared / "media/sequence/beachball").glob("*.exr"))]
    assert [(m.asset.format, m.asset.width, m.asset.height) for m in made] == [("exr", 2048, 1556)] * 3
    for m in made:
        pixels = _pixels(m)
        assert pixels.max() > 180  # the ball's white stripe
        assert np.median(pixels) < 5  # on black


def test_avif_of_every_kind(decode: DecodeFile, shared: Path) -> None:
    refused, decoded = [], []
    for path in sorted((shared / "media/formats/avif").rglob("*.avif")):
        try:
            decoded.append(decode(path).asset)
        except Undecodable:
            refused.append(path.name)
    assert {asset.format for asset in decoded} == {"avif"}
    assert len(decoded) >= 50  # the others are broken on purpose
    turned = decode(next((shared / "media/formats/avif").rglob("abc_color_irot_alpha_irot.avif"))).asset
    assert (turned.width, turned.height) == (256, 512)


def test_real_videos(decode: DecodeFile, shared: Path) -> None:
    spec = DecodeSpec(input=InputSpec(64))
    dog = decode(shared / "media/video/sam2/01_dog.mp4", spec)
    assert (dog.asset.duration, dog.asset.fps, dog.asset.codec) == (9.643, 29.97, "h264")
    assert len(dog.frames) == 5
    assert dog.inputs.shape == (5, 64, 64, 3)
    phone = decode(shared / "media/formats/androidx/mp4/dolbyVision-hdr.MOV").asset
    assert (phone.width, phone.height, phone.captured) == (720, 1280, "2023-05-09T12:41:46+01:00")
    assert phone.gps == (51.5334, -0.1255, 26.76)
    sound = shared / "media/formats/androidx/ts/sample_ac3.ts"
    with pytest.raises(Undecodable, match="no video stream"):
        decode(sound)


@pytest.mark.long
@pytest.mark.parametrize("folder", ["malformed", "formats", "exif"])
def test_every_hostile_file_is_survived(shared: Path, tmp_path: Path, photo: Image.Image, folder: str) -> None:
    decoder = Decoder(image_deadline=30, video_deadline=60)
    photo.save(tmp_path / "good.jpg")
    files = [path for path in sorted((shared / "media" / folder).rglob("*")) if path.is_file()]
    ours, ended = [], []
    try:
        for path in files:
            started = time.monotonic()
            decoder.read(os.fsencode(path))
            try:
                decoder.decode(DecodeSpec(input=InputSpec(64)))
            except Undecodable as error:
                if "Error: " in str(error):  # a mistake of ours would be named so
                    ours.append(f"{path.name}: {error}")
            except ChildError as error:
                ended.append(error.reason)
            assert time.monotonic() - started < 100
        decoder.read(os.fsencode(tmp_path / "good.jpg"))
        assert decoder.decode(DecodeSpec()).asset.width == 600
    finally:
        decoder.stop()
    assert len(files) > 50
    assert ours == []
    assert set(ended) <= {"crashed", "timeout"}
