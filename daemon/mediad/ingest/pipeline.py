r"""Queues and threads of ingest: the only place that knows in what thread a stage runs.

    store.work -> readers (read, preview; one decoder child each) -> recorder (one transaction for a batch)
                                      \-> embedder (batches across files) ----^

The work list is in the store, so nothing is lost by a stop, and a scan of a million files does not wait for their
decoding. Readers take from it in order, but what failed before stands behind all that never did, so that no number of
killer files keeps good ones waiting for more than their first try. Memory is bounded by the queues.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable

import structlog

from mediad.ingest.embedder import Embedder, Encode
from mediad.ingest.job import Ended, Job
from mediad.ingest.recorder import Callbacks, Outcome, Recorder
from mediad.ingest.stages import STAGES, Context
from mediad.media.decoder import Decoder
from mediad.model import ContentId, VolumeId
from mediad.store import StoreUnwritable
from mediad.store.work import WorkItem

log = structlog.get_logger()

_REFILL = 1024
_LOOK_AGAIN = 1.0
_JOIN = 0.1
_LONGEST_WAIT = 3600.0  # no entry of the work list waits longer: else the clock was set back
_REST = 10.0  # longest time without a look at the work list, were nobody to say that it has changed
_COPY_PATIENCE = 3.0  # seconds that a reader waits for another one to decode the same content ...
_COPY_AGAIN = 10.0  # ... before it puts its copy aside for so long: one hanging content must not hold all readers


class Pipeline:
    """Runs STAGES over the store's work list until stopped. `wake` after work was added."""

    def __init__(
        self, context: Context, make_decoder: Callable[[], Decoder], encode: Encode, readers: int, tell: Callbacks
    ) -> None:
        self._context = context
        self._embedder = Embedder(encode, self._embedded, self._not_embedded, tell.beat)
        self._tell = tell
        self._decoders = [make_decoder() for _ in range(readers)]
        self._condition = threading.Condition()
        self._ready: deque[WorkItem] = deque()
        self._again: deque[WorkItem] = deque()
        self._rests_until = 0.0
        self._in_flight: set[bytes] = set()
        self._unembedded: deque[ContentId] = deque()
        self._embedding: set[ContentId] = set()
        self._claimed: dict[ContentId, float] = {}  # since when
        self._position = b""
        self._stopping = False
        self._recorder = Recorder(context, tell, self._recorded)
        self._threads: list[threading.Thread] = []

    # -- outside

    def start(self) -> None:
        loops = [(f"reader-{n}", self._reader_loop(decoder)) for n, decoder in enumerate(self._decoders)]
        loops += [("embedder", self._embedder.run), ("recorder", self._recorder.run)]
        self._threads = [threading.Thread(target=run, name=name) for name, run in loops]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let what is under way be recorded where that is quick; the rest is done again at the next start.

        An encoding that is under way is waited for: whoever owns the encoder ends it.
        """
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        self._embedder.halt()
        self._recorder.halt()
        while any(thread.is_alive() for thread in self._threads[:-2]):
            self._stop_decoders()  # again and again: a reader may have been about to ask one
            for thread in self._threads[:-2]:
                thread.join(_JOIN)
        self._stop_decoders()
        for thread, stop in zip(self._threads[-2:], (self._embedder.stop, self._recorder.stop), strict=False):
            stop()
            thread.join()

    def _stop_decoders(self) -> None:
        for decoder in self._decoders:
            decoder.stop()

    def wake(self) -> None:
        """Look at the work list again, from its beginning."""
        with self._condition:
            self._look_anew()
            self._condition.notify_all()

    def _look_anew(self) -> None:
        self._position = b""
        self._again.clear()
        self._rests_until = 0.0

    def embed_later(self, content_ids: list[ContentId]) -> None:
        """Queue known assets that have no vector of the present encoder."""
        with self._condition:
            self._unembedded.extend(content_ids)
            self._condition.notify_all()

    def forget_unembedded(self) -> None:
        """The encoder changed: what lacks a vector must be found anew."""
        with self._condition:
            self._unembedded.clear()
            self._embedder.anew()

    def pending(self) -> tuple[int, int]:
        """(files that wait to be read or are being read, assets that wait for their vectors)."""
        with self._condition, self._context.store.read() as tx:
            unrecorded = self._embedding & self._claimed.keys()  # still counted as a file
            waiting = len(self._unembedded) + len(self._embedding) - len(unrecorded)
            return max(tx.work.count(), len(self._in_flight)), waiting

    def busy(self, patience: float = 5.0) -> bool:
        """Whether anything is under way or will be within `patience` seconds; not what waits for a drive to return."""
        with self._condition:
            if self._in_flight or self._embedding or (self._can_embed() and not self._embedder.hopeless):
                return True
            now = time.time()
            with self._context.store.read() as tx:
                reachable = (one.id for one in tx.volumes if self._context.root_of(one.id) is not None)
                return any(_wait(item, now) <= patience for volume in reachable for item in tx.work.of_volume(volume))

    def _can_embed(self) -> bool:
        return bool(self._unembedded) and self._context.encoder() is not None

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
            while (job := self._job()) is not None:
                self._tell.beat(name)
                try:
                    self._read(job, decoder, stages)
                except StoreUnwritable:
                    self._finish(job, None)  # the work list still holds it, and we are held until there is room
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
            self._recorder.put(job)  # before its vectors: the asset appears as soon as it is read
        if len(follow.inputs):
            self._embedder.put(follow)

    def _claim(self, job: Job) -> None:
        """Once the content is known: wait while another job has the same, so that copies are decoded once.

        Raises:
            Ended: that takes long.
        """
        if job.content_id is None or job.claimed or job.item is None or self._decoded(job.content_id):
            return
        with self._condition:
            patience = self._claimed.get(job.content_id, 0.0) + _COPY_PATIENCE - time.monotonic()
            if not self._condition.wait_for(lambda: self._may_claim(job), max(0.0, patience)):
                raise Ended("a copy of it is being decoded", retry_after=_COPY_AGAIN)
            self._claimed[job.content_id] = time.monotonic()
            job.claimed = True

    def _may_claim(self, job: Job) -> bool:
        return job.content_id not in self._claimed or self._stopping

    def _decoded(self, content_id: ContentId) -> bool:
        with self._context.store.read() as tx:
            return content_id in tx.assets

    def _finish(self, job: Job, ended: Ended | None) -> None:
        if ended is None:  # we are stopping: the work list still holds it
            with self._condition:
                self._release(job)
            return
        self._recorder.put(job, ended)

    def _release(self, job: Job) -> None:
        if job.claimed and job.content_id is not None:
            self._claimed.pop(job.content_id, None)
            self._condition.notify_all()
        if job.item is not None:
            self._in_flight.discard(job.item.key)
        elif job.content_id is not None:
            self._embedding.discard(job.content_id)

    def _job(self) -> Job | None:
        """The next job, whatever goes wrong in looking for it: a reader that ended would not be missed by anybody."""
        while True:
            try:
                return self._next_job()
            except Exception:
                log.exception("the work list could not be read; it is tried again")
                self._pause(_LOOK_AGAIN)

    def _pause(self, seconds: float) -> None:
        with self._condition:
            self._condition.wait_for(lambda: self._stopping, seconds)

    def _next_job(self) -> Job | None:
        with self._condition:
            while not self._stopping:
                if self._context.held():
                    self._condition.wait(_LOOK_AGAIN)
                    self._tell.beat(threading.current_thread().name)
                    continue
                if not self._ready and not self._again:
                    self._refill()
                if self._ready or self._again:
                    job = self._take((self._ready or self._again).popleft())
                    if job is not None:
                        return job
                    continue
                if self._can_embed() and not self._embedder.resting:
                    job = self._take_unembedded()
                    if job is not None:
                        return job
                    continue
                self._condition.wait(_LOOK_AGAIN)
                self._tell.beat(threading.current_thread().name)
        return None

    def _refill(self) -> None:
        """Take from the work list what may be tried now; where that is nothing, look again when something may be."""
        if time.monotonic() < self._rests_until:
            return
        now, soonest, whole = time.time(), time.time() + _REST, not self._position
        with self._context.store.read() as tx:
            for item in tx.work.after(self._position):
                self._position = item.key
                if item.key in self._in_flight or not self._reachable(item):
                    continue
                if _wait(item, now) > 0:
                    soonest = min(soonest, item.not_before)
                elif not item.tries:
                    self._ready.append(item)
                elif len(self._again) < _REFILL:
                    self._again.append(item)
                if len(self._ready) >= _REFILL:
                    return
        self._position = b""
        if whole and not self._ready and not self._again:
            self._rests_until = time.monotonic() + soonest - now

    def _take(self, item: WorkItem) -> Job | None:
        with self._context.store.read() as tx:
            current = tx.work.get(item.key)
            file = tx.files.at(item.key)
        if item.key in self._in_flight or current is None or _wait(current, time.time()) > 0:
            return None
        if file is None:  # the file was forgotten, this is what a job that was under way left behind
            with self._context.store.write() as tx:
                tx.work.done(item.key)
            return None
        root = self._context.root_of(file.volume)
        if root is None:
            return None
        self._in_flight.add(item.key)
        return Job(item=current, file=file, path=os.path.join(root, file.relpath))

    def _take_unembedded(self) -> Job | None:
        content_id = self._unembedded.popleft()
        if content_id in self._embedding or self._embedder.given_up(content_id):
            return None
        self._embedding.add(content_id)
        return Job(content_id=content_id)

    # -- what the embedder and the recorder tell

    def _embedded(self, jobs: list[Job]) -> None:
        for job in jobs:
            self._recorder.put(job)

    def _not_embedded(self, jobs: list[Job]) -> None:
        with self._condition:
            for job in jobs:
                self._release(job)
                if job.content_id is not None:
                    self._unembedded.append(job.content_id)

    def _recorded(self, batch: list[Outcome]) -> None:
        with self._condition:
            for job, _ in batch:
                self._release(job)
            self._rests_until = 0.0  # it may be queued again, and due sooner than anything else
            self._condition.notify_all()


def _wait(item: WorkItem, now: float) -> float:
    """Seconds until an entry may be tried; none where it says longer than any: then the clock was set back."""
    wait = item.not_before - now
    return wait if wait <= _LONGEST_WAIT else 0.0
