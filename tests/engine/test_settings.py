"""Settings that change while the daemon runs are in force at once, or `status` says that they are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.engine.conftest import Running, draw
from tests.engine.pipe import until

Start = Callable[..., Running]


def change(running: Running, table: str, **values: Any) -> None:
    """As if the configuration file had been edited."""
    settings = running.engine.settings
    changed = getattr(settings, table).model_copy(update=values)
    running.engine._config_changed(settings.model_copy(update={table: changed}))


def test_the_time_between_sweeps_changes_at_once(start: Start, tmp_path: Path) -> None:
    draw(tmp_path / "volume" / "0.png", 0)
    running = start(tmp_path / "volume")
    running.sync()
    before = running.counters()["scans"]
    change(running, "schedule", sweep=1.0)
    until(lambda: running.counters()["scans"] >= before + 2, 15)
    change(running, "schedule", sweep=3600.0)
    (worker,) = running.engine._volumes.workers()
    until(lambda: not worker.scanning, 5)
    assert worker._next_sweep == (worker._swept or 0.0) + 3600.0


def test_the_other_times_change_too(start: Start, tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    running = start(tmp_path / "volume")
    running.sync()
    engine = running.engine
    change(
        running, "schedule", settle=7.0, poll_min=11.0, poll_max=12.0, recluster_interval=50.0, recluster_min_files=3
    )
    (worker,) = engine._volumes.workers()
    assert worker._unsettled._settle._seconds == 7.0
    (volume,) = engine._volumes._watcher._volumes.values()
    assert (volume.poll.minimum, volume.poll.maximum) == (11.0, 12.0)
    jobs = {job.id: job.trigger.interval.total_seconds() for job in engine._timetable._scheduler.get_jobs()}
    assert jobs["GroupWorker.recluster_if_changed"] == 50.0
    assert len(jobs) == 4
    assert engine._groups._schedule.recluster_min_files == 3


def test_what_is_in_force_at_the_next_start_only_is_said(start: Start, tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    running = start(tmp_path / "volume")
    assert running.engine.status()["config"]["next_start"] == []
    size = running.engine.settings.previews.size
    change(running, "previews", size=size + 64)
    assert running.engine.status()["config"]["next_start"] == ["previews"]
    change(running, "previews", size=size)
    assert running.engine.status()["config"]["next_start"] == []
