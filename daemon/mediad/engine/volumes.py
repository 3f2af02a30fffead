"""Which record of the store a configured volume is: by its path, or by its identity where it is attached elsewhere."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import islice

import structlog

from mediad.config.settings import Settings, VolumeSettings
from mediad.ingest.record import forget_expired
from mediad.model import File, Volume, VolumeId, VolumeState, short_id
from mediad.store import Store
from mediad.volume.health import check
from mediad.volume.identity import sample_of

log = structlog.get_logger()

_SAMPLES = 16
_BATCH = 500


def match_volumes(store: Store, settings: Settings) -> list[tuple[Volume, VolumeSettings]]:
    """Pair every configured volume with its record (a new one where it was never seen); forget all other records.

    A drive that is attached at another path is recognised, so its files keep their ids and cost nothing.
    """
    with store.read() as tx:
        known = {volume.path: volume for volume in tx.volumes}
    pairs: list[tuple[Volume, VolumeSettings]] = []
    configured = {str(chosen.path) for chosen in settings.volumes}
    adrift = [volume for path, volume in known.items() if path not in configured]
    for chosen in settings.volumes:
        volume = known.get(str(chosen.path)) or _reattach(store, adrift, chosen) or _new(store, chosen)
        with store.write() as tx:
            stored = tx.volumes.get(volume.id)
            volume = replace(stored or volume, name=chosen.name)  # its loop may have written its state just now
            if volume != stored:
                tx.volumes.put(volume)
        pairs.append((volume, chosen))
    for volume in adrift:
        _forget(store, volume)
    return pairs


def _new(store: Store, chosen: VolumeSettings) -> Volume:
    salt = 0
    with store.read() as tx:
        taken = {volume.id for volume in tx.volumes}
    while (volume_id := VolumeId(short_id("volume", str(chosen.path), str(salt))[:8])) in taken:
        salt += 1
    return Volume(id=volume_id, name=chosen.name, path=str(chosen.path))


def _reattach(store: Store, adrift: list[Volume], chosen: VolumeSettings) -> Volume | None:
    for volume in adrift:
        with store.read() as tx:
            files = (file for file in tx.files.of_volume(volume.id) if not file.missing)
            samples = [sample_of(file) for file in islice(files, _SAMPLES)]
        health = check(str(chosen.path), volume.identity, samples) if samples and volume.identity else None
        if health is not None and health.state is VolumeState.ONLINE:
            log.info("volume recognised at another path", name=chosen.name, was=volume.path, now=str(chosen.path))
            adrift.remove(volume)
            volume.path = str(chosen.path)
            with store.write() as tx:
                tx.volumes.put(volume)
            return volume
    return None


def _forget(store: Store, volume: Volume) -> None:
    """Take a volume out of the catalog. What was computed of its files is kept for the retention, as of any orphan."""
    log.info("volume removed", name=volume.name, path=volume.path)
    while True:
        with store.write() as tx:
            batch: list[File] = list(islice(tx.files.of_volume(volume.id), _BATCH))
            if not batch:
                tx.volumes.delete(volume.id)
                return
            forget_expired(tx, batch, time.time())
