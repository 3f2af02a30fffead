"""Likeness of pixels: the perceptual hash."""

from __future__ import annotations

import imagehash
import scipy.fftpack  # noqa: F401 - imagehash imports it at its first hash: it shall not fail there for want of memory
from PIL import Image


def phash(picture: Image.Image) -> str:
    """The DCT hash of a picture, 16 hex digits (64 bits): imagehash's pHash, which is pHash.org's algorithm."""
    return str(imagehash.phash(picture))
