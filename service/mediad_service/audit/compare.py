"""The catalog against the disk, volume by volume."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from mediad.config import Settings, VolumeSettings
from mediad_service.audit.disk import Seen, content_id, look
from mediad_service.audit.document import Entry
from mediad_service.audit.report import Divergence, Report

Tell = Callable[[int], None]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Comparison:
    """Compares the volumes of one catalog; what it finds goes into `report`.

    What the daemon says to be under way is no divergence: files in quarantine, and what it cannot look at, by name;
    files that wait by number.
    """

    def __init__(self, report: Report, settings: Settings, status: Path, *, fast: bool, tell: Tell) -> None:
        self._report = report
        self._settings = {str(volume.path): volume for volume in settings.volumes}
        self._fast = fast
        self._tell = tell
        known = _status(status)
        self._report.pending = known["pending"]
        self._excused = {entry["path"] for entry in known["excused"]}
        self._late: list[Divergence] = []

    def volumes(self, volumes: list[dict[str, Any]], listed: list[Entry]) -> None:
        for volume in volumes:
            entries = [entry for entry in listed if entry.said["volume"] == volume["id"]]
            self._states(volume, entries)
            if volume["state"] == "online":
                self._volume(volume, entries)
        known = {volume["path"] for volume in volumes}
        for path, chosen in self._settings.items():
            if path not in known:
                self._found("volume", path, f'volume "{chosen.name}" is configured, but not in the catalog')
        if len(self._late) > self._report.pending:
            self._report.divergences += self._late

    def _found(self, kind: str, path: str | None, text: str) -> None:
        self._report.divergences.append(Divergence(kind, path, text))

    def _states(self, volume: dict[str, Any], entries: list[Entry]) -> None:
        right = "present" if volume["state"] == "online" else "offline"
        for entry in entries:
            if entry.said["state"] != right:
                self._found("state", entry.shown, f"is said to be {entry.said['state']}, its volume {volume['state']}")

    def _volume(self, volume: dict[str, Any], entries: list[Entry]) -> None:
        root = os.fsencode(volume["path"])
        try:
            os.scandir(root).close()
        except OSError as error:
            self._found("volume", volume["path"], f"is said to be online, but cannot be read: {error.strerror}")
            return
        path = Path(volume["path"])
        seen = look(root, self._settings.get(volume["path"]) or VolumeSettings(path=path))
        self._report.seen += len(seen.files)
        for place, why in seen.unreadable.items():
            self._unverified(os.fsdecode(place), why)
        for entry in entries:
            self._entry(entry, seen)
        for place in sorted(seen.files.keys() - {entry.path for entry in entries}):
            self._absent_from_catalog(place)

    def _unverified(self, path: str, why: str) -> None:
        self._report.unverified.append(Divergence("unverified", shown(os.fsencode(path)), why))

    def _absent_from_catalog(self, path: bytes) -> None:
        if shown(path) in self._excused:
            self._report.excused += 1
        else:
            self._late.append(Divergence("not in the catalog", shown(path), "is on the disk, but not in the catalog"))

    def _entry(self, entry: Entry, seen: Seen) -> None:
        self._tell(1)
        status = seen.files.get(entry.path)
        if status is None:
            self._absent_from_disk(entry, seen)
            return
        for told in self._differences(entry, status):
            if entry.shown not in self._excused:
                self._late.append(Divergence("outdated", entry.shown, told))
            return  # one is enough

    def _absent_from_disk(self, entry: Entry, seen: Seen) -> None:
        try:
            os.lstat(entry.path)
        except (FileNotFoundError, NotADirectoryError):
            self._found("not on the disk", entry.shown, "is in the catalog, but not on the disk")
        except OSError as error:
            self._unverified(entry.shown, error.strerror or str(error))
        else:
            if not seen.hides(entry.path):
                self._found(
                    "left out", entry.shown, "is in the catalog, but the settings leave it out, or it is no file"
                )

    def _differences(self, entry: Entry, status: os.stat_result) -> Iterator[str]:
        said = entry.said
        if said["filesize"] != status.st_size:
            yield f"has {status.st_size} bytes, the catalog says {said['filesize']}"
        if _microseconds(said["modified"]) != _within_calendar(status.st_mtime_ns // 1000):
            moment = datetime.fromtimestamp(status.st_mtime_ns / 1e9, UTC).isoformat()
            yield f"was modified {moment}, the catalog says {said['modified']}"
        if self._fast:
            return
        try:
            found = content_id(entry.path)
        except OSError as error:
            self._unverified(entry.shown, error.strerror or str(error))
            return
        self._report.hashed += 1
        if found != said["content_id"]:
            yield f"has content {found}, the catalog says {said['content_id']}"


def previews(directory: Path, document: Any) -> Iterator[Divergence]:
    """References to previews that are not there."""
    wanted = set(_previews(document))
    for name in sorted(wanted):
        if not (directory / name).is_file():
            yield Divergence("preview", name, "is referred to, but not there")


def _previews(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, part in value.items():
            if name in ("preview", "preview_gif"):
                yield from [part] * (part is not None)
            else:
                yield from _previews(part)
    elif isinstance(value, list):
        for part in value:
            yield from _previews(part)


def _status(path: Path) -> dict[str, Any]:
    """What status.json says of what is under way; nothing is, where it cannot be read."""
    try:
        known = orjson.loads(path.read_bytes())
        unreadable = [entry for volume in known.get("volumes", ()) for entry in volume.get("unreadable", ())]
        return {"pending": int(known["pending"]), "excused": [*known["quarantined"], *unreadable]}
    except (OSError, ValueError, KeyError, TypeError):
        return {"pending": 0, "excused": []}


def shown(path: bytes) -> str:
    r"""A path as the catalog writes it: each byte that is not UTF-8 as \xNN."""
    return path.decode("utf-8", "backslashreplace")


def _microseconds(text: str) -> int | None:
    """Since the epoch; None where it is no time."""
    try:
        return (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND
    except (ValueError, TypeError):
        return None


def _within_calendar(microseconds: int) -> int:
    """As far as years 1 to 9999 reach, which is what the catalog can say."""
    least = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
    most = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
    return min(max(microseconds, least), most)
