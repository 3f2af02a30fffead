"""The loop that groups: sequences first, because a sequence is one member of a cluster; then clusters."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from mediad.config.settings import ScheduleSettings
from mediad.model import ChangeType, EncoderInfo
from mediad.store import Store
from mediad.workers.clusters import ClusterKeeper
from mediad.workers.sequences import SequenceKeeper

log = structlog.get_logger()

_LOOK_AGAIN = 5.0
_DEBOUNCE = 0.1
_REST = 9.0  # times as long as the last look took, while files stream in: a look is at whole directories
_BUSY_LOOK = 0.2
_JOIN = 0.1
_FIRST_REST = 60.0  # seconds after a clustering that failed; twice as many after each further one
_LONGEST_REST = 3600.0


class GroupWorker:
    """Keeps sequences and clusters in step with what is recorded. `wake` after something was."""

    name = "groups"

    def __init__(
        self,
        store: Store,
        sequences: SequenceKeeper,
        clusters: ClusterKeeper,
        schedule: ScheduleSettings,
        *,
        serving: Callable[[], EncoderInfo | None],
        ingest_busy: Callable[[], bool],
        changed: Callable[[], None],
        beat: Callable[[str], None],
    ) -> None:
        self._store = store
        self._sequences = sequences
        self._clusters = clusters
        self._schedule = schedule
        self._serving = serving
        self._ingest_busy = ingest_busy
        self._changed = changed
        self._beat = beat
        self._condition = threading.Condition()
        self._awake = True
        self._working = False
        self._rested = 0.0
        self._forced = False
        self._clustering: threading.Thread | None = None
        self._failures = 0
        self._clusters_rest = 0.0
        self._stopping = False

    def follow(self, schedule: ScheduleSettings) -> None:
        """Go by other thresholds from now on."""
        self._schedule = schedule

    def wake(self) -> None:
        with self._condition:
            self._awake = True
            self._condition.notify_all()

    def recluster(self) -> None:
        """Cluster everything anew as soon as the loop comes round."""
        with self._condition:
            self._forced = True
            self._clusters_rest = 0.0
            self._condition.notify_all()

    def recluster_if_changed(self) -> None:
        if self._clusters.changed():
            self.recluster()

    def busy(self, *, clusters: bool) -> bool:
        """Whether something recorded is not grouped yet; with `clusters`, also whether clustering is due."""
        with self._condition:
            if self._awake or self._working:
                return True
            return clusters and (self._clustering is not None or (self._able() and (self._forced or self._due())))

    @property
    def clustering(self) -> bool:
        return self._clustering is not None

    def _able(self) -> bool:
        """Whether clustering could be started now: there is an encoder, and it did not just fail."""
        return self._clustering is None and self._serving() is not None and time.monotonic() >= self._clusters_rest

    def _due(self) -> bool:
        return self._clusters.due(self._schedule.recluster_changes, self._schedule.recluster_min_files, self._serving())

    def rename(self, cluster_id: str, name: str | None) -> None:
        """Give a cluster a name of a person's; KeyError where there is none with this id."""
        with self._store.write() as tx:
            if tx.clusters.get(cluster_id) is None:
                raise KeyError(cluster_id)
            tx.clusters.rename(cluster_id, name)
            tx.journal.append(ChangeType.CLUSTER_RENAMED, cluster_id, name=name)
        self._changed()

    def stop(self) -> None:
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        self._clusters.stop()

    def run(self) -> None:
        while self._wait():
            self._beat(self.name)
            started = time.monotonic()
            try:
                if self._sequences.catch_up(self._goes_on) | self._clusters.join_fresh(self._serving()):
                    self._changed()
            finally:
                now = time.monotonic()
                with self._condition:
                    self._working = False
                    self._rested = now + _REST * (now - started)
            self._start_clustering()
        clustering = self._clustering
        while clustering is not None and clustering.is_alive():
            self._clusters.stop()  # it may have been about to start its process
            clustering.join(_JOIN)

    def _goes_on(self) -> bool:
        """A sign of life between the steps of what may take long."""
        self._beat(self.name)
        return not self._stopping

    def _wait(self) -> bool:
        with self._condition:
            if not self._awake and not (self._forced and self._able()) and not self._stopping:
                self._condition.wait(_LOOK_AGAIN)
        while time.monotonic() < self._rested and not self._forced and not self._stopping and self._ingest_busy():
            self._beat(self.name)
            with self._condition:
                self._condition.wait(_BUSY_LOOK)
        with self._condition:
            if self._awake and not self._stopping:
                self._condition.wait(_DEBOUNCE)  # a batch of records is one look
            self._working, self._awake = True, False
            return not self._stopping

    def _start_clustering(self) -> None:
        """In a thread, while the loop goes on: grouping what comes in must not wait for it."""
        serving = self._serving()
        if serving is None or not self._able() or self._stopping:
            return
        if not self._forced and (self._ingest_busy() or not self._due()):
            return
        with self._condition:  # `busy` must never see a moment between asked for and begun
            self._forced = False
            self._clustering = threading.Thread(target=self._cluster, args=(serving,), name="clustering")
            self._clustering.start()

    def _cluster(self, serving: EncoderInfo) -> None:
        done = False
        try:
            done = self._clusters.recluster(serving)
            if done:
                self._changed()
        except Exception:
            log.exception("clustering failed; the clusters stay as they are")
        finally:
            with self._condition:
                self._failures = 0 if done else self._failures + 1
                if not done:
                    rest = min(_FIRST_REST * 2.0 ** (self._failures - 1), _LONGEST_REST)
                    self._clusters_rest = time.monotonic() + rest
                self._clustering = None
                self._condition.notify_all()
