"""Which cluster a new asset joins at once, before the next reclustering."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mediad.analysis.space import Vectors, into


def nearest(vector: NDArray[np.floating], centroids: Vectors, radii: NDArray[np.floating], mean: Vectors) -> int | None:
    """The cluster whose centroid is nearest, if `vector` lies within its radius.

    Args:
        vector: (d,), an embedding as the encoder gave it.
        centroids: (k, d), unit vectors of the centred space.
        radii: (k,), the least cosine to each centroid at which an asset may join.
        mean: (d,), what leads into the centred space.

    Returns:
        The index of the cluster, or None. Of equally near ones the first.
    """
    if not len(centroids):
        return None
    likeness = centroids @ into(vector, mean)
    best = int(likeness.argmax())
    return best if likeness[best] >= radii[best] else None
