"""Which of a video's frames stand for it: not the black ones, no two alike, spread over its length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

Grey = npt.NDArray[np.float32]

# A frame is near-black when 95 % of its pixels are darker than this, of 255; a night street's lamps keep it.
_BLACK = 32
# Two frames are alike when their small greys differ by less than this on average: coding noise is about 1.
_ALIKE = 2.5
_SIDE = 32


def keyframes(pictures: Sequence[Image.Image], most: int) -> list[int]:
    """Indices of at most `most` of the pictures, in order; at least one: the brightest where all are black."""
    greys = [_grey(picture) for picture in pictures]
    chosen: list[int] = []
    for index, grey in enumerate(greys):
        black = np.percentile(grey, 95) < _BLACK
        if not black and all(np.abs(grey - greys[other]).mean() >= _ALIKE for other in chosen):
            chosen.append(index)
    if not chosen:
        return [int(np.argmax([grey.mean() for grey in greys]))]
    spread = np.linspace(0, len(chosen) - 1, min(most, len(chosen)))
    return [chosen[round(position)] for position in spread]


def _grey(picture: Image.Image) -> Grey:
    small = picture.resize((_SIDE, _SIDE), Image.Resampling.BOX, reducing_gap=2.0)
    return np.asarray(small.convert("L"), dtype=np.float32)
