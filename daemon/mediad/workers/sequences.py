"""Numbered sequences, kept up to date directory by directory as the journal tells of changes."""

from __future__ import annotations

import os
from collections.abc import Callable

import structlog

from mediad.analysis.sequences import Look, NumberedRun, find_sequences
from mediad.channel import ChildError
from mediad.ingest.previews import Previews
from mediad.ingest.scan import place_of
from mediad.media.decoder import Decoder, Undecodable
from mediad.model import Asset, ChangeType, File, Kind, Sequence, VolumeId, short_id
from mediad.store import Store, Transaction
from mediad.workers.stopwatch import Stopwatch

log = structlog.get_logger()

_POSITION = "sequences_seq"
_GIF_FROM = 10  # frames from which a sequence gets an animation
_FRAME_MS = 120
_FILES = {
    ChangeType.ADDED,
    ChangeType.CHANGED,
    ChangeType.MOVED,
    ChangeType.MISSING,
    ChangeType.RESTORED,
    ChangeType.REMOVED,
}


class SequenceKeeper:
    """Finds sequences again where something changed. For one thread."""

    def __init__(
        self,
        store: Store,
        previews: Previews,
        decoder: Decoder,
        stopwatch: Stopwatch,
        *,
        gif_size: int,
        gif_frames: int,
    ) -> None:
        self._store = store
        self._previews = previews
        self._decoder = decoder
        self._stopwatch = stopwatch
        self._gif_size = gif_size
        self._gif_frames = gif_frames
        self._lost: set[tuple[VolumeId, bytes]] = set()

    def look_again(self, places: set[tuple[VolumeId, bytes]]) -> None:
        """Look at these folders too the next time, although nothing in them changed: an animation was lost."""
        self._lost |= places

    def behind(self) -> bool:
        with self._store.read() as tx:
            return bool((tx.meta.get(_POSITION) or 0) < tx.journal.last_seq())

    def catch_up(self, going_on: Callable[[], bool]) -> bool:
        """Look at every directory that the journal names since the last time; whether any sequence changed."""
        with self._store.read() as tx:
            last, position = tx.journal.last_seq(), tx.meta.get(_POSITION) or 0
            if last == position and not self._lost:
                return False
            lost, self._lost = self._lost, set()
            places = _touched(tx, position) | lost
        changed = False
        for volume, directory in sorted(places):
            if not going_on():
                return changed
            changed |= self._refresh(volume, directory)
        with self._store.write() as tx:
            tx.meta.put(_POSITION, last)
        return changed

    def _refresh(self, volume: VolumeId, directory: bytes) -> bool:
        with self._store.read() as tx:
            key = tx.files.directory_key(volume, directory)
            if key is None:
                return False
            with self._stopwatch.measure("directory_grouping"):
                shots = _shots(tx, volume, directory)
                runs = _runs(shots)
            before = {sequence.pattern: sequence for sequence in tx.sequences.in_directory(key)}
        found = [self._sequence(run, shots, before, volume, directory) for run in runs]
        self._previews.settle()
        with self._store.write() as tx:
            return tx.sequences.replace(key, found)

    def _sequence(
        self,
        run: NumberedRun,
        shots: dict[bytes, tuple[File, Asset]],
        before: dict[str | None, Sequence],
        volume: VolumeId,
        directory: bytes,
    ) -> Sequence:
        members = [shots[name] for name in run.names]
        old = before.get(run.pattern)
        with self._stopwatch.measure("sequence_naming"):
            name = _name(run, directory)
        sequence = Sequence(
            id=old.id if old else short_id("sequence", members[0][0].id, run.pattern),
            kind="numbered",
            name=name,
            volume=volume,
            directory=directory,
            files=tuple(file.id for file, _ in members),
            representative=members[len(members) // 2][1].content_id,
            pattern=run.pattern,
            first=run.first,
            last=run.last,
            missing=run.missing,
        )
        if len(members) >= _GIF_FROM:
            sequence.preview_gif = self._animation([asset for _, asset in members])
        return sequence

    def _animation(self, assets: list[Asset]) -> str | None:
        """The name of an animation of frames spread over the sequence, rendered from their stills."""
        count = min(self._gif_frames, len(assets))
        chosen = [assets[position * (len(assets) - 1) // max(count - 1, 1)] for position in range(count)]
        digest = short_id(*(asset.content_id for asset in chosen))
        name = f"{digest[:2]}/{digest}.gif"
        if self._previews.exists(name):
            return name
        stills = [self._previews.get(asset.preview) for asset in chosen if asset.preview]
        frames = [still for still in stills if still]
        if len(frames) < 2:
            return None
        try:
            with self._stopwatch.measure("gif_creation"):
                return self._previews.put(name, self._decoder.animate(frames, self._gif_size, _FRAME_MS))
        except (ChildError, Undecodable) as error:
            log.warning("no animation of a sequence", first=assets[0].content_id.hex(), reason=str(error))
            return None


def _name(run: NumberedRun, directory: bytes) -> str:
    """What comes before the number, or the folder's name where that says nothing."""
    stem = run.pattern.partition("%")[0].rstrip(" ._-")
    return stem or os.path.basename(directory).decode("utf-8", "backslashreplace") or run.pattern


def _shots(tx: Transaction, volume: VolumeId, directory: bytes) -> dict[bytes, tuple[File, Asset]]:
    """Images that stand in a directory, by name."""
    found = {}
    for file in tx.files.in_directory(volume, directory):
        asset = tx.assets.get(file.content_id) if file.content_id and not file.missing else None
        if asset is not None and asset.kind is Kind.IMAGE:
            found[os.path.basename(file.relpath)] = (file, asset)
    return found


def _runs(shots: dict[bytes, tuple[File, Asset]]) -> list[NumberedRun]:
    looks = {name: Look(asset.width, asset.height, asset.phash) for name, (_, asset) in shots.items()}
    return find_sequences(shots, looks)


def _touched(tx: Transaction, since: int) -> set[tuple[VolumeId, bytes]]:
    """Directories in which a file changed; all of them where the journal does not reach back that far."""
    oldest = tx.journal.first_seq()
    if oldest > since + 1:
        return {(volume.id, directory) for volume in tx.volumes for directory in tx.files.directories(volume.id)}
    places: set[tuple[VolumeId, bytes]] = set()
    for change in tx.journal.after(since):
        if change.type not in _FILES:
            continue
        for prefix in ("", "from_"):
            where = place_of(change.detail, prefix)
            if where is not None:
                places.add((where[0], os.path.dirname(where[1])))
    return places
