from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from mediad.media.decoder import Decoded, DecodeSpec, Undecodable
from mediad.model import InputSpec, Kind

DecodeFile = Callable[..., Decoded]
Film = Callable[..., Path]


@pytest.mark.parametrize(
    ("name", "codec", "container"),
    [
        ("a.mp4", "libx264", "mp4"),
        ("a.mov", "mpeg4", "mov"),
        ("a.mkv", "libx264", "matroska"),
        ("a.webm", "libvpx-vp9", "webm"),
        ("a.avi", "mpeg4", "avi"),
        ("a.ts", "mpeg2video", "mpegts"),
        ("a.m2v", "mpeg2video", "mpegvideo"),
        ("a.wmv", "wmv2", "asf"),
        ("a.flv", "flv", "flv"),
        ("a.3gp", "mpeg4", "3gp"),
    ],
)
def test_every_container(decode: DecodeFile, film: Film, name: str, codec: str, container: str) -> None:
    made = decode(film(name, codec), DecodeSpec(input=InputSpec(32)))
    asset = made.asset
    assert (asset.kind, asset.format, asset.width, asset.height) == (Kind.VIDEO, container, 160, 96)
    assert asset.duration == pytest.approx(60 / (asset.fps or 0), abs=0.15)
    times = [frame.seconds for frame in made.frames]
    assert len(times) == 5
    assert times == sorted(set(times))
    assert times[0] <= 0.25 * (asset.duration or 0)
    assert times[-1] >= 0.75 * (asset.duration or 0)
    assert made.inputs.shape == (5, 32, 32, 3)
    assert made.preview == made.frames[0].preview
    gif = Image.open(io.BytesIO(made.gif or b""))
    assert gif.size == (160, 96)
    assert 8 <= getattr(gif, "n_frames", 1) <= 10  # a container without an index gives the same keyframe for two places


def test_frames_show_what_was_there_at_their_time(decode: DecodeFile, film: Film) -> None:
    def grey(index: int) -> np.ndarray:
        return np.full((96, 160, 3), 40 + index * 3, np.uint8)

    for gop in (6, 1000):
        made = decode(film(f"{gop}.mp4", "libx264", picture=grey, gop=gop), DecodeSpec(input=InputSpec(32)))
        for frame, pixels in zip(made.frames, made.inputs, strict=True):
            assert pixels.mean() == pytest.approx(40 + frame.seconds * 30, abs=4)


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.avi", "mpeg4")])
def test_a_long_video_gives_keyframes_only(decode: DecodeFile, film: Film, name: str, codec: str) -> None:
    def grey(index: int) -> np.ndarray:
        return np.full((96, 160, 3), 40 + index // 8, np.uint8)

    path = film(name, codec, frames=1200, gop=50, picture=grey)
    made = decode(path)
    assert made.asset.duration == pytest.approx(120, abs=0.2)
    assert len(made.frames) == 5
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        keys = {
            round(float((p.pts or p.dts or 0) * (stream.time_base or 0)), 3)
            for p in container.demux(stream)
            if p.is_keyframe and p.size
        }
    assert {frame.seconds for frame in made.frames} <= keys


def test_black_and_repeated_frames_are_skipped(decode: DecodeFile, film: Film) -> None:
    def slides(index: int) -> np.ndarray:
        pixels = np.zeros((96, 160, 3), np.uint8)
        if 20 <= index < 40:
            pixels[:, :80] = (200, 60, 20)
        elif index >= 40:
            pixels[:48] = (20, 60, 200)
        return pixels

    made = decode(film("a.mp4", "libx264", picture=slides))
    assert len(made.frames) == 2
    assert made.frames[0].seconds >= 2


def test_an_all_black_video_keeps_one_frame(decode: DecodeFile, film: Film) -> None:
    made = decode(film("a.mp4", "libx264", picture=lambda _: np.zeros((96, 160, 3), np.uint8)))
    assert len(made.frames) == 1


def test_a_video_of_one_frame_has_no_gif(decode: DecodeFile, film: Film) -> None:
    made = decode(film("a.mp4", "libx264", frames=1))
    assert (len(made.frames), made.gif, made.gif_seconds) == (1, None, 0.0)


def test_no_gif_where_none_is_wanted(decode: DecodeFile, film: Film) -> None:
    made = decode(film("a.mp4"), DecodeSpec(gif=False, keyframes=3))
    assert (len(made.frames), made.gif) == (3, None)


def test_rotation_is_honoured(decode: DecodeFile, film: Film) -> None:
    """Phones store frames as the sensor has them, and a matrix: here a quarter turn to the right."""

    def red_on_the_left(index: int) -> np.ndarray:
        pixels = np.full((96, 160, 3), (0, 0, 60 + index), np.uint8)
        pixels[:, :60] = (255, 0, 0)
        return pixels

    path = film("a.mp4", picture=red_on_the_left)
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    assert struct.unpack_from("!9i", data, matrix) == (65536, 0, 0, 0, 65536, 0, 0, 0, 0x40000000)
    struct.pack_into("!9i", data, matrix, 0, 65536, 0, -65536, 0, 0, 96 << 16, 0, 0x40000000)
    path.write_bytes(data)
    made = decode(path)
    assert (made.asset.width, made.asset.height) == (96, 160)
    pixels = np.asarray(Image.open(io.BytesIO(made.preview or b"")), dtype=np.int16)
    assert pixels.shape[:2] == (160, 96)
    assert pixels[20, 48, 0] > 200
    assert pixels[140, 48, 0] < 60


def test_pixels_that_are_not_square(decode: DecodeFile, film: Film) -> None:
    made = decode(film("a.mp4", aspect=2))
    assert (made.asset.width, made.asset.height) == (320, 96)


def test_time_and_place_of_a_phones_video(decode: DecodeFile, film: Film) -> None:
    tags = {
        "com.apple.quicktime.creationdate": "2023-05-09T13:41:46+0100",
        "com.apple.quicktime.location.ISO6709": "+51.5334-000.1255+026.760/",
        "com.apple.quicktime.make": "Apple",
        "com.apple.quicktime.model": "iPhone 12",
    }
    made = decode(film("a.mov", tags=tags, options={"movflags": "use_metadata_tags"}))
    assert made.asset.captured == "2023-05-09T13:41:46+01:00"
    assert made.asset.gps == (51.5334, -0.1255, 26.76)
    assert made.asset.camera == "Apple iPhone 12"


def test_sound_alone_is_no_video(decode: DecodeFile, tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(Undecodable, match="no video stream"):
        decode(tmp_path / "a.mp4")


def test_playlists_open_no_other_file(decode: DecodeFile, film: Film, tmp_path: Path) -> None:
    film("secret.ts", "mpeg2video")
    text = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsecret.ts\n#EXT-X-ENDLIST\n"
    concat = "ffconcat version 1.0\nfile secret.ts\n"
    for name, playlist in (("a.mp4", text), ("a.ts", text), ("b.mp4", concat)):
        (tmp_path / name).write_text(playlist)
        with pytest.raises(Undecodable):
            decode(tmp_path / name)


def test_a_cut_off_video_gives_what_is_there(decode: DecodeFile, film: Film) -> None:
    path = film("a.mkv", "libx264", frames=200)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    made = decode(path)
    assert 1 <= len(made.frames) <= 5
    path.write_bytes(data[:200])
    with pytest.raises(Undecodable):
        decode(path)
