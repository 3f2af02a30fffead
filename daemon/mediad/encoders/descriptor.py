"""The built-in encoder that needs no weights: colour, gradient and texture statistics.

What it sees is alike in look, not in meaning: on 30 classes of 32 photographs, 0.44 of a photograph's 10 nearest
neighbours are of its class (chance: 0.03). The three parts, each with its source:
colour, histograms of hue and lightness over a 3 x 3 grid; gradients, histograms of orientations over a 5 x 5 grid
(Dalal and Triggs, "Histograms of oriented gradients for human detection", 2005); texture, the histogram of uniform
local binary patterns (Ojala et al., "Multiresolution gray-scale and rotation invariant texture classification with
local binary patterns", 2002). Square roots tame the large bins (Arandjelovic and Zisserman, "Three things everyone
should know to improve object retrieval", 2012); each part is centred, so that unlike pictures have a low cosine.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mediad.model import EncoderInfo, InputSpec

_SIZE = 128
_COLOUR_GRID, _HUES, _LIGHTS = 3, 8, 4
_GRADIENT_GRID, _ORIENTATIONS = 5, 9
_PATTERNS = 59
_FLAT = 3
"""A neighbour counts as lighter only when it is by this many levels: noise and JPEG's blocks stay out of it."""
_WEIGHTS = (0.7, 1.5, 0.7)
"""Of colour, gradients and texture, tried on the photographs named above."""

INFO = EncoderInfo(
    id="descriptor:1",
    spec="descriptor",
    dimensions=_COLOUR_GRID**2 * (_HUES + _LIGHTS) + _GRADIENT_GRID**2 * _ORIENTATIONS + _PATTERNS,
    text=False,
    input=InputSpec(_SIZE, "crop", "bilinear"),
    backend="cpu-numpy",
)

Pixels = NDArray[np.uint8]
Numbers = NDArray[np.float64]


def encode(pictures: Pixels) -> NDArray[np.float32]:
    """Unit vectors, float32 (n, d), of pictures, uint8 (n, 128, 128, 3)."""
    rows = np.stack([_encode_one(picture) for picture in pictures])
    return rows.astype(np.float32)


def _encode_one(picture: Pixels) -> Numbers:
    grey: Pixels = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
    parts = (_colour(picture), _gradients(grey), _texture(grey))
    row = np.concatenate([weight * _centred(part) for weight, part in zip(_WEIGHTS, parts, strict=True)])
    return _unit(row)


def _centred(histogram: Numbers) -> Numbers:
    roots = np.sqrt(histogram / max(histogram.sum(), 1e-9))
    return _unit(roots - roots.mean())


def _unit(row: Numbers) -> Numbers:
    return row / max(float(np.linalg.norm(row)), 1e-9)


def _cells(n: int) -> NDArray[np.intp]:
    """The number of the grid cell that each pixel is in."""
    line = np.arange(_SIZE) * n // _SIZE
    return line[:, None] * n + line[None, :]


_COLOUR_CELLS = _cells(_COLOUR_GRID)
_GRADIENT_CELLS = _cells(_GRADIENT_GRID)


def _soft(
    cells: NDArray[np.intp], position: NDArray[np.floating], weight: NDArray[np.floating], bins: int, count: int
) -> Numbers:
    """Weighted histograms of `count` cells, each value shared between its two nearest of `bins` bins, which wrap."""
    low = np.floor(position).astype(np.intp)
    share: NDArray[np.floating] = position - low
    base, both = cells * bins, count * bins
    lower = np.bincount((base + low % bins).ravel(), (weight * (1 - share)).ravel(), both)
    upper = np.bincount((base + (low + 1) % bins).ravel(), (weight * share).ravel(), both)
    return np.asarray(lower + upper, np.float64).reshape(count, bins)


def _colour(picture: Pixels) -> Numbers:
    """Hue counted as far as a pixel is colourful, lightness as far as it is grey."""
    hue, saturation, value = np.moveaxis(cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2HSV), -1, 0)
    chroma = saturation * value
    count = _COLOUR_GRID**2
    hues = _soft(_COLOUR_CELLS, hue / 360 * _HUES, chroma, _HUES, count)
    lights = _soft(_COLOUR_CELLS, np.minimum(value, 0.999999) * (_LIGHTS - 1), 1 - chroma, _LIGHTS, count)
    return np.hstack([hues, lights]).ravel()


def _gradients(grey: Pixels) -> Numbers:
    root = np.sqrt(grey.astype(np.float32) / 255)  # Dalal and Triggs' gamma
    across, down = (cv2.Sobel(root, cv2.CV_32F, dx, 1 - dx, ksize=1) for dx in (1, 0))
    angle = np.arctan2(down, across) % np.pi / np.pi * _ORIENTATIONS
    return _soft(_GRADIENT_CELLS, angle, np.hypot(across, down), _ORIENTATIONS, _GRADIENT_GRID**2).ravel()


def _uniform_patterns() -> NDArray[np.intp]:
    """For each of the 256 patterns of eight neighbours its bin: one each for the 58 with two steps or fewer."""
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    uniform = (bits != np.roll(bits, 1, axis=1)).sum(axis=1) <= 2
    bins = np.full(256, _PATTERNS - 1, np.intp)
    bins[uniform] = np.arange(_PATTERNS - 1)
    return bins


_BIN_OF_PATTERN = _uniform_patterns()
_AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))


def _texture(grey: Pixels) -> Numbers:
    levels = grey.astype(np.int16)
    middle = levels[1:-1, 1:-1] + _FLAT
    patterns = np.zeros(middle.shape, np.intp)
    for bit, (dy, dx) in enumerate(_AROUND):
        patterns |= (levels[1 + dy : _SIZE - 1 + dy, 1 + dx : _SIZE - 1 + dx] >= middle).astype(np.intp) << bit
    return np.bincount(_BIN_OF_PATTERN[patterns].ravel(), minlength=_PATTERNS).astype(np.float64)
