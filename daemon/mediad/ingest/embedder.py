"""The embedder: batches across files go to the encoder; what that cannot take now is tried again, ever more seldom.

An encoder may be killed, may not start again, or may fail at one asset alone: none of these may keep other assets, the
readers or a `sync` waiting for ever. So a batch that failed is tried again one by one, and an asset at which a working
encoder fails again and again is given up until the next start.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import structlog

from mediad.ingest.job import Job
from mediad.ingest.stages import embed
from mediad.model import ContentId, EncoderInfo

log = structlog.get_logger()

Encode = Callable[[EncoderInfo, npt.NDArray[np.uint8]], npt.NDArray[np.float32]]

_BATCH = 8  # a processor's caches hold no more of what a batch makes: 32 take twice the time of MobileNetV2 each
_WAITING = 64  # jobs; readers need not wait while an encoder starts
_GATHER_SECONDS = 0.03
_LOOK_AGAIN = 1.0
_FIRST_REST = 1.0
_LONGEST_REST = 900.0
_PATIENCE = 4  # failures in a row after which nobody waits for the encoder any more
_TRIES = 4  # failures of one asset with an encoder that worked just before


class Embedder:
    """Takes jobs with inputs, hands them on with vectors (`done`) or without (`failed`). `run` is its thread."""

    def __init__(
        self,
        encode: Encode,
        done: Callable[[list[Job]], None],
        failed: Callable[[list[Job]], None],
        beat: Callable[[str], None],
    ) -> None:
        self._encode, self._done, self._failed, self._beat = encode, done, failed, beat
        self._queue: queue.Queue[Job | None] = queue.Queue(maxsize=_WAITING)
        self._failures = 0
        self._rests_until = 0.0
        self._suspects: dict[ContentId, int] = {}
        self._halted = False

    def put(self, job: Job) -> None:
        """Queue a job with inputs; waits while the queue is full."""
        self._queue.put(job)

    @property
    def resting(self) -> bool:
        """Whether the encoder failed just now: what is put now comes back unchanged."""
        return time.monotonic() < self._rests_until

    @property
    def hopeless(self) -> bool:
        """Whether the encoder has failed so often that waiting for it makes no sense."""
        return self._failures >= _PATIENCE

    def given_up(self, content_id: ContentId) -> bool:
        """Whether the encoder, though it works, cannot take this asset."""
        return self._suspects.get(content_id, 0) >= _TRIES

    def anew(self) -> None:
        """Another encoder: what was learned of the one before is no more true."""
        self._failures, self._rests_until = 0, 0.0
        self._suspects = {}

    def halt(self) -> None:
        """Encode no more: whatever comes from now on has failed."""
        self._halted = True

    def stop(self) -> None:
        """Let `run` return once the queue is empty."""
        self._queue.put(None)

    def run(self) -> None:
        while (jobs := self._gather()) is not None:
            self._beat("embedder")
            for batch in self._batches(jobs):
                self._embed(batch)

    def _gather(self) -> list[Job] | None:
        jobs: list[Job] = []
        size = 0
        while size < _BATCH:
            try:
                job = self._queue.get(timeout=_GATHER_SECONDS if jobs else _LOOK_AGAIN)
            except queue.Empty:
                self._beat("embedder")
                if jobs:
                    break
                continue
            if job is None:
                self._failed(jobs)
                return None
            jobs.append(job)
            size += len(job.inputs)
        return jobs

    def _batches(self, jobs: list[Job]) -> list[list[Job]]:
        """One for each encoder; what was in a batch that failed goes alone."""
        groups: dict[object, list[Job]] = {}
        for job in jobs:
            alone = job.content_id in self._suspects
            groups.setdefault(job.content_id if alone else job.encoder, []).append(job)
        return list(groups.values())

    def _embed(self, jobs: list[Job]) -> None:
        if self._halted or self.resting:
            self._failed(jobs)
            return
        try:
            embed(jobs, self._encode)
        except Exception as error:  # a process of ours that was killed, cannot be started, says nonsense
            self._note(jobs, error)
            self._failed(jobs)
            return
        self._failures = 0
        for job in jobs:
            self._suspects.pop(_id(job), None)
        self._done(jobs)

    def _note(self, jobs: list[Job], error: Exception) -> None:
        if self._halted:
            return
        worked = self._failures == 0  # then it may be the asset
        self._failures += 1
        rest = min(_FIRST_REST * 2.0 ** (self._failures - 1), _LONGEST_REST)
        self._rests_until = time.monotonic() + rest
        log.warning("encoding failed; it will be tried again", assets=len(jobs), reason=str(error), after=rest)
        for job in jobs:
            self._suspects[_id(job)] = self._suspects.get(_id(job), 0) + worked
            if self.given_up(_id(job)):
                log.error("the encoder cannot take this asset", asset=_id(job).hex(), reason=str(error))


def _id(job: Job) -> ContentId:
    assert job.content_id is not None
    return job.content_id
