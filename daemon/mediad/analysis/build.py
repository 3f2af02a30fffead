"""Labels to clusters: members, medoid, centroid, radius, name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mediad.analysis.naming import name_clusters
from mediad.analysis.space import Vectors, centre, unit
from mediad.model import Cluster, ContentId, short_id

# A new asset may join a cluster when it lies no farther out than all but the outermost twentieth of the members.
_OUTERMOST = 5


@dataclass(frozen=True, slots=True)
class Built:
    """Clusters, the largest first, and the mean (d,) of the embeddings that they were made from.

    `mean` leads a new embedding into the clusters' space (`space.into`, `assign.nearest`): keep it with them.
    """

    clusters: list[Cluster]
    mean: Vectors


def visual_clusters(labels: NDArray[np.int32], embeddings: NDArray[np.floating], ids: Sequence[ContentId]) -> Built:
    """Clusters of kind "visual" from labels, without names: see `give_names`.

    Args:
        labels: (n,), -1 for noise.
        embeddings: (n, d), the rows that were clustered.
        ids: the n content ids of the rows.

    Returns:
        Clusters with members sorted by content id and an id made from the medoid's; `stability.carry_over` gives
        them the ids of before, after which they can be named.
    """
    vectors, mean = centre(embeddings)
    clusters = [_visual(np.flatnonzero(labels == label), vectors, ids) for label in range(labels.max(initial=-1) + 1)]
    clusters.sort(key=lambda cluster: (-len(cluster.members), cluster.medoid))
    return Built(clusters, mean)


def _visual(rows: NDArray[np.intp], vectors: Vectors, ids: Sequence[ContentId]) -> Cluster:
    members = [ids[row] for row in rows.tolist()]
    centroid = unit(vectors[rows].mean(axis=0))
    likeness = vectors[rows] @ centroid
    # Rounded, so that pictures that are the same to the encoder tie, and the id decides.
    medoid = min(zip(-np.round(likeness, 6), members, strict=True))[1]
    return Cluster(
        id=short_id("visual", medoid),
        kind="visual",
        name="",
        medoid=medoid,
        members=tuple(sorted(members)),
        centroid=tuple(centroid.tolist()),
        radius=float(np.percentile(likeness, _OUTERMOST)),
    )


def name_clusters_of(labels: NDArray[np.int32], ids: Sequence[ContentId]) -> list[Cluster]:
    """Clusters of kind "name" from the labels of `client.Clusterer.by_name`; the medoid is the least content id."""
    clusters = []
    for label in range(labels.max(initial=-1) + 1):
        members = tuple(sorted(ids[row] for row in np.flatnonzero(labels == label).tolist()))
        clusters.append(Cluster(short_id("name", members[0]), "name", "", members[0], members))
    clusters.sort(key=lambda cluster: (-len(cluster.members), cluster.medoid))
    return clusters


def give_names(clusters: Sequence[Cluster], others: Sequence[ContentId], paths: Mapping[ContentId, str]) -> None:
    """Set name and tags of each cluster from words in the paths of its members.

    Call it with all clusters at once: names tell the clusters apart and are unique.

    Args:
        clusters: changed in place.
        others: the assets outside all of them.
        paths: one path an asset, relative to its volume; assets without one are passed over.
    """
    members = [[paths[member] for member in cluster.members if member in paths] for cluster in clusters]
    outside = [paths[other] for other in others if other in paths]
    for cluster, named in zip(clusters, name_clusters(members, outside), strict=True):
        cluster.name, cluster.tags = named.name, named.tags
