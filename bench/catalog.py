"""`python -m bench.catalog [--count N]`: what a catalog of N assets costs, built first and written after a change."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from mediad.catalog.metadata import Facts
from mediad.catalog.publish import Publisher
from mediad.model import (
    Asset,
    ChangeType,
    Cluster,
    File,
    Kind,
    Sequence,
    Stat,
    Volume,
    VolumeId,
    VolumeState,
    content_id_of,
)
from mediad.store import Store, Transaction

VOLUME = Volume(VolumeId("0badcafe"), "photos", "/srv/photos", VolumeState.ONLINE, last_scan=1.7e9)
FOLDER, BATCH, CLUSTER = 200, 5000, 150


def fill(store: Store, count: int) -> None:
    """`count` files in folders of 200: 1 % videos, 2 % exact copies, a sequence of 100 frames in every tenth folder."""
    with store.write() as tx:
        tx.volumes.put(VOLUME)
    for start in range(0, count, BATCH):
        with store.write() as tx:
            for number in range(start, min(start + BATCH, count)):
                put(tx, number)
    with store.write() as tx:
        group(tx, count)


def path_of(number: int) -> bytes:
    return b"2024/%04d trip/IMG_%06d.jpg" % (number // FOLDER, number)


def put(tx: Transaction, number: int) -> None:
    content = content_id_of(b"%d" % (number - 1 if number % 50 == 49 else number))
    name = f"{content.hex()[:2]}/{content.hex()}.webp"
    asset = Asset(content, Kind.IMAGE, 4000, 3000, "JPEG", "1", phash="0f" * 8, preview=name)
    asset.captured, asset.camera = "2024-05-01T10:20:30+02:00", "Canon EOS R6"
    if number % 100 == 0:
        asset = replace(asset, kind=Kind.VIDEO, duration=12.5, fps=25.0, codec="h264", preview_gif=name + ".gif")
    tx.assets.put(asset)
    path = path_of(number)
    stat = Stat(3_000_000 + number, (1_700_000_000 + number) * 10**9, 1_700_000_000 * 10**9, number)
    tx.files.put(File(tx.files.new_id(VOLUME.id, path), VOLUME.id, path, stat, content, 1.7e9))
    tx.journal.append(ChangeType.ADDED, f"{number:016x}", path=path.decode())


def group(tx: Transaction, count: int) -> None:
    members = [content_id_of(b"%d" % number) for number in range(count) if number % 5]
    for at in range(0, len(members), CLUSTER):
        part = tuple(members[at : at + CLUSTER])
        tx.clusters.put(Cluster(f"{at:08x}", "visual", f"cluster {at}", part[0], part, (0.04,) * 512, 0.5, ("a", "b")))
    for folder in range(0, count // FOLDER, 10):
        paths = [path_of(folder * FOLDER + step) for step in range(100)]
        files = [file.id for file in (tx.files.get(VOLUME.id, path) for path in paths) if file is not None]
        directory = paths[0].rpartition(b"/")[0]
        key = tx.files.directory_key(VOLUME.id, directory)
        assert key is not None
        one = Sequence(f"s{folder}", "numbered", f"shot {folder}", VOLUME.id, directory, tuple(files))
        tx.sequences.replace(key, [one])


def change_one(store: Store, number: int) -> None:
    with store.write() as tx:
        file = tx.files.get(VOLUME.id, path_of(number))
        assert file is not None
        tx.files.put(replace(file, stat=replace(file.stat, size=file.stat.size + 1)))
        tx.journal.append(ChangeType.CHANGED, file.id)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.catalog")
    parser.add_argument("--count", type=int, default=100_000)
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "store") as store:
        fill(store, count)
        publisher = Publisher(store, Path(folder) / "catalog")
        started = time.monotonic()
        first = publisher.publish([VOLUME], Facts())
        first_wall = time.monotonic() - started
        cpu, wall = [], []
        for number in range(1, 6):
            change_one(store, number)
            started = time.monotonic()
            cpu.append(publisher.publish([VOLUME], Facts()).cpu_seconds)
            wall.append(time.monotonic() - started)
        idle = publisher.publish([VOLUME], Facts())
        assert not idle.written
        size = (Path(folder) / "catalog" / "catalog.json").stat().st_size
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    result = {
        "bench": "catalog",
        "assets": count,
        "first_build_cpu_s": round(first.cpu_seconds, 3),
        "first_build_s": round(first_wall, 3),
        "rewrite_cpu_s": round(sorted(cpu)[2], 3),
        "rewrite_s": round(sorted(wall)[2], 3),
        "unchanged_cpu_s": round(idle.cpu_seconds, 4),
        "catalog_mb": round(size / 1e6, 1),
        "peak_rss_mb": round(peak / 1e6),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
