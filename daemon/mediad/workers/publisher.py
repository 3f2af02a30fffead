"""The loop that publishes: when something changed, and not more often than its cost allows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from mediad.catalog.interval import Interval
from mediad.catalog.metadata import Facts
from mediad.catalog.publish import Publisher
from mediad.model import Volume

log = structlog.get_logger()

_LOOK_AGAIN = 5.0
_TRY_AGAIN = 5.0


class PublishWorker:
    """Publishes after `changed`, and when somebody took a file away. `flush` waits until all is published.

    What cannot be written is told to `refused` and tried again until it can. Whoever adds or removes volumes holds
    `volumes_change` meanwhile: a catalog in between would lack the files of those that are not added yet.
    """

    name = "publisher"

    def __init__(
        self,
        publisher: Publisher,
        interval: Interval,
        facts: Callable[[], tuple[list[Volume], Facts]],
        published: Callable[[int], None],
        beat: Callable[[str], None],
        refused: Callable[[OSError], None],
    ) -> None:
        self._publisher = publisher
        self._interval = interval
        self._facts = facts
        self._published = published
        self._beat = beat
        self._refused = refused
        self.volumes_change = threading.Lock()
        self._condition = threading.Condition()
        self._wanted = 1  # the first publication tells that we are here
        self._done = 0
        self._urgent = False
        self._stopping = False
        self.generation = 0

    def changed(self) -> None:
        with self._condition:
            self._wanted += 1
            self._condition.notify_all()

    def flush(self, timeout: float = 60.0) -> int:
        """Publish now; the generation that holds all that was committed before.

        Raises:
            TimeoutError: it was not published within `timeout` seconds.
        """
        with self._condition:
            self._wanted += 1
            wanted = self._wanted
            self._urgent = True
            self._condition.notify_all()
            if not self._condition.wait_for(lambda: self._done >= wanted or self._stopping, timeout):
                raise TimeoutError(f"the catalog was not published within {timeout:g} s; see the log")
            return self.generation

    def stop(self) -> None:
        with self._condition:
            self._stopping = True
            self._condition.notify_all()

    def run(self) -> None:
        while self._wait():
            if not self._publish():
                self._rest()
        self._publish()  # a last picture, so that what was acknowledged is in it

    def _rest(self) -> None:
        with self._condition:
            self._urgent = False
            self._condition.wait_for(lambda: self._urgent or self._stopping, _TRY_AGAIN)

    def _wait(self) -> bool:
        with self._condition:
            while not self._stopping:
                self._beat(self.name)
                pause = self._interval.wait(time.monotonic())
                if self._wanted > self._done and (pause == 0.0 or self._urgent):
                    return True
                self._condition.wait(pause if self._wanted > self._done else _LOOK_AGAIN)
                if self._wanted <= self._done and not self._publisher.intact():
                    self._wanted += 1
            return False

    def _publish(self) -> bool:
        """Whether it could be written."""
        try:
            self._publish_now()
        except OSError as error:
            log.error("the catalog cannot be written; it is tried again", reason=str(error))
            self._refused(error)
            return False
        return True

    def _publish_now(self) -> None:
        with self._condition:
            wanted = self._wanted
            self._urgent = False
        with self.volumes_change:
            volumes, facts = self._facts()
        publication = self._publisher.publish(volumes, facts)
        if publication.written:
            self._interval.published(time.monotonic(), publication.cpu_seconds)
        self.generation = publication.generation
        try:
            self._published(publication.generation)  # whoever waits for it finds all of it written, status.json too
        finally:
            with self._condition:
                self._done = wanted
                self._condition.notify_all()
