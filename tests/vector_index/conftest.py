"""A truth to compare with: vectors in a dictionary, searched by brute force; and an index of each kind over it."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from mediad.vector_index import VectorIndex

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

DIMENSIONS = 16
KINDS = ("flat", "sq8", "fp16")


class Truth:
    """What the store would hold: float16 vectors by id."""

    def __init__(self, dimensions: int = DIMENSIONS, seed: int = 0) -> None:
        self.vectors: dict[int, npt.NDArray[np.float16]] = {}
        self.dimensions = dimensions
        self._random = np.random.default_rng(seed)

    def make(self, ids: list[int]) -> tuple[Ids, Floats]:
        """Put new random unit vectors under `ids`; they and the ids as arrays."""
        fresh = self._random.normal(size=(len(ids), self.dimensions))
        fresh /= np.linalg.norm(fresh, axis=1, keepdims=True)
        self.vectors |= dict(zip(ids, fresh.astype(np.float16), strict=True))
        return np.array(ids, np.int64), self.exact(np.array(ids, np.int64))

    def exact(self, ids: Ids) -> Floats:
        nothing = np.full(self.dimensions, np.nan, np.float16)
        rows = [self.vectors.get(int(vector_id), nothing) for vector_id in ids]
        return np.array(rows, np.float32).reshape(len(ids), self.dimensions)

    def nearest(self, query: Floats, k: int, allowed: set[int] | None = None) -> list[tuple[int, float]]:
        """Ids and cosines of the `k` nearest, best first."""
        unit = query / np.linalg.norm(query)
        scored = [
            (vector_id, float(vector.astype(np.float32) @ unit / np.linalg.norm(vector.astype(np.float32))))
            for vector_id, vector in self.vectors.items()
            if allowed is None or vector_id in allowed
        ]
        return sorted(scored, key=lambda pair: -pair[1])[:k]


@pytest.fixture
def truth() -> Truth:
    return Truth()


@pytest.fixture(params=KINDS)
def open_index(request: pytest.FixtureRequest, tmp_path: Path, truth: Truth) -> Callable[[], VectorIndex]:
    """Opens an index of one kind (beyond 8 vectors) on the same directory each time."""

    def opened() -> VectorIndex:
        exact = truth.exact if request.param == "sq8" else None
        limit = 10_000 if request.param == "flat" else 8
        return VectorIndex(tmp_path / "index", "encoder-a", DIMENSIONS, exact=exact, flat_limit=limit)

    opened.kind = request.param  # type: ignore[attr-defined]  # a fixture's note for the test that checks the kind
    return opened


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Limits the size of files that this process may write, as a full disk would.

    Only inside the block: a log that the tests' own output goes to may be larger already.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
