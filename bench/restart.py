"""`python -m bench.restart [--count N]`: an unchanged restart. Target: 100,000 files 3 s, a million 15 s and 300 MB.

The files are real, but of a few bytes; the store gets their records written directly, as a first index would have left
them. A first run makes the catalog, the second is the one that counts: from the start of the process until `sync` says
that all on disk is in the catalog. Nothing may be read or decoded in it.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
from bench.common import Served, report, scratch

from mediad.encoders.descriptor import INFO
from mediad.media.decoder import DECODER_VERSION
from mediad.model import Asset, File, Kind, Stat, Volume, VolumeId, VolumeState, content_id_of
from mediad.store import Store
from mediad.volume.health import check
from mediad.volume.walk import to_stat

FOLDER, BATCH = 250, 5000
VOLUME = VolumeId("0badcafe")


def make_files(library: Path, count: int) -> dict[bytes, Stat]:
    """`count` tiny files in folders of 250; their stats by path below the library."""
    made = {}
    for start in range(0, count, FOLDER):
        folder = library / f"{start // FOLDER:05d}"
        folder.mkdir(parents=True)
        for number in range(start, min(start + FOLDER, count)):
            path = folder / f"P{number:07d}.jpg"
            path.write_bytes(b"\xff\xd8 %d" % number)
            made[os.fsencode(path.relative_to(library))] = to_stat(path.stat())
    return made


def fill(state: Path, library: Path, files: dict[bytes, Stat]) -> None:
    """The store as a first index leaves it, less the previews; nothing waits to be clustered."""
    vectors = np.random.default_rng(0).normal(size=(997, 1, INFO.dimensions)).astype(np.float32)
    with Store(state / "store") as store:
        found = check(str(library), None)
        volume = Volume(VOLUME, "library", str(library), VolumeState.ONLINE, identity=found.identity)
        with store.write() as tx:
            tx.volumes.put(volume)
            tx.vectors.add_space(INFO)
        paths = list(files.items())
        for start in range(0, len(paths), BATCH):
            with store.write() as tx:
                for relpath, stat in paths[start : start + BATCH]:
                    content = content_id_of(relpath)
                    tx.assets.put(Asset(content, Kind.IMAGE, 4000, 3000, "jpeg", DECODER_VERSION, phash="0f" * 8))
                    tx.vectors.put(INFO.id, content, vectors[content[0] * content[1] % 997])
                    file_id = tx.files.new_id(VOLUME, relpath)
                    tx.files.put(File(file_id, VOLUME, relpath, stat, content, time.time()))
                tx.vectors.take_fresh(BATCH)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.restart", description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="files (default: %(default)s)")
    count = parser.parse_args().count
    with scratch() as home:
        library, state = home / "library", home / "state"
        fill(state, library, make_files(library, count))
        with Served(home, [library]) as first:
            first.sync()
            before = first.facts.status()["counters"]
        served = Served(home, [library])
        started = time.monotonic()
        with served:
            answered = time.monotonic() - started
            generation = served.sync()
            took = time.monotonic() - started
            peak = max(process.memory_info().rss for process in served.processes())
            status = served.facts.status()
            cpu = served.cpu_seconds()
    report(
        "restart",
        files=count,
        seconds=took,
        answers_after_s=answered,
        cpu_s=cpu,
        rss_mb=peak / 1e6,
        generation=generation,
        catalogued=status["assets"]["images"],
        **{name: status["counters"][name] - before[name] for name in ("decodes", "embeddings", "publishes", "scans")},
    )


if __name__ == "__main__":
    main()
