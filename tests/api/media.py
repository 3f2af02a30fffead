"""Makes a small library that has some of everything."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import numpy as np
from PIL import Image


def draw(path: Path, seed: int, *, hue: int = 0) -> Path:
    """A picture that no other seed gives, mostly of the colour channel `hue`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 80, (6, 8, 3), np.uint8)
    coarse[..., hue] += 150
    Image.fromarray(coarse).resize((160, 120), Image.Resampling.BICUBIC).save(path)
    return path


def film(path: Path, frames: int = 40) -> Path:
    """A video in which a bar wanders over a ground that changes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 160, 96, "yuv420p", 5
        for index in range(frames):
            pixels = np.full((96, 160, 3), (40, 220 - index * 4, 60), np.uint8)
            pixels[20:60, index * 3 : index * 3 + 30] = (255, index * 6, 0)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        out.mux(stream.encode())
    return path


def make_library(root: Path) -> Path:
    """12 pictures of two sorts, a copy, a numbered sequence of 12 frames, a video, a file that is no picture."""
    for seed in range(6):
        draw(root / "roses" / f"rose {'abcdef'[seed]}.png", seed)
        draw(root / "sea" / f"wave-{'uvwxyz'[seed]}.jpg", 100 + seed, hue=2)
    shutil.copy(root / "sea" / "wave-u.jpg", root / "sea" / "again.jpg")
    for frame in range(12):
        draw(root / "render" / f"shot.{frame:04}.png", 500 + frame, hue=1)
    film(root / "film.mp4")
    (root / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 this is no picture")
    return root
