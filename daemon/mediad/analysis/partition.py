"""Methods that are told, or guess, the number or size of clusters: k-means, agglomerative, DBSCAN."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors, kneighbors_graph

from mediad.analysis.settings import ClusterSettings

Points = NDArray[np.float64]
Labels = NDArray[np.int32]

_MOST_CLUSTERS = 300
_CANDIDATES = 24
_SAMPLE = 4_000  # points that a silhouette is measured on; it costs the square of them
_MOST_DENSE = 10_000  # the full distance matrix of more points than this takes gigabytes
_REACHES = (50, 60, 70, 80, 85, 90, 95, 98)


def kmeans(points: Points, settings: ClusterSettings) -> Labels:
    """K-means; the number of clusters by silhouette unless `settings.clusters` says it."""

    def fit(count: int) -> Labels:
        return np.asarray(KMeans(count, n_init=4, random_state=settings.seed).fit_predict(points), np.int32)

    return _with_best_count(points, settings, fit)


def agglomerative(points: Points, settings: ClusterSettings) -> Labels:
    """Ward's method; many points are joined only along their neighbours, which keeps memory linear."""
    graph = kneighbors_graph(points, settings.neighbors) if len(points) > _MOST_DENSE else None

    def fit(count: int) -> Labels:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a neighbour graph in several pieces is completed, and only noted
            model = AgglomerativeClustering(count, connectivity=graph, linkage="ward")
            return np.asarray(model.fit_predict(points), np.int32)

    return _with_best_count(points, settings, fit)


def dbscan(points: Points, settings: ClusterSettings) -> Labels:
    """DBSCAN; the reach is that percentile of the distances to a k-th neighbour whose clusters stand apart best."""
    nearest = NearestNeighbors(n_neighbors=min(settings.min_cluster_size, len(points))).fit(points)
    reach = nearest.kneighbors(points)[0][:, -1]
    candidates = sorted({float(value) for value in np.percentile(reach, _REACHES) if value > 0})
    tried = (
        np.asarray(DBSCAN(eps=eps, min_samples=settings.min_cluster_size).fit_predict(points), np.int32)
        for eps in candidates
    )
    return _best(points, tried, settings)


def _with_best_count(points: Points, settings: ClusterSettings, fit: Callable[[int], Labels]) -> Labels:
    if settings.clusters is not None:
        return fit(min(settings.clusters, len(points)))
    most = min(_MOST_CLUSTERS, len(points) // settings.min_cluster_size)
    if most < 2:
        return np.zeros(len(points), np.int32)
    counts = sorted({round(count) for count in np.geomspace(2, most, _CANDIDATES)})
    return _best(points, (fit(count) for count in counts), settings)


def _best(points: Points, candidates: Iterable[Labels], settings: ClusterSettings) -> Labels:
    """The labelling with the highest silhouette, weighted by the share of points that it places."""
    best, best_score = np.full(len(points), -1, np.int32), -1.0
    for labels in candidates:
        score = _silhouette(points, labels, settings.seed)
        if score > best_score:
            best, best_score = labels, score
    return best


def _silhouette(points: Points, labels: Labels, seed: int) -> float:
    """Mean silhouette of the placed points times their share; -1 when there is nothing to compare."""
    placed = np.flatnonzero(labels >= 0)
    share = len(placed) / len(points)
    if len(placed) > _SAMPLE:
        placed = np.sort(np.random.default_rng(seed).choice(placed, _SAMPLE, replace=False))
    if not 2 <= len(np.unique(labels[placed])) < len(placed):
        return -1.0
    return float(silhouette_score(points[placed], labels[placed])) * share
