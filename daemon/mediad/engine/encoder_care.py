"""The encoder that the settings ask for: made ready at start, changed on request, fetched when its weights are away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from mediad.encoders import Pull, WeightsUnavailable
from mediad.ingest.pipeline import Pipeline
from mediad.ingest.spaces import Spaces
from mediad.model import ContentId

log = structlog.get_logger()

_LONGEST_RETRY = 86400.0  # fetching starts a process that imports torch: without a network, not every few minutes


class EncoderCare:
    """Runs in the thread of whoever calls; `prepare`, `change` and `retry` may take the time to start an encoder."""

    def __init__(
        self, spaces: Spaces, pipeline: Pipeline, weights: Path, retry_seconds: float, changed: Callable[[], None]
    ) -> None:
        self._spaces = spaces
        self._pipeline = pipeline
        self._weights = weights
        self._changed = changed
        self._lock = threading.Lock()
        self._stopping = False
        self._pull: Pull | None = None
        self._tried: frozenset[ContentId] = frozenset()
        self._pause = retry_seconds
        self._next_try = 0.0
        self.ready = threading.Event()

    def prepare(self, setting: str) -> None:
        """At start: from here on files are read, with whatever encoder there is."""
        with self._lock:
            self._spaces.configure(setting)
            self._pipeline.embed_later(self._spaces.lacking())
            if self._stopping or self.ready.is_set():
                return  # the latter: this is tried again because what follows failed
            self._pipeline.start()
            self.ready.set()
        self._changed()
        self.retry()

    def change(self, setting: str) -> None:
        """Another setting: if it means another encoder, its space is filled from now on."""
        with self._lock:
            if self._stopping:
                return
            if self._spaces.configure(setting):
                self._tried = frozenset()
                self._pipeline.forget_unembedded()
                self._pipeline.embed_later(self._spaces.lacking())
        self._changed()

    def tick(self, *, idle: bool) -> bool:
        """Let the space that is filled serve once all that can be in it is; whether that came about just now.

        What lacks a vector when nothing is under way (`idle`) is tried once more, for it may have been on its way when
        the encoder changed. What lacks one then too cannot have it: its preview is lost, and its drive is away.
        """
        if not idle or not self._spaces.changing or self._pipeline.pending()[1]:
            return False
        lacking = frozenset(self._spaces.lacking())
        if lacking - self._tried:
            self._tried = lacking
            self._pipeline.embed_later(sorted(lacking))
            return False
        return self._spaces.complete()

    def retry(self) -> None:
        """While the wanted encoder is not the one in use: fetch its weights if they can be had, and try again."""
        if self._stopping or not self.ready.is_set() or not self._spaces.problem or time.monotonic() < self._next_try:
            return
        self._next_try = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_RETRY)
        if self._fetch(self._spaces.setting):
            self.change(self._spaces.setting)

    def look_again(self) -> None:
        """Weights may have come by other hands: use them if so, fetch nothing."""
        if self._spaces.problem and self.ready.is_set() and not self._stopping:
            self.change(self._spaces.setting)

    def _fetch(self, setting: str) -> bool:
        self._pull = Pull(setting, self._weights)
        try:
            path = self._pull.wait(_unseen)
        except (WeightsUnavailable, ValueError) as error:
            if not self._stopping:
                log.info("weights could not be fetched", encoder=setting, reason=str(error))
            return False
        finally:
            self._pull = None
        log.info("weights fetched", encoder=setting, path=str(path))
        return True

    def stop(self) -> None:
        """End what is under way; then the pipeline, if it was started."""
        if self._stopping:
            return
        self._stopping = True
        pull = self._pull
        if pull is not None:
            pull.stop()
        self._spaces.stop()
        with self._lock:
            if self.ready.is_set():
                self._pipeline.stop()


def _unseen(_done: int, _total: int | None) -> None:
    """Nobody looks at the progress of a fetch in the background; the log tells its end."""
