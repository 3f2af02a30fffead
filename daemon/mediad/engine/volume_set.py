"""The volumes of the running daemon: a loop and a watch for each, started and stopped as the configuration says."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from mediad.catalog.text import path_text
from mediad.config.settings import Settings
from mediad.engine.errors import EngineError
from mediad.engine.paths import places
from mediad.engine.volumes import match_volumes
from mediad.model import Volume, VolumeId
from mediad.store import Store
from mediad.supervisor import Supervisor
from mediad.volume.mounts import is_remote, mount_of
from mediad.watcher import Watcher
from mediad.workers.stopwatch import Stopwatch
from mediad.workers.volume import Surroundings, VolumeWorker

log = structlog.get_logger()


class VolumeSet:
    """Volume loops by id. `take` brings them in line with settings; everything else asks them."""

    def __init__(
        self,
        store: Store,
        supervisor: Supervisor,
        settings: Settings,
        *,
        work_added: Callable[[], None],
        changed: Callable[[], None],
        held: Callable[[], bool],
        stopwatch: Stopwatch,
    ) -> None:
        self._store = store
        self._supervisor = supervisor
        self._work_added = work_added
        self._changed = changed
        self._held = held
        self._stopwatch = stopwatch
        self._workers: dict[VolumeId, VolumeWorker] = {}
        schedule = settings.schedule
        self._watcher = Watcher(
            self.hint,
            closed=self._closed,
            overflow=self._overflow,
            poll_min=schedule.poll_min,
            poll_max=schedule.poll_max,
        )

    def take(self, settings: Settings) -> None:
        """Start a loop for each configured volume, stop those of volumes that are no longer, or are set otherwise."""
        wanted = {str(volume.path): volume for volume in settings.volumes}
        for worker in self.workers():
            if wanted.get(worker.volume.path) != worker.settings:
                self._drop(worker)
            else:
                worker.follow(settings.schedule)
        self._watcher.pace(settings.schedule.poll_min, settings.schedule.poll_max)
        around = Surroundings(
            store=self._store,
            schedule=settings.schedule,
            work_added=self._work_added,
            changed=self._changed,
            unsettled=lambda: set().union(*(worker.unsettled() for worker in self.workers())),
            expecting=lambda: self._watcher.expecting or any(worker.expecting for worker in self.workers()),
            scanned=self._watcher.report_cost,
            held=self._held,
            stopwatch=self._stopwatch,
        )
        for volume, chosen in match_volumes(self._store, settings):
            if volume.id not in self._workers:
                self._add(VolumeWorker(volume, chosen, around))
        self._changed()

    def _add(self, worker: VolumeWorker) -> None:
        volume = worker.volume
        self._workers[volume.id] = worker
        self._supervisor.start(worker.name, worker.run, worker.stop)
        mount = mount_of(volume.path)
        remote = mount is not None and is_remote(mount.fstype)
        self._watcher.add(volume.id, volume.path, worker.rules, poll=worker.settings.poll, remote=remote)

    def _drop(self, worker: VolumeWorker) -> None:
        self._watcher.remove(worker.volume.id)
        self._supervisor.stop(worker.name)
        del self._workers[worker.volume.id]

    def stop_watching(self) -> None:
        self._watcher.stop()

    # -- asked by the rest of the daemon

    def workers(self) -> list[VolumeWorker]:
        return list(self._workers.values())

    def volumes(self) -> list[Volume]:
        return [worker.volume for worker in self.workers()]

    def root_of(self, volume: VolumeId) -> bytes | None:
        """Its root while it is online."""
        worker = self._workers.get(volume)
        return worker.root if worker else None

    def proven(self, volume: VolumeId) -> bool:
        """Whether it is healthy at this moment: what is not there now is not there."""
        worker = self._workers.get(volume)
        return worker is not None and worker.root is not None and worker.healthy_still()

    def follows(self, volume: VolumeId) -> bool:
        """Whether its symbolic links are followed."""
        worker = self._workers.get(volume)
        return worker is not None and worker.settings.follow_symlinks

    def hint(self, volume: str, directory: bytes, recursive: bool) -> None:
        """Something may have changed in a directory."""
        worker = self._workers.get(VolumeId(volume))
        if worker is not None:
            worker.hint(directory, recursive)

    def watching(self, volume: str) -> dict[str, Any]:
        """How a volume is watched, what in it cannot be looked at, what never comes to rest: part of `status`."""
        worker = self._workers.get(VolumeId(volume))
        unreadable, unsettled = _troubles(worker) if worker else ([], [])
        try:
            watch, reason = self._watcher.mode(volume), self._watcher.reason(volume)
        except KeyError:  # it is being added or removed
            watch, reason = None, ""
        return {"watch": watch, "watch_reason": reason or None, "unreadable": unreadable, "unsettled": unsettled}

    def awaited(self) -> int:
        """How many files are not read yet because they may still be being written."""
        return sum(worker.awaited() for worker in self.workers())

    def confirm_missing(self, volume: str) -> int:
        """What vanished from this volume (its id, name or path) with so much else that it is held, is gone indeed.

        Raises:
            EngineError: there is no such volume.
        """
        for worker in self.workers():
            if volume in (worker.volume.id, worker.volume.name, worker.volume.path):
                return worker.confirm_missing()
        raise EngineError(f"there is no volume {volume!r}: `mediad volumes list` names them")

    def concerned(self, path: Path | None) -> tuple[list[VolumeWorker], bytes]:
        """The loops that a path is the business of, and the directory to scan below their roots.

        Raises:
            EngineError: the path is on no volume.
        """
        if path is None:
            return self.workers(), b""
        workers = {worker.volume.path: worker for worker in self.workers()}
        for root, below in places(path, workers):
            directory = below if os.path.isdir(os.path.join(root, below)) else os.path.dirname(below)
            return [workers[root]], b"" if directory in ("", ".") else os.fsencode(directory)
        raise EngineError(f"{path} is on no volume of mediad: `mediad volumes list` names them")

    # -- told by the watcher

    def _closed(self, volume: str, relpath: bytes) -> None:
        worker = self._workers.get(VolumeId(volume))
        if worker is not None:
            worker.closed(relpath)

    def _overflow(self, _volume: str) -> None:
        with self._store.write() as tx:
            tx.meta.count("overflows")
        self._changed()


def _troubles(worker: VolumeWorker) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What cannot be looked at, and what never comes to rest."""
    root = os.fsencode(worker.volume.path)
    unreadable = [
        {
            "path": path_text(os.path.join(root, path) if path else root),
            "reason": problem.error.strerror or str(problem.error),
            "errno": problem.error.errno,
            "tries": problem.tries,
        }
        for path, problem in worker.problems.snapshot()
    ]
    unsettled = [
        {"path": path_text(os.path.join(root, file.relpath)), "seconds": round(file.seconds), "size": file.size}
        for file in worker.lasting()
    ]
    return unreadable, unsettled
