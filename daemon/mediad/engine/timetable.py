"""Chores by the clock, whatever is done to the clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

log = structlog.get_logger()

_LOOK = 5.0
_SET_BACK = 2.0  # seconds that the wall clock may lose between two looks before we call it set back


class Timetable:
    """Runs chores in the background, at intervals. Thread-safe.

    APScheduler goes by the wall clock: set back by a year, it would do nothing for a year. So a thread that goes by the
    monotonic clock looks whether that has happened, and lets every chore begin anew.
    """

    def __init__(self) -> None:
        self._scheduler = BackgroundScheduler(
            timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        )
        self._stopped = threading.Event()

    def every(self, seconds: float, chore: Callable[[], None]) -> None:
        """Run `chore` at this interval, first after it has passed once; a run that is late is made up for, once.

        A chore that runs already has this interval from now on.
        """
        self._scheduler.add_job(chore, "interval", seconds=seconds, id=chore.__qualname__, replace_existing=True)

    def soon(self, chore: Callable[[], object]) -> None:
        """Run `chore` once, now."""
        if self._scheduler.running:
            self._scheduler.add_job(chore)

    def start(self) -> None:
        self._scheduler.start()
        threading.Thread(target=self._watch, name="timetable", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def _watch(self) -> None:
        ahead = _wall_ahead()
        while not self._stopped.wait(_LOOK):
            before, ahead = ahead, _wall_ahead()
            if ahead < before - _SET_BACK:
                log.warning("the clock was set back; all chores begin anew", seconds=round(before - ahead))
                for job in self._scheduler.get_jobs():
                    job.modify(next_run_time=datetime.now(UTC))


def _wall_ahead() -> float:
    return time.time() - time.monotonic()
