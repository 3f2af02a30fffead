"""`status`: what the daemon is, does, and has trouble with."""

from __future__ import annotations

import errno
import math
import os
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from mediad import __version__
from mediad.catalog.document import Encoder as CatalogEncoder
from mediad.catalog.document import Timing
from mediad.catalog.metadata import Facts
from mediad.catalog.publish import published_generation, published_totals
from mediad.catalog.text import iso, path_text
from mediad.model import EncoderInfo, Volume
from mediad.store import Transaction
from mediad.store.recovery import RECOVERED

if TYPE_CHECKING:
    from mediad.engine.engine import Engine
    from mediad.engine.library import Library

_LISTED = 100  # quarantined and failing files that are named; all are counted
_EXAMPLES = 10
_WINDOW = 10.0
_FAILING_REST = 19.0  # times as long as a look took, nothing is looked up again


class Progress:
    """How fast files are taken in: a rate over the last seconds."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int]] = deque(maxlen=4096)
        self._moved = False

    def add(self, files: int) -> None:
        if files:
            self._marks.append((time.monotonic(), files))
            self._moved = True

    def moved(self) -> bool:
        """Whether anything was added since this was last asked."""
        moved, self._moved = self._moved, False
        return moved

    def rate(self) -> float:
        """Files a second."""
        since = time.monotonic() - _WINDOW
        recent = [(at, files) for at, files in list(self._marks) if at > since]
        span = max(time.monotonic() - recent[0][0], 1.0) if recent else 1.0
        return sum(files for _, files in recent) / span


class Failing:
    """Files whose reading failed and is tried again; looked up for a twentieth of the time at most.

    For that all of the work list is read: 0.2 s for each 100,000 files, and every publication asks.
    """

    def __init__(self) -> None:
        self._known: tuple[list[dict[str, Any]], dict[str, int]] = [], {}
        self._until = 0.0

    def look(self, tx: Transaction) -> tuple[list[dict[str, Any]], dict[str, int]]:
        """The first of them, and how many there are by the system's error."""
        started = time.monotonic()
        if started >= self._until:
            self._known = _failing(tx)
            now = time.monotonic()
            self._until = now + _FAILING_REST * (now - started)
        found, errors = self._known
        return found, dict(errors)


def stored_status(library: Library) -> dict[str, Any]:
    """What the store says: the daemon's own part is missing, because none was asked."""
    with library.store.read() as tx:
        return {"state": "stopped", "version": __version__} | _stored(tx, library)


def _stored(tx: Transaction, library: Library) -> dict[str, Any]:
    volumes = list(tx.volumes)
    totals = published_totals(tx)
    quarantined = _quarantined(tx)
    failing, errors = library.failing.look(tx)
    return {
        "generation": published_generation(tx),
        "pending": tx.work.count(),
        "quarantined": quarantined,
        "failing": failing,
        "errors": errors,
        "assets": {"images": totals["images"], "videos": totals["videos"]},
        "volumes": [_volume(tx, volume, totals["volumes"]) for volume in volumes],
        "encoder": _encoder(library._spaces.serving, library.settings.encoder),
        "counters": tx.meta.counters(),
        "catalog": str(library.locations.catalog / "catalog.json"),
        "state_dir": str(library.locations.state),
        "page": None,
        "config": {"file": str(library.locations.config), "problems": [], "next_start": []},
        "recovered": _recovered(tx),
    }


def _recovered(tx: Transaction) -> dict[str, Any] | None:
    """What the last mending of a damaged store did: see `store.recovery`."""
    done: dict[str, Any] | None = tx.meta.get(RECOVERED)
    return None if done is None else done | {"at": iso(done["at"])}


def _volume(tx: Transaction, volume: Volume, files: dict[str, int]) -> dict[str, Any]:
    return {
        "id": volume.id,
        "name": volume.name,
        "path": volume.path,
        "state": volume.state.value,
        "reason": volume.reason,
        "assets": files.get(volume.id, 0),
        "last_scan": iso(volume.last_scan) if volume.last_scan else None,
        "suspect": _suspect(tx, volume),
    }


def _suspect(tx: Transaction, volume: Volume) -> dict[str, Any] | None:
    """Files that vanished together and are held, until a scan a minute later or the user confirms it; the first few."""
    count, since = 0, math.inf
    paths: list[str] = []
    for key, _, at in tx.suspects.of_volume(volume.id):
        file = tx.files.at(key) if len(paths) < _EXAMPLES else None
        paths += [_path(tx, volume.id, file.relpath)] if file is not None else []
        count, since = count + 1, min(since, at)
    if not count:
        return None
    return {"files": count, "since": iso(since) if since < math.inf else None, "paths": paths}


def _encoder(info: EncoderInfo | None, setting: str) -> dict[str, Any]:
    if info is None:
        return {"setting": setting, "id": None, "spec": None, "dimensions": None, "text": False, "backend": None}
    return {
        "setting": setting,
        "id": info.id,
        "spec": info.spec,
        "dimensions": info.dimensions,
        "text": info.text,
        "backend": info.backend,
    }


def _quarantined(tx: Transaction) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for attempt in tx.attempts.quarantined():
        known = {"content_id": attempt.content_id.hex(), "reason": attempt.reason, "decoder": attempt.decoder}
        files = (file for file in tx.files.of(attempt.content_id) if not file.missing)
        found += [{"path": _path(tx, file.volume, file.relpath), "id": file.id} | known for file in files]
    return found


def _failing(tx: Transaction) -> tuple[list[dict[str, Any]], dict[str, int]]:
    found: list[dict[str, Any]] = []
    errors: Counter[str] = Counter()
    for item in tx.work.failing():
        if item.errno is not None:
            errors[_error_name(item.errno)] += 1
        file = tx.files.at(item.key) if len(found) < _LISTED else None
        if file is not None:
            path = _path(tx, file.volume, file.relpath)
            found.append({"path": path, "reason": item.reason, "errno": item.errno, "tries": item.tries})
    return found, dict(errors)


def _error_name(number: int) -> str:
    """Such as "EACCES"."""
    return errno.errorcode.get(number, str(number))


def _path(tx: Transaction, volume_id: Any, relpath: bytes) -> str:
    volume = tx.volumes.get(volume_id)
    root = os.fsencode(volume.path).rstrip(b"/") if volume else b""
    return path_text(root + b"/" + relpath)


def live_status(engine: Engine) -> dict[str, Any]:
    """The store's facts and the running daemon's own."""
    with engine.store.read() as tx:
        stored = _stored(tx, engine)
    waiting, unembedded = engine.pending()
    rate = engine.progress.rate()
    stored["volumes"] = [volume | engine.watching(volume["id"]) for volume in stored["volumes"]]
    for problem in (problem for volume in stored["volumes"] for problem in volume["unreadable"]):
        name = _error_name(problem["errno"])
        stored["errors"][name] = stored["errors"].get(name, 0) + 1
    stored["encoder"] |= {"problem": engine.encoder_problem(), "filling": engine.filling()}
    stored["config"]["problems"] = list(engine.config_problems)
    stored["config"]["next_start"] = engine.next_start()
    return (
        {
            "state": engine.activity(),
            "version": __version__,
            "pid": os.getpid(),
            "uptime_seconds": round(time.time() - engine.started, 1),
        }
        | stored
        | {
            "pending": waiting + unembedded,
            "pending_read": waiting,
            "pending_embedding": unembedded,
            "rate": round(rate, 2),
            "eta_seconds": round((waiting + unembedded) / rate, 1) if rate > 0 and waiting + unembedded else None,
            "page": engine.page,
            "loops": dict(engine.failures()),
            "degraded": engine.degraded(),
        }
    )


def facts_of(status: dict[str, Any], info: EncoderInfo | None, timing: Timing, tiers: tuple[str, ...]) -> Facts:
    """What the catalog's metadata says of a status."""
    problems = status["config"]["problems"]
    note = status["encoder"]["problem"]
    encoder = CatalogEncoder(id=info.id, dimensions=info.dimensions, text=info.text, note=note) if info else None
    return Facts(
        encoder=encoder,
        pending=status["pending"],
        quarantined=len(status["quarantined"]),
        complete=not status["pending"] and all(volume["last_scan"] for volume in status["volumes"]),
        config_problem="\n".join(problems) or None,
        degraded=status["degraded"],
        timing=timing,
        tiers=tiers,
    )
