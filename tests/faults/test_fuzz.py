"""Parsers of what strangers wrote: whatever the bytes, an answer that makes sense or the error that is promised."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import astuple
from datetime import datetime
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.faults import bombs

from mediad.analysis.cameras import is_camera_name, moments
from mediad.analysis.framenames import by_likelihood, split_extension
from mediad.analysis.sequences import find_sequences
from mediad.analysis.words import words_of
from mediad.channel import ChildError, receive, send
from mediad.media.decoder import Decoded, Decoder, DecodeSpec, Undecodable
from mediad.media.formats import kind_of, suffix_of
from mediad.media.metadata import of_exif
from mediad.media.sidecar import Metadata, parse_xmp
from mediad.model import InputSpec, Kind

shared_files = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/"'
    ' xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    " {attributes}><dc:subject><rdf:Bag>{items}</rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"
)
PROPERTIES = ["xmp:Rating", "xmp:CreateDate", "exif:DateTimeOriginal", "exif:GPSLatitude", "exif:GPSLongitude"]
PROPERTIES += ["exif:GPSAltitude", "exif:GPSAltitudeRef", "tiff:Make", "tiff:Model"]
VALUES = st.text(max_size=20) | st.sampled_from(
    ["5", "-1", "1e999", "nan", "٣", "2020-02-30T25:61:61Z", "9999-12-31T23:59:59+23:59", "51,30.5N", "999,0W", "1/0"]
)


@st.composite
def mutated(draw: st.DrawFn, *seeds: bytes) -> bytes:
    """A good file with some of it changed, cut out, doubled or cut off."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.integers(0, 3)):
            case 0:
                data[at : at + 4] = draw(st.binary(min_size=4, max_size=4) | st.sampled_from([b"\xff" * 4, bytes(4)]))
            case 1:
                del data[at : at + draw(st.integers(1, 64))]
            case 2:
                data[at:at] = data[at : at + draw(st.integers(1, 64))]
            case 3:
                data[at : at + 2] = draw(st.binary(min_size=2, max_size=2))
    return bytes(data)


def makes_sense(said: Metadata) -> None:
    """Metadata as the catalog can show it."""
    orjson.dumps(astuple(said))
    texts = [text for text in (said.camera, said.lens, *said.keywords) if text is not None]
    assert all(0 < len(text) <= 401 and text.isprintable() for text in texts)
    assert len(said.keywords) <= 200
    assert said.rating in (None, -1, 1, 2, 3, 4, 5)
    assert said.captured is None or datetime.fromisoformat(said.captured).year > 1904
    if said.gps is not None:
        assert len(said.gps) in (2, 3)
        assert abs(said.gps[0]) <= 90
        assert abs(said.gps[1]) <= 180


@given(st.binary(max_size=300) | mutated(XMP.format(attributes='xmp:Rating="3"', items="<rdf:li>a</rdf:li>").encode()))
def test_any_bytes_as_xmp(packet: bytes) -> None:
    with suppress(ValueError):
        makes_sense(parse_xmp(packet))


@given(st.dictionaries(st.sampled_from(PROPERTIES), VALUES), st.lists(VALUES, max_size=5))
def test_any_values_in_xmp(values: dict[str, str], keywords: list[str]) -> None:
    def quoted(text: str) -> str:
        return "".join(f"&#{ord(c)};" if c.isprintable() else "?" for c in text)

    attributes = " ".join(f'{name}="{quoted(value)}"' for name, value in values.items())
    items = "".join(f"<rdf:li>{quoted(keyword)}</rdf:li>" for keyword in keywords)
    makes_sense(parse_xmp(XMP.format(attributes=attributes, items=items).encode()))


def _exif() -> bytes:
    exif = Image.Exif()
    for tag, value in {0x010F: "Canon", 0x0110: "EOS 40D", 0x0112: 6, 0x4746: 4}.items():
        exif[tag] = value
    exif.get_ifd(0x8769).update({0x9003: "2008:10:22 16:28:39", 0x9291: "12", 0x9011: "+02:00", 0xA434: "50mm"})
    exif.get_ifd(0x8825).update({1: "N", 2: (43.0, 28.0, 2.8), 3: "E", 4: (11.0, 53.0, 6.4), 5: b"\1", 6: 100.0})
    return exif.tobytes()


@given(st.binary(max_size=400) | mutated(_exif()))
@example(_exif())
def test_any_bytes_as_exif(raw: bytes) -> None:
    exif = Image.Exif()
    with suppress(Exception):  # Pillow raises what it likes for a broken header; the decoder takes it for no EXIF
        exif.load(raw if raw.startswith(b"Exif") else b"Exif\0\0" + raw)
    makes_sense(of_exif(exif))


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    decoder = Decoder(image_deadline=20, video_deadline=20)
    yield decoder
    decoder.stop()


def outcome(decoder: Decoder, path: Path, data: bytes) -> Decoded | Undecodable | ChildError:
    try:
        return decoded(decoder, path, data)
    except (Undecodable, ChildError) as error:
        return error


def decoded(decoder: Decoder, path: Path, data: bytes) -> Decoded:
    path.write_bytes(data)
    decoder.read(os.fsencode(path))
    return decoder.decode(DecodeSpec(input=InputSpec(32)))


@settings(shared_files, max_examples=60)
@given(st.binary(max_size=400) | mutated(_exif()))
def test_a_picture_is_a_picture_whatever_its_exif_says(decoder: Decoder, tmp_path: Path, raw: bytes) -> None:
    pid = decoder.pid
    asset = decoded(decoder, tmp_path / "a.jpg", bombs.picture(1, "JPEG", exif=b"Exif\0\0" + raw)).asset
    assert {asset.width, asset.height} == {64, 48}
    assert pid in (None, decoder.pid)


STILLS = {"jpg": "JPEG", "png": "PNG", "gif": "GIF", "webp": "WEBP", "tif": "TIFF", "bmp": "BMP", "jp2": "JPEG2000"}
SEEDS = {suffix: bombs.picture(2, form) for suffix, form in STILLS.items()}
SEEDS |= {suffix: bombs.film(form) for suffix, form in (("mp4", "mp4"), ("mkv", "matroska"), ("avi", "avi"))}


@pytest.mark.long
@pytest.mark.parametrize("suffix", SEEDS)
def test_any_damage_to_a_file_is_decoded_or_refused(decoder: Decoder, tmp_path: Path, suffix: str) -> None:
    @settings(shared_files, max_examples=60)
    @given(mutated(SEEDS[suffix]))
    def check(data: bytes) -> None:
        made = outcome(decoder, tmp_path / f"a.{suffix}", data)
        if isinstance(made, Exception):
            assert str(made).isprintable()
            assert getattr(made, "reason", "crashed") == "crashed"  # a child may be lost, but not to its deadline
            return
        assert made.asset.width * made.asset.height > 0
        assert made.preview
        assert made.inputs.shape[1:] == (32, 32, 3)

    check()
    assert decoded(decoder, tmp_path / f"good.{suffix}", SEEDS[suffix]).asset.width in (64, 160)


NAMES = st.binary(min_size=1, max_size=40) | st.from_regex(rb"[-_. a-zA-Z0-9\xff%()]{0,12}[0-9]{1,12}[._-]{0,2}\w{0,4}")


@given(st.lists(NAMES, max_size=30))
@example([b"%04d.png", b"%s1.png", b"-1.exr", b"-2.exr", b"-3.exr", b"9" * 40, b"\xff1.\xff", b"\xff2.\xff", b"\n3.\n"])
def test_any_names_as_frames(names: list[bytes]) -> None:
    runs = find_sequences(names)
    members = [name for run in runs for name in run.names]
    assert len(members) == len(set(members))
    assert set(members) <= set(names)
    for run in runs:
        assert run.first < run.last
        assert len(run.missing) <= len(run.names)
        assert (run.pattern % run.first).encode(errors="replace")
    for name, places in by_likelihood(names).items():
        assert all(place.before + place.digits + place.after == name for place in places)


@given(NAMES)
def test_any_name_as_a_name(name: bytes) -> None:
    assert kind_of(name) in (None, Kind.IMAGE, Kind.VIDEO)
    assert "/" not in suffix_of(name) or b"/" in name
    stem, extension = split_extension(name)
    assert stem + (b"." + extension if extension else b"") == name
    is_camera_name(stem, extension)
    assert all(0 <= start < end <= len(stem) for start, end in moments(stem))
    assert all(word.isalnum() for word in words_of(name.decode("utf-8", "backslashreplace")))


def _received(data: bytes) -> tuple[dict[str, object], list[bytearray]]:
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            theirs.sendall(data)
        return receive(ours)


def _frame(message: dict[str, object], blobs: list[bytes]) -> bytes:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send(theirs, message, blobs)
        return ours.recv(1 << 16)


GOOD = _frame({"asset": {"width": 64}, "shape": [1, 32, 32, 3]}, [b"abc", b"", bytes(40)])


@settings(deadline=None)
@given(st.binary(max_size=100) | mutated(GOOD))
@example(struct.pack("!II", 2**32 - 1, 0))
@example(struct.pack("!II", 2, 2**32 - 1))
@example(struct.pack("!IIQQ", 2, 2, 2**63, 2**63) + b"{}")
@example(struct.pack("!IIQ", 2, 1, 2**29) + b"{}")
@example(struct.pack("!II", 20_000, 0) + b'{"a":' * 4_000)
def test_any_bytes_from_a_child(data: bytes) -> None:
    with suppress(EOFError, ValueError, ChildError):
        message, blobs = _received(data)
        assert isinstance(message, dict)
        assert sum(map(len, blobs)) <= len(data)


@given(
    st.dictionaries(st.text(), st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), max_size=5),
    st.lists(st.binary(max_size=2000), max_size=8),
)
def test_what_is_sent_arrives(message: dict[str, object], blobs: list[bytes]) -> None:
    assert _received(_frame(message, blobs)) == (message, [bytearray(blob) for blob in blobs])
