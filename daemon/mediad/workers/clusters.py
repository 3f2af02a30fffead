"""Clusters, kept up to date: everything anew now and then, and each new asset into the nearest cluster at once."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import structlog

from mediad.analysis.assign import nearest
from mediad.analysis.build import give_names, name_clusters_of, visual_clusters
from mediad.analysis.client import Clusterer
from mediad.analysis.settings import ClusterSettings
from mediad.analysis.stability import carry_over
from mediad.catalog.document import Timing
from mediad.channel import ChildError, Limits
from mediad.media.formats import kind_of
from mediad.model import Cluster, ContentId, EncoderInfo, File, Kind
from mediad.store import Store, Transaction
from mediad.workers.stopwatch import Stopwatch

log = structlog.get_logger()

_STATE = "clustering"  # in meta: {space, mean, total, at}: what the present clusters were made of
_CHANGED = "clustering_changed"
_FRESH = 1000

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Material:
    """What is clustered: contents in order, their vectors (n, d), and for each the path of one of its files.

    `videos` are the rows that are no images: they are gathered by what they show, not by their names.
    """

    ids: list[ContentId]
    vectors: Vectors
    paths: list[str]
    videos: set[int]


class ClusterKeeper:
    """Clusters the store's assets. `recluster` takes long and may run beside `join_fresh`; both are safe together."""

    def __init__(
        self, store: Store, settings: ClusterSettings, stopwatch: Stopwatch, *, by_name: bool, nice: int
    ) -> None:
        self._store = store
        self._stopwatch = stopwatch
        self._settings = settings
        self._by_name = by_name
        self._clusterer = Clusterer(limits=Limits(nice=nice))
        self._stopped = False
        self._lock = threading.Lock()  # from reading the clusters to writing them

    def configure(self, settings: ClusterSettings, *, by_name: bool) -> bool:
        """Take other settings over; whether they are other ones."""
        changed = (settings, by_name) != (self._settings, self._by_name)
        self._settings, self._by_name = settings, by_name
        return changed

    def due(self, share: float, least: int, serving: EncoderInfo | None) -> bool:
        """Whether enough has changed since the clusters were made (or they are of another space)."""
        if serving is None:
            return False
        with self._store.read() as tx:
            state = tx.meta.get(_STATE)
            changed = tx.meta.get(_CHANGED) or 0
        if state is None or state["space"] != serving.id:
            return bool(changed >= self._settings.min_cluster_size)
        return bool(changed >= max(least, share * state["total"]))

    def changed(self) -> bool:
        """Whether anything was embedded since the clusters were made."""
        with self._store.read() as tx:
            return bool(tx.meta.get(_CHANGED))

    def timing(self) -> Timing:
        """How long the work of the last passes took; the last clustering may have been before the start."""
        with self._store.read() as tx:
            state = tx.meta.get(_STATE) or {}
        return self._stopwatch.timing().model_copy(update={"clustering_seconds": state.get("seconds", 0.0)})

    # -- one by one

    def join_fresh(self, serving: EncoderInfo | None) -> bool:
        """Offer what was embedded lately to the nearest cluster; whether any joined."""
        with self._lock, self._store.write() as tx:
            fresh = tx.vectors.take_fresh(_FRESH)
            if not fresh:
                return False
            tx.meta.put(_CHANGED, (tx.meta.get(_CHANGED) or 0) + len(fresh))
            state = tx.meta.get(_STATE)
            if serving is None or state is None or state["space"] != serving.id:
                return False
            return self._join(tx, fresh, serving, np.array(state["mean"], np.float32))

    def _join(self, tx: Transaction, fresh: list[ContentId], serving: EncoderInfo, mean: Vectors) -> bool:
        clusters = [cluster for cluster in tx.clusters if cluster.kind == "visual"]
        if not clusters:
            return False
        placed = {content_id for cluster in tx.clusters for content_id in cluster.members}
        centroids = np.array([cluster.centroid for cluster in clusters], np.float32)
        radii = np.array([cluster.radius for cluster in clusters], np.float32)
        joined = False
        for content_id in fresh:
            vector = tx.vectors.get(serving.id, content_id) if content_id not in placed else None
            index = nearest(vector, centroids, radii, mean) if vector is not None else None
            if index is not None:
                tx.clusters.add_member(clusters[index].id, content_id)
                joined = True
        return joined

    # -- everything

    def recluster(self, serving: EncoderInfo) -> bool:
        """Cluster everything in the clustering process and take the result over; False when that failed."""
        started = time.monotonic()
        with self._store.read() as tx:
            material = _material(tx, serving.id)
            counted = tx.meta.get(_CHANGED) or 0
        try:
            found, mean = self._find(material)
        except ChildError as error:
            if self._stopped:
                return False
            log.error("clustering failed; the clusters stay as they are", reason=str(error))
            return False
        with self._lock, self._store.write() as tx:
            self._take_over(tx, found, material)
            seconds = round(time.monotonic() - started, 3)
            state = {"space": serving.id, "mean": mean.tolist(), "total": len(material.ids), "seconds": seconds}
            tx.meta.put(_STATE, state)
            tx.meta.put(_CHANGED, max(0, (tx.meta.get(_CHANGED) or 0) - counted))
            tx.meta.count("reclusters")
        self._stopwatch.add("clustering", seconds)
        log.info("clustered", assets=len(material.ids), clusters=len(found), seconds=seconds)
        return True

    def _find(self, material: Material) -> tuple[list[Cluster], Vectors]:
        labels = self._clusterer.cluster(material.vectors, self._settings)
        built = visual_clusters(labels, material.vectors, material.ids)
        rest = [index for index in np.flatnonzero(labels < 0).tolist() if index not in material.videos]
        if not self._by_name or not rest:
            return built.clusters, built.mean
        names = self._clusterer.by_name([material.paths[index] for index in rest])
        return built.clusters + name_clusters_of(names, [material.ids[index] for index in rest]), built.mean

    def _take_over(self, tx: Transaction, found: list[Cluster], material: Material) -> None:
        clusters: list[Cluster] = []
        for kind in ("visual", "name"):  # an id never changes its kind
            old = {cluster.id: set(cluster.members) for cluster in tx.clusters if cluster.kind == kind}
            new = [cluster for cluster in found if cluster.kind == kind]
            clusters += self._carry(tx, old, new)
        placed = {member for cluster in clusters for member in cluster.members}
        paths = dict(zip(material.ids, material.paths, strict=True))
        give_names(clusters, [content_id for content_id in material.ids if content_id not in placed], paths)
        tx.clusters.replace_all(clusters)

    def _carry(self, tx: Transaction, old: dict[str, set[ContentId]], new: list[Cluster]) -> list[Cluster]:
        carried = carry_over(old, [set(cluster.members) for cluster in new], lambda at: new[at].id)
        for event in carried.events:
            tx.journal.append(event.type, event.id, **event.detail)
        return [replace(cluster, id=kept) for cluster, kept in zip(new, carried.ids, strict=True)]

    def stop(self) -> None:
        self._stopped = True
        self._clusterer.stop()


def _material(tx: Transaction, space: str) -> Material:
    """Every embedded asset that some file has; of a sequence only its representative."""
    inside = _only_in_sequences(tx)
    ids: list[ContentId] = []
    vectors: list[Vectors] = []
    paths: list[str] = []
    videos: set[int] = set()
    for batch, values in tx.vectors.batches(space):
        kept = []
        for row, content_id in enumerate(batch):
            file = _file_of(tx, content_id) if content_id not in inside else None
            if file is not None:
                if kind_of(file.relpath) is Kind.VIDEO:
                    videos.add(len(ids))
                ids.append(content_id)
                paths.append(os.fsdecode(file.relpath))
                kept.append(row)
        vectors.append(values[kept])
    return Material(ids, np.concatenate(vectors) if vectors else np.empty((0, 1), np.float32), paths, videos)


def _file_of(tx: Transaction, content_id: ContentId) -> File | None:
    return next((file for file in tx.files.of(content_id) if not file.missing), None)


def _only_in_sequences(tx: Transaction) -> set[ContentId]:
    """Contents all of whose files are frames of sequences, less the representatives."""
    frames: dict[ContentId, int] = {}
    representatives = set()
    for sequence in tx.sequences:
        representatives.add(sequence.representative)
        for file_id in sequence.files:
            file = tx.files.by_id(file_id)
            if file is not None and file.content_id is not None:
                frames[file.content_id] = frames.get(file.content_id, 0) + 1
    return {
        content_id
        for content_id, count in frames.items()
        if content_id not in representatives and count >= sum(not file.missing for file in tx.files.of(content_id))
    }
