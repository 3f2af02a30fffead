from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin

from mediad.media.decoder import Decoded
from mediad.media.sidecar import camera_name, parse_xmp

DecodeFile = Callable[..., Decoded]

_XMP = b"""<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
  xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
  xmlns:aux="http://ns.adobe.com/exif/1.0/aux/" xmp:Rating="4" tiff:Make="Canon" tiff:Model="Canon EOS R5"
  exif:GPSLatitude="37,19.5N" exif:GPSLongitude="122,1,30W" exif:GPSAltitude="105/10" exif:GPSAltitudeRef="1">
  <exif:DateTimeOriginal>2021-05-06T07:08:09.5+02:00</exif:DateTimeOriginal><aux:Lens>EF 50mm</aux:Lens>
  <dc:subject><rdf:Bag><rdf:li>birds</rdf:li><rdf:li>\xc3\x89t\xc3\xa9</rdf:li><rdf:li>birds</rdf:li></rdf:Bag>
  </dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""


def test_xmp_says_everything() -> None:
    said = parse_xmp(_XMP + b" " * 2000 + b"\0")
    assert said.captured == "2021-05-06T07:08:09.500000+02:00"
    assert (said.camera, said.lens, said.rating) == ("Canon EOS R5", "EF 50mm", 4)
    assert said.gps == pytest.approx((37.325, -122.025, -10.5))
    assert said.keywords == ("birds", "Été")


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"<x",
        b"\xff\xfe\x00",
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        b'<?xml version="1.0" encoding="nonsense"?><a/>',
    ],
)
def test_what_is_no_xmp_is_a_clear_error(packet: bytes) -> None:
    with pytest.raises(ValueError, match="not readable as XMP"):
        parse_xmp(packet)


@pytest.mark.parametrize(
    ("make", "model", "name"),
    [
        ("Canon", "Canon EOS 40D", "Canon EOS 40D"),
        ("Apple", "iPhone 13", "Apple iPhone 13"),
        ("NIKON CORPORATION", "NIKON D70", "NIKON D70"),
        ("EASTMAN KODAK COMPANY", "KODAK CX7530", "KODAK CX7530"),
        ("OLYMPUS OPTICAL CO.,LTD", "C960Z", "OLYMPUS OPTICAL C960Z"),
        ("", "X100", "X100"),
        ("Canon", "", "Canon"),
        ("", "", None),
    ],
)
def test_a_camera_says_its_maker_once(make: str, model: str, name: str | None) -> None:
    assert camera_name(make, model) == name


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "Canon\0", "Canon EOS 40D"
    exif[0x4746] = 3
    shot = exif.get_ifd(ExifTags.IFD.Exif)
    shot[ExifTags.Base.DateTimeOriginal] = "2019:02:03 04:05:06"
    shot[ExifTags.Base.SubsecTimeOriginal] = "25"
    shot[ExifTags.Base.OffsetTimeOriginal] = "-05:00"
    shot[ExifTags.Base.LensModel] = "EF  24-70mm\x07"
    rational = TiffImagePlugin.IFDRational
    place = exif.get_ifd(ExifTags.IFD.GPSInfo)
    place[ExifTags.GPS.GPSLatitudeRef], place[ExifTags.GPS.GPSLongitudeRef] = "S", "E"
    place[ExifTags.GPS.GPSLatitude] = (rational(33), rational(30), rational(36))
    place[ExifTags.GPS.GPSLongitude] = (rational(151), rational(15, 2), rational(0))
    place[ExifTags.GPS.GPSAltitude] = rational(585, 10)
    return exif


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.avif"])
def test_exif_of_every_format(decode: DecodeFile, tmp_path: Path, photo: Image.Image, name: str) -> None:
    photo.save(tmp_path / name, exif=_exif())
    asset = decode(tmp_path / name).asset
    assert asset.captured == "2019-02-03T04:05:06.250000-05:00"
    assert (asset.camera, asset.lens, asset.rating) == ("Canon EOS 40D", "EF 24-70mm", 3)
    assert asset.gps == pytest.approx((-33.51, 151.125, 58.5))


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_xmp_of_every_format(decode: DecodeFile, tmp_path: Path, photo: Image.Image, name: str) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", _XMP.decode())
    options: dict[str, dict[str, Any]] = {"a.tif": {"tiffinfo": {700: _XMP}}, "a.png": {"pnginfo": text}}
    photo.save(tmp_path / name, **options.get(name, {"xmp": _XMP}))
    asset = decode(tmp_path / name).asset
    assert (asset.rating, asset.keywords, asset.camera) == (4, ("birds", "Été"), "Canon EOS R5")


def test_broken_metadata_never_costs_the_picture(decode: DecodeFile, tmp_path: Path, photo: Image.Image) -> None:
    whole = _exif().tobytes()
    for seed in range(60):
        data = bytearray(whole)
        for step in range(6):
            data[6 + (seed * 131 + step * 37) % (len(data) - 6)] = (seed * 7 + step * 91) % 256
        photo.save(tmp_path / "a.jpg", exif=bytes(data), xmp=b"<x" + bytes(data[:50]))
        assert decode(tmp_path / "a.jpg").asset.format == "jpeg"
        photo.resize((60, 40)).save(tmp_path / "a.png", exif=bytes(data[: 20 + seed * 3]))
        assert decode(tmp_path / "a.png").asset.format == "png"


def test_a_position_without_a_fix_is_none(decode: DecodeFile, tmp_path: Path, photo: Image.Image) -> None:
    exif = Image.Exif()
    place = exif.get_ifd(ExifTags.IFD.GPSInfo)
    nothing = TiffImagePlugin.IFDRational(0, 0)
    for tag in (ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLongitude):
        place[tag] = (nothing, nothing, nothing)
    photo.save(tmp_path / "a.jpg", exif=exif)
    assert decode(tmp_path / "a.jpg").asset.gps is None
