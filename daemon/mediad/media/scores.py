"""Plain figures about a picture's quality, always of the same small size, so that they compare between files."""

from __future__ import annotations

import numpy as np
from PIL import Image


def scores(small: Image.Image) -> dict[str, float]:
    """Brightness, contrast and sharpness of an RGB or grey picture whose longer side is about 500 pixels.

    `brightness` is the mean of its grey (ITU-R 601-2 luma), 0 to 1; `contrast` the standard deviation of it (0 to
    0.5); `sharpness` the variance of its Laplacian in grey levels of 0 to 255 (Pech-Pacheco 2000): under about 100 a
    photo looks blurred.
    """
    grey = np.asarray(small.convert("L"), dtype=np.float32)
    return {
        "brightness": round(float(grey.mean()) / 255, 4),
        "contrast": round(float(grey.std()) / 255, 4),
        "sharpness": round(_laplacian_variance(grey), 2),
    }


def _laplacian_variance(grey: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float:
    if min(grey.shape) < 3:
        return 0.0
    edges = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    return float(edges.var())
