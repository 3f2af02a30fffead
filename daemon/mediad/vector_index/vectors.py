"""Ids and vectors as the index takes them, and the checks that keep anything else out of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

NO_ID = -1
"""Stands in a search result where there is no further neighbour."""

_UNIT_TOLERANCE = 0.02  # float16 rounding moves a 512-d norm by under 0.001; more than this is no embedding of ours


def vector_id(content_id: bytes) -> int:
    """The id of an asset's vector: the first 8 bytes of its content id as a big-endian signed integer."""
    return int.from_bytes(content_id[:8], "big", signed=True)


def vector_ids(content_ids: Sequence[bytes]) -> Ids:
    """The ids of many assets' vectors, int64 of shape (n,), in their order."""
    return np.frombuffer(b"".join(content_id[:8] for content_id in content_ids), ">i8").astype(np.int64)


def checked_ids(ids: npt.ArrayLike) -> Ids:
    """Ids as int64 of shape (n,); ValueError on another shape or type, because a rounded id is another asset."""
    array = np.asarray(ids)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(f"ids must be integers of shape (n,), got {array.dtype} of shape {array.shape}")
    return array.astype(np.int64)


def checked_vectors(vectors: npt.ArrayLike, dimensions: int) -> Floats:
    """Vectors as contiguous float32 of shape (n, dimensions); ValueError on another shape."""
    array = np.ascontiguousarray(vectors, np.float32)
    if array.ndim != 2 or array.shape[1] != dimensions:
        raise ValueError(f"vectors must have shape (n, {dimensions}), got {array.shape}")
    return array


def unit_rows(vectors: Floats) -> npt.NDArray[np.bool_]:
    """Which rows are finite and of length 1 within the tolerance, bool of shape (n,)."""
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(vectors, axis=1)
        good: npt.NDArray[np.bool_] = np.abs(lengths - 1) <= _UNIT_TOLERANCE  # false where not finite
    return good


def normalized(vectors: Floats) -> Floats:
    """Rows scaled to length 1; ValueError where a row is zero or not finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise ValueError("query vectors must be finite and not zero")
    scaled: Floats = vectors / lengths
    return scaled


def last_of_each(ids: Ids) -> npt.NDArray[np.int64]:
    """Where each distinct id stands for the last time in `ids`: positions, in order of id."""
    _, from_end = np.unique(ids[::-1], return_index=True)
    return len(ids) - 1 - from_end
