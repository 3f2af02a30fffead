"""The recorder: the one thread that writes what was learned, in one transaction for a batch, and tells of it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import structlog

from mediad.ingest.job import Ended, Job
from mediad.ingest.moves import Departed, departed
from mediad.ingest.record import record_end
from mediad.ingest.stages import STAGES, Context
from mediad.store import Transaction

log = structlog.get_logger()

Outcome = tuple[Job, Ended | None]
"""A job, and how it ended early, if it did."""

_BATCH = 256
_GATHER_SECONDS = 0.05  # while outcomes stream in, a batch waits so long for more: a commit costs more than a record
_STREAM_SECONDS = 0.25  # what comes so soon after a batch belongs to a stream
_LOOK_AGAIN = 1.0
_LONGEST_PAUSE = 30.0
_SET_ASIDE = 600.0


@dataclass(frozen=True)
class Callbacks:
    """What the pipeline tells its owner. All are called from its own threads and must be quick."""

    recorded: Callable[[list[Job]], None]
    ended: Callable[[Job, Ended], None]
    beat: Callable[[str], None]


class Recorder:
    """Writes outcomes in the order in which they were `put`. `release` is told of each when it is over, written or not.

    What cannot be written now (a full disk) is tried again until it can or we stop: the work list holds it until then.
    """

    def __init__(self, context: Context, tell: Callbacks, release: Callable[[list[Outcome]], None]) -> None:
        self._context, self._tell, self._release = context, tell, release
        self._queue: queue.Queue[Outcome | None] = queue.Queue(maxsize=4 * _BATCH)
        self._stopping = threading.Event()

    def put(self, job: Job, ended: Ended | None = None) -> None:
        """Queue an outcome; waits while the queue is full."""
        self._queue.put((job, ended))

    def halt(self) -> None:
        """Try once more at most: we are stopping."""
        self._stopping.set()

    def stop(self) -> None:
        """Let `run` return once the queue is empty."""
        self._queue.put(None)

    def run(self) -> None:
        for batch in self._batches():
            self._tell.beat("recorder")
            if batch:
                self._take(batch)

    def _batches(self) -> Iterator[list[Outcome]]:
        streams_until = 0.0
        while True:
            try:
                first = self._queue.get(timeout=_LOOK_AGAIN)
            except queue.Empty:
                yield []
                continue
            if first is None:
                return
            now = time.monotonic()
            batch = [first]
            last = self._gather(batch, now + _GATHER_SECONDS if now < streams_until else now)
            yield batch
            if last:
                return
            streams_until = time.monotonic() + _STREAM_SECONDS

    def _gather(self, batch: list[Outcome], until: float) -> bool:
        """Add to a batch what is there or comes `until` then; whether that was the last of all."""
        while len(batch) < _BATCH and not self._stopping.is_set():
            try:
                following = self._queue.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                return False
            if following is None:
                return True
            batch.append(following)
        return False

    def _take(self, batch: list[Outcome]) -> None:
        """Record a batch; whatever goes wrong, the recorder goes on."""
        proven = self._proven(batch)
        error = self._write_patiently(proven)
        if error is None:
            self._tell_of(proven)  # before the release: who finds us idle has been told everything
        elif len(batch) > 1 and not isinstance(error, OSError):
            for one in batch:
                self._take([one])
            return
        elif not isinstance(error, OSError):
            self._set_aside(batch[0][0])
        self._release(batch)

    def _proven(self, batch: list[Outcome]) -> list[Outcome]:
        """The batch without what was read of a volume that is not there any more: it may be of another in its place."""
        volumes = {job.file.volume for job, ended in batch if job.file is not None and _was_read(job, ended)}
        lost = {volume for volume in volumes if not self._context.proven(volume)}
        if not lost:
            return batch
        gone = Ended("its volume went away while it was read")
        return [
            (Job(job.item, job.file, job.path), gone)
            if job.file is not None and job.file.volume in lost and _was_read(job, ended)
            else (job, ended)
            for job, ended in batch
        ]

    def _write_patiently(self, batch: list[Outcome]) -> Exception | None:
        """What went wrong; what an operating system refuses is asked for until we stop."""
        pause = 1.0
        while True:
            try:
                self._write(batch)
            except OSError as error:
                log.error("what was read cannot be recorded; it is tried again", files=len(batch), reason=str(error))
                if self._stopping.wait(pause):
                    return error
                self._tell.beat("recorder")
                pause = min(2 * pause, _LONGEST_PAUSE)
            except Exception as error:
                log.exception("what was read cannot be recorded", files=len(batch))
                return error
            else:
                return None

    def _write(self, batch: list[Outcome]) -> None:
        context = self._context
        files = [job for job, _ in batch if job.item is not None]
        left = departed(context.store, files, context.root_of, context.follows, context.proven)
        context.previews.settle()
        with context.store.write() as tx:
            for job, ended in batch:
                _record(tx, job, ended, left)

    def _tell_of(self, batch: list[Outcome]) -> None:
        try:
            self._tell.recorded([job for job, ended in batch if ended is None])
            for job, ended in batch:
                if ended is not None:
                    self._tell.ended(job, ended)
        except Exception:
            log.exception("what was recorded could not be told")

    def _set_aside(self, job: Job) -> None:
        """One job that cannot be recorded though others can: try it again from its beginning, much later."""
        try:
            with self._context.store.write() as tx:
                record_end(tx, job, Ended("it could not be recorded; see the log", retry_after=_SET_ASIDE), {})
        except Exception:
            log.exception("a file could not be put off")
            self._stopping.wait(_LONGEST_PAUSE)


def _was_read(job: Job, ended: Ended | None) -> bool:
    """Whether something is to be recorded of a file's content."""
    return job.content_id is not None and (ended is None or ended.retry_after is None)


def _record(tx: Transaction, job: Job, ended: Ended | None, left: Departed) -> None:
    if ended is not None:
        record_end(tx, job, ended, left)
        return
    stage = next(stage for stage in STAGES if stage.runs_in == "recorder")
    stage.run(tx, job, left)
