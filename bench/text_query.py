"""`python -m bench.text_query [--count N]`: a warm text query over many assets. Target: p50 40 ms at 100,000.

Assets and unit vectors are made up and written into a real store; the encoder is the small real CLIP model beside the
checkout, so the time holds encoding the text, searching the index and rendering the files that were found, and not the
start of a command. Without that model there is nothing to measure.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from bench.common import mini_clip, percentile, report, scratch

from mediad.config import Settings, locate
from mediad.encoders import Encoder
from mediad.engine import Library
from mediad.engine.options import store_directory
from mediad.ingest.spaces import Spaces
from mediad.model import Asset, File, Kind, Stat, Volume, VolumeId, VolumeState, content_id_of
from mediad.store import Store

WORDS = ("sunflower", "a dalmatian", "an old motorbike", "faces of people", "umbrella", "two cats", "a ferry at sea")
_BATCH = 2000


def fill(state: Path, encoder: str, count: int) -> None:
    """A store with `count` made-up assets that the encoder's space knows."""
    locations = locate(state_dir=state)
    random = np.random.default_rng(7)
    with Store(store_directory(state)) as store:
        spaces = Spaces(store, lambda spec: Encoder(spec, locations.weights, state), locations.weights)
        spaces.configure(encoder)
        info = spaces.serving_or_raise()
        spaces.stop()
        volume = Volume(VolumeId("00000001"), "made-up", "/made-up", VolumeState.ONLINE)
        with store.write() as tx:
            tx.volumes.put(volume)
        for start in range(0, count, _BATCH):
            vectors = random.normal(size=(_BATCH, info.dimensions)).astype(np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            with store.write() as tx:
                for number, vector in enumerate(vectors, start):
                    content_id = content_id_of(number.to_bytes(8, "big"))
                    tx.assets.put(Asset(content_id, Kind.IMAGE, 640, 480, "JPEG", "1"))
                    stat = Stat(1000, number, number, number)
                    relpath = f"{number // 1000:04d}/{number:08d}.jpg".encode()
                    tx.files.put(File(f"{number:016x}", volume.id, relpath, stat, content_id))
                    tx.vectors.put(info.id, content_id, vector[None])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.text_query", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="assets (default: %(default)s)")
    parser.add_argument("--queries", type=int, default=70, help="queries (default: %(default)s)")
    given = parser.parse_args()
    encoder = mini_clip()
    if encoder is None:
        report("text_query", skipped="needs the small real model beside the checkout (../shared/models)")
        return
    with scratch() as state:
        fill(state, encoder, given.count)
        with Library(locate(state_dir=state), Settings(encoder=encoder)) as library:
            started = time.monotonic()
            library.search_text(WORDS[0], 20)
            cold = time.monotonic() - started
            seconds = []
            for number in range(given.queries):
                started = time.monotonic()
                library.search_text(f"{WORDS[number % len(WORDS)]} {number}", 20)
                seconds.append(time.monotonic() - started)
    report(
        "text_query",
        assets=given.count,
        cold_seconds=cold,
        p50_ms=1000 * percentile(seconds, 0.5),
        p95_ms=1000 * percentile(seconds, 0.95),
    )


if __name__ == "__main__":
    main()
