"""A decoder child for all tests of a module, and makers of small media."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from PIL import Image

from mediad.media.decoder import Decoded, Decoder, DecodeSpec

DecodeFile = Callable[..., Decoded]
Scene = Callable[[int], "np.ndarray"]


@pytest.fixture(scope="session")
def decoder() -> Iterator[Decoder]:
    decoder = Decoder()
    yield decoder
    decoder.stop()


@pytest.fixture
def decode(decoder: Decoder) -> DecodeFile:
    """Read and decode a file in one go."""

    def run(path: Path, spec: DecodeSpec | None = None) -> Decoded:
        decoder.read(os.fsencode(path))
        return decoder.decode(spec or DecodeSpec())

    return run


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    """A picture with soft colours, an edge and a bright corner: what is turned or cut off shows. 600 x 400."""
    y, x = np.mgrid[0:400, 0:600].astype(np.float32)
    pixels = np.stack([x / 600 * 255, y / 400 * 255, 128 + 100 * np.sin(x / 40) * np.cos(y / 30)], axis=-1)
    pixels[:80, :120] = (255, 250, 240)
    pixels[300:, 400:] = (20, 30, 90)
    return Image.fromarray(pixels.astype(np.uint8))


def scene(index: int) -> np.ndarray:
    """A frame of 160 x 96 in which a bar moves and the ground changes."""
    pixels = np.zeros((96, 160, 3), np.uint8)
    pixels[:] = (40, 220 - (index * 3) % 180, 60)
    left = index * 5 % 120
    pixels[20:60, left : left + 30] = (255, index * 7 % 256, 0)
    return pixels


@pytest.fixture
def film(tmp_path: Path) -> Callable[..., Path]:
    """Encode `frames` frames of `picture(index)`, ten a second, with a keyframe each `gop`."""

    def make(
        name: str,
        codec: str = "mpeg4",
        frames: int = 60,
        gop: int = 12,
        picture: Scene = scene,
        tags: dict[str, str] | None = None,
        options: dict[str, str] | None = None,
        aspect: int = 1,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w", options=options or {}) as container:
            container.metadata.update(tags or {})
            first = picture(0)
            stream = cast(av.VideoStream, container.add_stream(codec, rate=25 if codec == "mpeg2video" else 10))
            stream.height, stream.width = first.shape[:2]
            stream.pix_fmt = "yuv420p"
            stream.codec_context.gop_size = gop
            stream.codec_context.sample_aspect_ratio = Fraction(aspect)
            for index in range(frames):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(index), format="rgb24")))
            container.mux(stream.encode())
        return path

    return make
