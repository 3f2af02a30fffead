r"""Queues and threads of ingest: the only place that knows in what thread a stage runs.

    store.work -> readers (read, preview; one decoder child each) -> recorder (one transaction for a batch)
                                      \-> embedder (batches across files) ----^

The work list is in the store, so nothing is lost by a stop, and a scan of a million files does not wait for their
decoding. Readers take from it in order; memory is bounded by the queue in front of the embedder.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import structlog

from mediad.channel import ChildError
from mediad.ingest.job import Ended, Job
from mediad.ingest.record import record_end
from mediad.ingest.stages import STAGES, Context, embed
from mediad.media.decoder import Decoder
from mediad.model import ContentId, VolumeId
from mediad.store import Transaction
from mediad.store.work import WorkItem

log = structlog.get_logger()

Encode = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]

_BATCH = 32
_GATHER_SECONDS = 0.03
_RECORD_BATCH = 256
_REFILL = 1024
_LOOK_AGAIN = 1.0


@dataclass(frozen=True)
class Callbacks:
    """What the pipeline tells its owner. All are called from its own threads and must be quick."""

    recorded: Callable[[list[Job]], None]
    ended: Callable[[Job, Ended], None]
    beat: Callable[[str], None]


class Pipeline:
    """Runs STAGES over the store's work list until stopped. `wake` after work was added."""

    def __init__(
        self, context: Context, make_decoder: Callable[[], Decoder], encode: Encode, readers: int, tell: Callbacks
    ) -> None:
        self._context = context
        self._encode = encode
        self._tell = tell
        self._decoders = [make_decoder() for _ in range(readers)]
        self._condition = threading.Condition()
        self._ready: deque[WorkItem] = deque()
        self._in_flight: set[bytes] = set()
        self._unembedded: deque[ContentId] = deque()
        self._embedding: set[ContentId] = set()
        self._claimed: set[ContentId] = set()
        self._position = b""
        self._stopping = False
        self._to_embed: queue.Queue[Job | None] = queue.Queue(maxsize=2 * _BATCH)
        self._to_record: queue.Queue[tuple[Job, Ended | None] | None] = queue.Queue(maxsize=4 * _RECORD_BATCH)
        self._threads: list[threading.Thread] = []

    # -- outside

    def start(self) -> None:
        loops = [(f"reader-{n}", self._reader_loop(decoder)) for n, decoder in enumerate(self._decoders)]
        loops += [("embedder", self._embedder_loop), ("recorder", self._recorder_loop)]
        self._threads = [threading.Thread(target=run, name=name) for name, run in loops]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let what is under way be recorded where that is quick; the rest is done again at the next start."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        for decoder in self._decoders:
            decoder.stop()
        for thread in self._threads[:-2]:
            thread.join()
        self._to_embed.put(None)
        self._threads[-2].join()
        self._to_record.put(None)
        self._threads[-1].join()

    def wake(self) -> None:
        """Look at the work list again, from its beginning."""
        with self._condition:
            self._position = b""
            self._condition.notify_all()

    def embed_later(self, content_ids: list[ContentId]) -> None:
        """Queue known assets that have no vector of the present encoder."""
        with self._condition:
            self._unembedded.extend(content_ids)
            self._condition.notify_all()

    def forget_unembedded(self) -> None:
        """The encoder changed: what lacks a vector must be found anew."""
        with self._condition:
            self._unembedded.clear()

    def pending(self) -> tuple[int, int]:
        """(files that wait to be read or are being read, assets that wait for their vectors)."""
        with self._condition, self._context.store.read() as tx:
            return max(tx.work.count(), len(self._in_flight)), len(self._unembedded) + len(self._embedding)

    def busy(self, patience: float = 5.0) -> bool:
        """Whether anything is under way or will be within `patience` seconds; not what waits for a drive to return."""
        with self._condition:
            if self._in_flight or self._embedding or (self._unembedded and self._context.encoder() is not None):
                return True
            soon = time.time() + patience
            with self._context.store.read() as tx:
                return any(item.not_before <= soon and self._reachable(item) for item in tx.work.after(b""))

    def _reachable(self, item: WorkItem) -> bool:
        return self._context.root_of(VolumeId(item.key[:4].hex())) is not None

    def stop_idle(self, seconds: float) -> None:
        """End decoder children that had nothing to do for so long."""
        for decoder in self._decoders:
            if decoder.idle_seconds > seconds:
                decoder.stop()

    # -- readers

    def _reader_loop(self, decoder: Decoder) -> Callable[[], None]:
        stages = [stage.run for stage in STAGES if stage.runs_in == "reader"]

        def run() -> None:
            name = threading.current_thread().name
            while (job := self._next_job()) is not None:
                self._tell.beat(name)
                try:
                    self._read(job, decoder, stages)
                except Exception:
                    log.exception("a file could not be taken in", path=os.fsdecode(job.path))
                    self._finish(job, Ended("an error of mediad itself; see the log", retry_after=60.0))

        return run

    def _read(self, job: Job, decoder: Decoder, stages: list[Callable[..., object]]) -> None:
        try:
            for stage in stages:
                self._claim(job)
                stage(self._context, job, decoder)
        except Ended as ended:
            self._finish(job, None if self._stopping and ended.retry_after is not None else ended)
            return
        assert job.content_id is not None
        follow = Job(asset=job.asset, inputs=job.inputs, encoder=job.encoder, content_id=job.content_id)
        with self._condition:
            if job.item is not None and job.content_id in self._embedding:
                follow.inputs = follow.inputs[:0]  # a copy of it is being embedded
            if len(follow.inputs):
                self._embedding.add(job.content_id)
            elif job.encoder is None:
                self._unembedded.append(job.content_id)  # for when there is an encoder
            if job.item is None and not len(follow.inputs):
                self._release(job)
        if job.item is not None:
            self._to_record.put((job, None))  # before its vectors: the asset appears as soon as it is read
        if len(follow.inputs):
            self._to_embed.put(follow)

    def _claim(self, job: Job) -> None:
        """Once the content is known: wait while another job has the same, so that copies are decoded once."""
        if job.content_id is None or job.claimed or job.item is None:
            return
        with self._condition:
            self._condition.wait_for(lambda: job.content_id not in self._claimed or self._stopping)
            self._claimed.add(job.content_id)
            job.claimed = True

    def _finish(self, job: Job, ended: Ended | None) -> None:
        if ended is None:  # we are stopping: the work list still holds it
            with self._condition:
                self._release(job)
            return
        self._to_record.put((job, ended))

    def _release(self, job: Job) -> None:
        if job.claimed and job.content_id is not None:
            self._claimed.discard(job.content_id)
            self._condition.notify_all()
        if job.item is not None:
            self._in_flight.discard(job.item.key)
        elif job.content_id is not None:
            self._embedding.discard(job.content_id)

    def _next_job(self) -> Job | None:
        with self._condition:
            while not self._stopping:
                if not self._ready:
                    self._refill()
                if self._ready:
                    job = self._take(self._ready.popleft())
                    if job is not None:
                        return job
                    continue
                if self._unembedded and self._context.encoder() is not None:
                    return self._take_unembedded()
                self._condition.wait(_LOOK_AGAIN)
                self._tell.beat(threading.current_thread().name)
        return None

    def _refill(self) -> None:
        now = time.time()
        with self._context.store.read() as tx:
            for item in tx.work.after(self._position):
                self._position = item.key
                if item.not_before <= now and item.key not in self._in_flight:
                    self._ready.append(item)
                if len(self._ready) >= _REFILL:
                    return
        self._position = b""

    def _take(self, item: WorkItem) -> Job | None:
        with self._context.store.read() as tx:
            if item.key in self._in_flight or tx.work.get(item.key) is None:
                return None
            file = tx.files.at(item.key)
        root = self._context.root_of(file.volume) if file else None
        if file is None or root is None:
            return None
        self._in_flight.add(item.key)
        return Job(item=item, file=file, path=os.path.join(root, file.relpath))

    def _take_unembedded(self) -> Job:
        content_id = self._unembedded.popleft()
        self._embedding.add(content_id)
        return Job(content_id=content_id)

    # -- embedder

    def _embedder_loop(self) -> None:
        while (jobs := self._gather()) is not None:
            self._tell.beat("embedder")
            for batch in _by_encoder(jobs):
                self._embed(batch)

    def _gather(self) -> list[Job] | None:
        jobs: list[Job] = []
        size = 0
        while size < _BATCH:
            try:
                job = self._to_embed.get(timeout=_GATHER_SECONDS if jobs else _LOOK_AGAIN)
            except queue.Empty:
                self._tell.beat("embedder")
                if jobs:
                    break
                continue
            if job is None:
                return None
            jobs.append(job)
            size += len(job.inputs)
        return jobs

    def _embed(self, jobs: list[Job]) -> None:
        try:
            embed(jobs, self._encode)
        except (ChildError, ValueError) as error:
            log.warning("encoding failed; it will be tried again", assets=len(jobs), reason=str(error))
            with self._condition:
                for job in jobs:
                    self._release(job)
                    if job.content_id is not None:
                        self._unembedded.append(job.content_id)
                if not self._stopping:
                    self._condition.wait(_LOOK_AGAIN)
            return
        for job in jobs:
            self._to_record.put((job, None))

    # -- recorder

    def _recorder_loop(self) -> None:
        for batch in self._record_batches():
            self._tell.beat("recorder")
            if not batch:
                continue
            with self._context.store.write() as tx:
                for job, ended in batch:
                    self._record(tx, job, ended)
            with self._condition:
                for job, _ in batch:
                    self._release(job)
                self._condition.notify_all()
            self._tell.recorded([job for job, ended in batch if ended is None])
            for job, ended in batch:
                if ended is not None:
                    self._tell.ended(job, ended)

    def _record(self, tx: Transaction, job: Job, ended: Ended | None) -> None:
        if ended is not None:
            record_end(tx, job, ended, self._context.root_of)
            return
        stage = next(stage for stage in STAGES if stage.runs_in == "recorder")
        stage.run(tx, job, self._context.root_of)

    def _record_batches(self) -> Iterator[list[tuple[Job, Ended | None]]]:
        while True:
            try:
                first = self._to_record.get(timeout=_LOOK_AGAIN)
            except queue.Empty:
                yield []
                continue
            if first is None:
                return
            batch = [first]
            while len(batch) < _RECORD_BATCH:
                try:
                    following = self._to_record.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    yield batch
                    return
                batch.append(following)
            yield batch


def _by_encoder(jobs: list[Job]) -> list[list[Job]]:
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        groups.setdefault(job.encoder.id if job.encoder else "", []).append(job)
    return list(groups.values())
