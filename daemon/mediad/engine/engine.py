"""The whole: builds the parts, starts them in order, stops them in reverse, and answers for them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from mediad.catalog.interval import Interval
from mediad.catalog.metadata import Facts
from mediad.catalog.publish import Publisher
from mediad.catalog.status import write_status
from mediad.config.locations import Locations, ensure
from mediad.config.problems import ConfigError
from mediad.config.settings import ScheduleSettings, Settings
from mediad.config.watch import ConfigFile
from mediad.engine import again, memory, options
from mediad.engine.encoder_care import EncoderCare
from mediad.engine.errors import EngineError
from mediad.engine.library import Library
from mediad.engine.room import Room
from mediad.engine.status import Progress, facts_of, live_status
from mediad.engine.store_care import StoreKeeper
from mediad.engine.timetable import Timetable
from mediad.engine.volume_set import VolumeSet
from mediad.events import Event, Events, Subscription
from mediad.ingest.job import Ended, Job
from mediad.ingest.pipeline import Pipeline
from mediad.ingest.previews import Previews
from mediad.ingest.recorder import Callbacks
from mediad.ingest.stages import Context
from mediad.model import ContentId, EncoderInfo, Volume
from mediad.store import StoreDamaged
from mediad.supervisor import Supervisor
from mediad.workers import upkeep
from mediad.workers.calendar import follow_clock
from mediad.workers.clusters import ClusterKeeper
from mediad.workers.groups import GroupWorker
from mediad.workers.preview_care import PreviewCare
from mediad.workers.publisher import PublishWorker
from mediad.workers.sequences import SequenceKeeper
from mediad.workers.stopwatch import Stopwatch
from mediad.workers.volume import VolumeWorker

log = structlog.get_logger()

_TICK = 2.0
_HOUR = 3600.0
_INDEX_IDLE = 300.0
_AT_START = ("limits", "previews", "catalog", "http")
_MAPPED = 128_000_000
_POLL = 0.02
_HURRY = 0.1


class Engine(Library):
    """The running daemon. It follows `config` where there is one; without, the settings stay as they are."""

    def __init__(self, locations: Locations, settings: Settings, config: ConfigFile | None = None) -> None:
        ensure(locations)
        memory.limit()
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # children's threads that wait leave the core to others
        self._previews = Previews(locations.catalog / "previews")
        self._keeper = StoreKeeper(locations, settings.limits.free_space_mb * 1_000_000)
        try:
            super().__init__(locations, settings, store=self._keeper.store)
        except StoreDamaged:
            self._keeper.store.close()
            raise
        self.started = time.time()
        self.page: str | None = None
        self.events = Events()
        self._told = 0  # the generation that was last announced
        self.config_problems: list[str] = []
        self._config = config
        self._started_with = settings
        self._reloading = threading.Lock()
        self._stopping = threading.Event()
        self._stop_lock = threading.Lock()
        self._supervisor = Supervisor()
        self._timetable = Timetable()
        self.progress = Progress()
        self._stopwatch = Stopwatch()
        self._worked = True
        self._build(settings)

    # -- composition

    def _build(self, settings: Settings) -> None:
        locations, store = self.locations, self.store
        limits = settings.limits
        self._room = Room(
            store,
            (locations.state, locations.catalog),
            limits.free_space_mb * 1_000_000,
            self._sacrifice,
            self._changed,
        )
        self._volumes = VolumeSet(
            store,
            self._supervisor,
            settings,
            work_added=self._work_added,
            changed=self._changed,
            held=self._room.held,
            stopwatch=self._stopwatch,
        )
        self._publisher = PublishWorker(
            Publisher(store, locations.catalog, changes_max_bytes=settings.catalog.changes_max_mb * 1_000_000),
            Interval(settings.catalog.min_interval, settings.catalog.max_interval),
            self._facts,
            self._published,
            self._supervisor.beat,
            self._room.refused,
        )
        previews = settings.previews
        self._sequence_decoder = options.make_decoder(settings)
        self._clusters = ClusterKeeper(
            store,
            options.cluster_settings(settings),
            self._stopwatch,
            by_name=settings.clustering.by_name,
            nice=limits.nice,
        )
        sequences = SequenceKeeper(
            store,
            self._previews,
            self._sequence_decoder,
            self._stopwatch,
            gif_size=previews.gif_size,
            gif_frames=previews.gif_frames if previews.gif else 0,
        )
        self._preview_care = PreviewCare(store, self._previews, self._work_added, sequences.look_again)
        self._groups = GroupWorker(
            store,
            sequences,
            self._clusters,
            settings.schedule,
            serving=lambda: self._spaces.serving,
            ingest_busy=self._ingesting,
            changed=self._publisher.changed,
            beat=self._supervisor.beat,
        )
        self._pipeline = Pipeline(
            Context(
                store,
                self._previews,
                self._volumes.root_of,
                lambda: self._spaces.filling,
                options.decode_spec(settings),
                self._volumes.follows,
                self._volumes.proven,
                self._room.held,
                self._room.refused,
                limits.attempts,
            ),
            lambda: options.make_decoder(settings),
            self._spaces.encode_images,
            options.readers(settings),
            Callbacks(self._recorded, self._ended, self._beat),
        )
        self._encoder = EncoderCare(
            self._spaces, self._pipeline, locations.weights, settings.schedule.encoder_retry, self._changed
        )

    def _beat(self, name: str) -> None:
        if name == "recorder":
            self._supervisor.beat(name)

    # -- life

    def start(self) -> None:
        """Start everything; returns while the first scans are under way."""
        self._room.look()
        again.after_update(self.store)
        with self._publisher.volumes_change:
            self._supervisor.start("publisher", self._publisher.run, self._publisher.stop, vital=True)
            self._supervisor.start("groups", self._groups.run, self._groups.stop, vital=True)
            self._supervisor.start("encoder", lambda: self._encoder.prepare(self.settings.encoder), self._encoder.stop)
            self._volumes.take(self.settings)
        every = self._timetable.every
        every(_TICK, self._tick)
        every(_HOUR, self._hourly)
        self._schedule(self.settings.schedule)
        self._timetable.start()
        self._timetable.soon(self._follow_clock)
        if self._config is not None:
            self._config.load()
            self._config.start(self._config_changed)
        log.info("mediad is running", state=str(self.locations.state), catalog=str(self.locations.catalog))

    def _schedule(self, schedule: ScheduleSettings) -> None:
        self._timetable.every(schedule.encoder_retry, self._encoder.retry)
        self._timetable.every(schedule.recluster_interval, self._groups.recluster_if_changed)

    def stop(self) -> None:
        """Stop in reverse; everything acknowledged is durable, everything under way is done again next time."""
        with self._stop_lock:
            if self._stopping.is_set():
                return
            self._stopping.set()
        ended = threading.Event()
        hurry = threading.Thread(target=self._hurry, args=(ended,), name="hurry", daemon=True)
        hurry.start()
        try:
            self._encoder.stop()
            if self._config is not None:
                self._config.stop()
            self._timetable.stop()
            self._volumes.stop_watching()
            self._supervisor.stop_all()
        finally:
            ended.set()
            hurry.join()
        if not self._room.held():
            self._search.save(self._publisher.generation)
        self._keeper.stop()
        self.close()
        self._keeper.ended()
        log.info("mediad has stopped")

    def _hurry(self, ended: threading.Event) -> None:
        """End the children that loops wait for. Again and again: a loop may have been about to start one."""
        while True:
            self._spaces.stop()
            self._sequence_decoder.stop()
            self._query_decoder.stop()
            self._clusters.stop()
            if ended.wait(_HURRY):
                return

    def wait(self) -> None:
        """Until `stop` is called from elsewhere."""
        self._stopping.wait()

    def stuck(self) -> list[str]:
        """Vital loops that show no sign of life; while there are any, the service manager should not be assured."""
        return self._supervisor.stuck()

    # -- what the parts tell

    def _changed(self) -> None:
        self._publisher.changed()

    def _work_added(self) -> None:
        self._pipeline.wake()
        self._publisher.changed()

    def _recorded(self, jobs: list[Job]) -> None:
        embedded = [job for job in jobs if job.vectors is not None and job.encoder is not None]
        self._index(self._spaces.serving, embedded)
        self.progress.add(sum(job.item is not None for job in jobs))
        self._stopwatch.add("gif_creation", sum(job.gif_seconds for job in jobs))
        self._groups.wake()
        self._publisher.changed()

    def _index(self, serving: EncoderInfo | None, jobs: list[Job]) -> None:
        """Vectors that the store has taken; not those of what was forgotten while it was encoded."""
        if serving is None or not jobs:
            return
        with self.store.read() as tx:
            pairs: list[tuple[ContentId, Any]] = [
                (job.content_id, job.vectors[0])
                for job in jobs
                if job.encoder and job.encoder.id == serving.id and job.content_id and job.vectors is not None
                if tx.vectors.has(serving.id, job.content_id)
            ]
        if pairs:
            self._search.add(serving, [content_id for content_id, _ in pairs], np.stack([v for _, v in pairs]))

    def _ended(self, job: Job, ended: Ended) -> None:
        log.info("file not taken in", path=os.fsdecode(job.path), reason=ended.why, retry=ended.retry_after)
        self.progress.add(1)
        if job.file is not None and ended.retry_after is None:
            self._volumes.hint(job.file.volume, os.path.dirname(job.file.relpath), False)
        self._publisher.changed()

    def _published(self, generation: int) -> None:
        write_status(self.locations.catalog, self.status())
        self._worked = True
        if generation != self._told:
            self._told = generation
            self.events.publish(Event("published", {"generation": generation}))

    # -- by the clock

    def _tick(self) -> None:
        schedule = self.settings.schedule
        self._room.look()
        idle = not self._ingesting() and not self._room.held()
        self._keeper.tick(idle=idle)
        self._preview_care.tick(idle=idle)
        self._spaces.stop_idle(schedule.encoder_idle)
        self._pipeline.stop_idle(schedule.decoder_idle)
        for decoder in (self._sequence_decoder, self._query_decoder):
            if decoder.idle_seconds > schedule.decoder_idle:
                decoder.stop()
        self._search.give_back(_INDEX_IDLE, self._publisher.generation)
        if self._encoder.tick(idle=idle):
            self._groups.recluster()
        if self._at_rest():
            self._stopwatch.rest()
        memory.let_go_of(self.store.file, _MAPPED)
        if self.progress.moved():
            self.events.publish(Event("progress", self.status()))
        elif self._worked and self.activity() == "idle":
            self._worked = False
            memory.give_back()
            memory.let_go_of(self.store.file, 0)

    def _sacrifice(self) -> None:
        """The disk is full: give back what can be made again, and never the store or the catalog."""
        previews = upkeep.collect_previews(self.store, self._previews)
        backups = self._keeper.sacrifice()
        index = self._search.drop_saved()
        log.warning("space given back", previews=previews, backup_bytes=backups, index_files=index)

    def _hourly(self) -> None:
        if self._room.held():
            return
        self._follow_clock()
        files, _ = upkeep.expire(self.store, self.settings.schedule.retention, self._search.remove)
        if files:
            upkeep.forget_directories(self.store)
        self._spaces.forget_left(self.settings.schedule.retention)
        upkeep.collect_previews(self.store, self._previews)
        self._search.save(self._publisher.generation)

    def _follow_clock(self) -> None:
        follow_clock(self.store, time.time())

    # -- configuration

    def reload(self) -> None:
        """Read the configuration file now (SIGHUP), and look whether an encoder that was missing is there."""
        if self._config is not None:
            self._config.reload()
        self._timetable.soon(self._encoder.look_again)

    def _config_changed(self, result: Settings | ConfigError) -> None:
        with self._reloading:
            if self._stopping.is_set():
                return
            if isinstance(result, ConfigError):
                self.config_problems = [str(problem) for problem in result.problems]
            else:
                self.config_problems = []
                self._apply(result)
            self._publisher.changed()

    def _apply(self, settings: Settings) -> None:
        before, self.settings = self.settings, settings
        with self._publisher.volumes_change:
            self._volumes.take(settings)
        if settings.encoder != before.encoder:
            self._encoder.change(settings.encoder)
        if self._clusters.configure(options.cluster_settings(settings), by_name=settings.clustering.by_name):
            self._groups.recluster()
        if settings.schedule != before.schedule:
            self._groups.follow(settings.schedule)
            self._schedule(settings.schedule)
        if self.next_start():
            log.warning("these settings take effect at the next start", tables=self.next_start())
        log.info("configuration taken over", volumes=[volume.name for volume in settings.volumes])

    def next_start(self) -> list[str]:
        """Tables of the configuration whose settings are not those that we were started with, and so not in force."""
        return [name for name in _AT_START if getattr(self.settings, name) != getattr(self._started_with, name)]

    # -- asked from outside

    def sync(self, path: Path | None = None, *, clusters: bool = False, timeout: float | None = None) -> int:
        """Scan now, wait until all that is on disk now is in the catalog; its generation.

        Raises:
            EngineError: the path is on no volume, or nothing can be taken in now.
            TimeoutError: it took longer than `timeout` seconds.
        """
        deadline = time.monotonic() + timeout if timeout is not None else float("inf")
        workers, directory = self._volumes.concerned(path)
        for ticket in [worker.request(directory) for worker in workers]:
            self._until(ticket.done.is_set, deadline)
        if again.retry_refused(self.store, {worker.volume.id for worker in workers}):
            self._pipeline.wake()
        self._until(lambda: self._in_step(workers), deadline)
        self._until(lambda: not self._groups.busy(clusters=clusters), deadline)
        generation = self._publisher.flush()
        if self._stopping.is_set():
            raise EngineError("mediad is stopping")
        return generation

    def _in_step(self, workers: list[VolumeWorker]) -> bool:
        """Whether nothing is scanned or read. Each may cause the other, so nothing may have begun between two looks."""
        rounds = [worker.rounds for worker in workers]
        idle = not any(worker.busy() for worker in workers) and not self._ingesting()
        return idle and not any(worker.busy() for worker in workers) and rounds == [worker.rounds for worker in workers]

    def _at_rest(self) -> bool:
        return self._in_step(self._volumes.workers()) and not self._groups.busy(clusters=True)

    def _ingesting(self) -> bool:
        return not self._encoder.ready.is_set() or self._pipeline.busy()

    def _until(self, done: Callable[[], bool], deadline: float) -> None:
        while not done():
            if time.monotonic() > deadline:
                raise TimeoutError("not in step with the disk in time; `mediad status` tells what is pending")
            if self._stopping.wait(_POLL):
                raise EngineError("mediad is stopping")
            if self._room.reason is not None:
                raise EngineError(f"nothing is taken in now: {self._room.reason}")
            if self.damaged is not None:
                raise EngineError(f"the store is damaged: {self.damaged}")

    def recluster(self) -> None:
        """Cluster everything anew, in the background."""
        self._groups.recluster()

    def rename_cluster(self, cluster_id: str, name: str | None) -> None:
        """Give a cluster a name that stays with it; None takes it back.

        Raises:
            KeyError: there is no such cluster.
        """
        self._groups.rename(cluster_id, name)

    def retry_quarantined(self) -> int:
        """Forget the attempts of quarantined files and queue them again; how many."""
        count = again.retry_quarantined(self.store)
        self._work_added()
        return count

    def confirm_missing(self, volume: str) -> int:
        """Believe that what vanished from a volume at once (`suspect` in its status) is gone; how many files.

        Raises:
            EngineError: there is no such volume.
        """
        return self._volumes.confirm_missing(volume)

    def subscribe(self) -> Subscription:
        return self.events.subscribe()

    # -- what status tells

    def status(self) -> dict[str, Any]:
        return live_status(self)

    def activity(self) -> str:
        """One word: "degraded", "starting", "scanning", "indexing", "clustering", "idle", "stopping"."""
        if self._stopping.is_set():
            return "stopping"
        if self._room.reason is not None:
            return "degraded"
        if not self._encoder.ready.is_set():
            return "starting"
        if any(worker.scanning for worker in self._volumes.workers()):
            return "scanning"
        if self._pipeline.busy():
            return "indexing"
        return "clustering" if self._groups.clustering else "idle"

    def watching(self, volume: str) -> dict[str, Any]:
        """See `VolumeSet.watching`."""
        return self._volumes.watching(volume)

    def pending(self) -> tuple[int, int]:
        """(files to read, those included that may still be being written; assets to embed)."""
        to_read, to_embed = self._pipeline.pending()
        return to_read + self._volumes.awaited(), to_embed

    def encoder_problem(self) -> str | None:
        return self._spaces.problem

    def filling(self) -> str | None:
        """The encoder that is being filled beside the one that serves, if any."""
        filling = self._spaces.filling
        return filling.id if filling is not None and self._spaces.changing else None

    def degraded(self) -> str | None:
        """Why nothing new is taken in now."""
        return self._room.reason

    @property
    def damaged(self) -> str | None:
        """What of the store cannot be read: stop this engine and make another one, which mends it."""
        return self.store.damage

    def failures(self) -> dict[str, str]:
        """Loops that failed, and why."""
        return self._supervisor.failures

    def _facts(self) -> tuple[list[Volume], Facts]:
        tiers = self.settings.duplicates.tiers
        facts = facts_of(self.status(), self._spaces.serving, self._clusters.timing(), tiers)
        return self._volumes.volumes(), facts
