from __future__ import annotations

import os
import signal
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from mediad.channel import ChildError
from mediad.media.decoder import DECODER_VERSION, Decoder, DecodeSpec, FileChanged, Undecodable
from mediad.model import InputSpec, Kind, content_id_of


@pytest.fixture
def own() -> Iterator[Decoder]:
    """A decoder with short deadlines, to be maltreated."""
    decoder = Decoder(read_deadline=5, image_deadline=1)
    yield decoder
    decoder.stop()


@pytest.fixture
def jpeg(tmp_path: Path, photo: Image.Image) -> Path:
    photo.save(tmp_path / "a.jpg", quality=90)
    return tmp_path / "a.jpg"


def test_read_gives_identity_and_stat(decoder: Decoder, jpeg: Path) -> None:
    result = decoder.read(os.fsencode(jpeg))
    status = jpeg.stat()
    assert result.content_id == content_id_of(jpeg.read_bytes())
    assert (result.stat.size, result.stat.mtime_ns, result.stat.inode) == (
        status.st_size,
        status.st_mtime_ns,
        status.st_ino,
    )


def test_decode_makes_everything(decoder: Decoder, jpeg: Path) -> None:
    read = decoder.read(os.fsencode(jpeg))
    made = decoder.decode(DecodeSpec(input=InputSpec(64)))
    asset = made.asset
    assert (asset.content_id, asset.kind, asset.decoder) == (read.content_id, Kind.IMAGE, DECODER_VERSION)
    assert (asset.width, asset.height, asset.format) == (600, 400, "jpeg")
    assert made.inputs.shape == (1, 64, 64, 3)
    assert made.preview is not None
    assert made.preview[:2] == b"\xff\xd8"
    assert made.frames == []
    assert asset.phash is not None
    assert len(asset.phash) == 16
    assert set(asset.scores) == {"brightness", "contrast", "sharpness"}


def test_same_file_same_answer(decoder: Decoder, jpeg: Path) -> None:
    answers = []
    for _ in range(2):
        decoder.read(os.fsencode(jpeg))
        answers.append(decoder.decode(DecodeSpec()))
    assert answers[0].asset == answers[1].asset
    assert answers[0].preview == answers[1].preview


def test_what_is_no_readable_file_is_an_os_error(decoder: Decoder, jpeg: Path, tmp_path: Path) -> None:
    (tmp_path / "link.jpg").symlink_to(jpeg)
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(FileNotFoundError):
        decoder.read(os.fsencode(tmp_path / "gone.jpg"))
    with pytest.raises(IsADirectoryError):
        decoder.read(os.fsencode(tmp_path))
    with pytest.raises(OSError, match=r"link\.jpg"):
        decoder.read(os.fsencode(tmp_path / "link.jpg"))
    with pytest.raises(OSError, match="not a regular file"):
        decoder.read(os.fsencode(tmp_path / "pipe.jpg"))
    assert decoder.read(os.fsencode(tmp_path / "link.jpg"), follow=True).stat.size == jpeg.stat().st_size


def test_reading_leaves_the_access_time(decoder: Decoder, jpeg: Path) -> None:
    os.utime(jpeg, ns=(10**18, jpeg.stat().st_mtime_ns))
    decoder.read(os.fsencode(jpeg))
    assert jpeg.stat().st_atime_ns == 10**18


def _changes(decoder: Decoder, path: Path) -> bool:
    try:
        decoder.read(os.fsencode(path))
    except FileChanged:
        return True
    return False


def test_a_file_replaced_while_it_is_read_is_changed(own: Decoder, tmp_path: Path) -> None:
    path, done = tmp_path / "big.mov", threading.Event()

    def replace() -> None:
        number = 0
        while not done.wait(0.002):
            number += 1
            other = tmp_path / f"{number}.part"
            with other.open("wb") as file:
                file.truncate(40 << 20)
            other.replace(path)

    path.touch()
    thread = threading.Thread(target=replace)
    thread.start()
    try:
        assert any(_changes(own, path) for _ in range(100))
    finally:
        done.set()
        thread.join()


def test_a_large_file_that_changes_before_its_decode_is_changed(decoder: Decoder, tmp_path: Path) -> None:
    path = tmp_path / "big.jpg"
    with path.open("wb") as file:
        file.truncate((64 << 20) + 1)
    decoder.read(os.fsencode(path))
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(FileChanged):
        decoder.decode(DecodeSpec())


def test_a_large_file_is_decoded_from_its_descriptor(decoder: Decoder, tmp_path: Path, photo: Image.Image) -> None:
    path = tmp_path / "big.jpg"
    photo.save(path)
    with path.open("ab") as file:
        file.truncate((64 << 20) + 1)
    decoder.read(os.fsencode(path))
    path.unlink()
    with pytest.raises(FileChanged):  # the change time of an unlinked file is another
        decoder.decode(DecodeSpec())
    photo.save(path)
    with path.open("ab") as file:
        file.truncate((64 << 20) + 1)
    decoder.read(os.fsencode(path))
    assert decoder.decode(DecodeSpec()).asset.width == 600


def test_a_killed_child_costs_one_request(own: Decoder, jpeg: Path) -> None:
    own.read(os.fsencode(jpeg))
    assert own.pid is not None
    os.kill(own.pid, signal.SIGSTOP)
    killer = threading.Timer(0.2, os.kill, (own.pid, signal.SIGKILL))
    killer.start()
    with pytest.raises(ChildError, match="SIGKILL") as caught:
        own.decode(DecodeSpec())
    assert caught.value.reason == "crashed"
    own.read(os.fsencode(jpeg))
    assert own.decode(DecodeSpec()).asset.width == 600


def test_a_child_lost_between_read_and_decode_has_no_file(own: Decoder, jpeg: Path) -> None:
    own.read(os.fsencode(jpeg))
    own.stop()
    with pytest.raises(ChildError, match="no file was read"):
        own.decode(DecodeSpec())


def test_a_hanging_child_is_a_timeout(own: Decoder, jpeg: Path) -> None:
    own.read(os.fsencode(jpeg))
    assert own.pid is not None
    os.kill(own.pid, signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(ChildError) as caught:
        own.decode(DecodeSpec())
    assert caught.value.reason == "timeout"
    assert time.monotonic() - started < 5
    own.read(os.fsencode(jpeg))
    assert own.decode(DecodeSpec()).asset.width == 600


def _png(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be of this size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack("!I", len(data)) + name + data + struct.pack("!I", zlib.crc32(name + data))

    header = struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0" * 1000)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_bombs_are_refused_by_their_header(own: Decoder, tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(_png(25_000, 25_000))
    own.read(os.fsencode(path))
    with pytest.raises(Undecodable, match="25000 x 25000 pixels are more than the limit of 400000000"):
        own.decode(DecodeSpec())
    path.write_bytes(_png(18_000, 18_000))
    own.read(os.fsencode(path))
    with pytest.raises(Undecodable, match="too much for a decoder's 2048 MiB"):
        own.decode(DecodeSpec())


def test_running_out_of_memory_ends_the_child_only(tmp_path: Path, jpeg: Path) -> None:
    decoder = Decoder(memory_bytes=420 << 20)
    Image.new("RGB", (8000, 5000)).save(tmp_path / "a.tif", compression="tiff_lzw")
    try:
        decoder.read(os.fsencode(tmp_path / "a.tif"))
        with pytest.raises(ChildError, match="more memory than a child may have"):
            decoder.decode(DecodeSpec())
        decoder.read(os.fsencode(jpeg))
        assert decoder.decode(DecodeSpec()).asset.width == 600
    finally:
        decoder.stop()


def test_query_pictures_follow_links_and_need_no_suffix(decoder: Decoder, jpeg: Path, tmp_path: Path) -> None:
    (tmp_path / "query").symlink_to(jpeg)
    assert decoder.decode_query(os.fsencode(tmp_path / "query"), InputSpec(32)).shape == (1, 32, 32, 3)
