"""Recall beyond the flat limit, where it is hardest: near copies in crowds, arriving crowd by crowd."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mediad.vector_index import VectorIndex

DIMENSIONS, CROWDS, CROWD = 96, 200, 60


def unit(vectors: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled


def recall_at_10(index: VectorIndex, queries: np.ndarray, vectors: np.ndarray) -> float:
    wanted = np.argsort(-(queries @ vectors.T), axis=1)[:, :10]
    _, found = index.search(queries, 10)
    return float(np.mean([len(set(one) & set(other)) / 10 for one, other in zip(wanted, found, strict=True)]))


def test_what_the_store_no_longer_has_is_not_found(tmp_path: Path) -> None:
    made = unit(np.random.default_rng(0).normal(size=(50, 8))).astype(np.float32)
    gone = {3, 4}

    def exact(ids: np.ndarray) -> np.ndarray:
        return np.where(np.isin(ids, list(gone))[:, None], np.nan, made[ids])

    index = VectorIndex(tmp_path, "encoder", 8, exact=exact, flat_limit=20)
    index.rebuild([(np.arange(50), made)])
    scores, ids = index.search(made[3:4], 6)
    wanted = [one for one in np.argsort(-(made @ made[3])) if one not in gone]
    assert ids[0].tolist() == wanted[:6]
    assert scores[0].tolist() == pytest.approx((made @ made[3])[wanted[:6]].tolist(), abs=1e-5)
    _, every = index.search(made[3:4], 50)
    assert every[0].tolist() == [*wanted, -1, -1]


@pytest.mark.parametrize("kind", ["sq8", "fp16"])
def test_recall_beyond_the_flat_limit(tmp_path: Path, kind: str) -> None:
    random = np.random.default_rng(0)
    middles = np.repeat(unit(random.normal(size=(CROWDS, DIMENSIONS))), CROWD, axis=0)
    made = unit(middles + 0.02 * random.normal(size=middles.shape)).astype(np.float16).astype(np.float32)
    vectors = unit(made).astype(np.float32)
    index = VectorIndex(
        tmp_path, "encoder", DIMENSIONS, exact=(lambda ids: made[ids]) if kind == "sq8" else None, flat_limit=3000
    )
    index.load()
    for start in range(0, len(vectors), 500):
        index.add(np.arange(start, start + 500), made[start : start + 500])
    assert index.kind == kind
    near = vectors[random.choice(len(vectors), 100)]
    far = unit(random.normal(size=(100, DIMENSIONS))).astype(np.float32)
    assert recall_at_10(index, near, vectors) >= 0.99
    assert recall_at_10(index, far, vectors) >= 0.99
    if kind == "sq8":  # the ranking is what does it: eight bits alone would not pass
        _, coarse = index._shelf.search(near, 10, None)  # type: ignore[union-attr]  # loaded above
        wanted = np.argsort(-(near @ vectors.T), axis=1)[:, :10]
        assert np.mean([len(set(one) & set(other)) for one, other in zip(wanted, coarse, strict=True)]) < 9.5
