"""What the encoders are for, on real photographs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.encoders.conftest import Warm

CLASSES = ("sunflower", "dalmatian", "car_side", "umbrella", "soccer_ball", "ketch")
EACH = 12


def photographs(shared: Path, size: int) -> NDArray[np.uint8]:
    """The first photographs of each class, shorter side scaled to `size`, middle taken."""
    made = []
    for name in CLASSES:
        for path in sorted((shared / "media" / "labelled" / name).iterdir())[:EACH]:
            picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
            assert picture is not None
            scale = size / min(picture.shape[:2])
            wide = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            top, left = ((side - size) // 2 for side in wide.shape[:2])
            made.append(wide[top : top + size, left : left + size])
    return np.stack(made).astype(np.uint8)


def neighbour_precision(vectors: NDArray[np.float32]) -> float:
    """How many of a photograph's five nearest are of its class, on average; by chance 0.15."""
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, -2)
    labels = np.repeat(np.arange(len(CLASSES)), EACH)
    nearest = np.argsort(-likeness, axis=1)[:, :5]
    return float((labels[nearest] == labels[:, None]).mean())


def test_mini_clip_finds_what_words_say(shared: Path, warm: Warm) -> None:
    encoder = warm("mini_clip")
    vectors = encoder.encode_images(photographs(shared, encoder.info().input.size))
    queries = encoder.encode_text([name.replace("_", " ") for name in CLASSES])
    best = np.argsort(-(queries @ vectors.T), axis=1)[:, :8] // EACH
    assert (best[0] == 0).all(), "the first eight for sunflower are sunflowers"
    assert (best == np.arange(len(CLASSES))[:, None]).mean() > 0.9
    assert neighbour_precision(vectors) > 0.9


def test_descriptor_is_far_better_than_chance(shared: Path, warm: Warm) -> None:
    encoder = warm("descriptor")
    vectors = encoder.encode_images(photographs(shared, encoder.info().input.size))
    assert neighbour_precision(vectors) > 0.5
    unlike = (vectors[:EACH] @ vectors[EACH:].T).mean()
    assert unlike == pytest.approx(0.25, abs=0.15), "unlike pictures are far apart"
