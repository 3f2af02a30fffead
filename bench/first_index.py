"""`python -m bench.first_index`: how fast files are taken in, against the slowest stage alone. Target: 0.8 of it.

For each size of picture and each encoder, the whole (the real daemon, running and warm: hash, decode, previews, hashes,
vectors, store, catalog) and two stages alone: decoding with as many decoders, and encoding. `of_slowest` is the whole's
rate in terms of the slower one's. Where both stages compute on the same cores no pipeline can have them for nothing,
hence `of_both`: in terms of what these cores would do with decoding and encoding in turns and nothing else. The same in
processor time, which another program's load changes little, is `of_both_cpu`.

rclip is not measured beside it: its model's weights cannot be had without a download.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil
from bench.common import LARGE, SMALL, Served, cpu_of, mini_clip, photos, report, scratch

from mediad.config import Settings
from mediad.encoders import Encoder
from mediad.engine import options
from mediad.media.decoder import Decoder
from mediad.model import InputSpec

Pixels = npt.NDArray[np.uint8]
WARM_UP = 48
BATCH = 8


@dataclass
class Rate:
    """What `images` took: seconds of wall time, and of processor time in all processes."""

    images: int
    seconds: float
    cpu: float

    @property
    def per_second(self) -> float:
        return self.images / self.seconds


def decode_alone(files: Sequence[Path], spec: InputSpec) -> tuple[Rate, Pixels]:
    """Read and decode all of them, as many at once as the daemon does; the rate, and the encoder's inputs."""
    settings = Settings()
    decoders = [options.make_decoder(settings) for _ in range(options.readers(settings))]
    wanted = options.decode_spec(settings)(spec)

    def work(decoder: Decoder, part: Sequence[Path]) -> list[Pixels]:
        made = []
        for path in part:
            decoder.read(os.fsencode(path))
            made.append(decoder.decode(wanted).inputs)
        return made

    with ThreadPoolExecutor(len(decoders)) as pool:
        for decoder in decoders:
            work(decoder, files[:1])  # starts the child
        children = [psutil.Process(decoder.pid) for decoder in decoders if decoder.pid]
        cpu, started = cpu_of([psutil.Process(), *children]), time.monotonic()
        parts = [files[at :: len(decoders)] for at in range(len(decoders))]
        inputs = [one for made in pool.map(work, decoders, parts) for one in made]
        rate = Rate(len(files), time.monotonic() - started, cpu_of([psutil.Process(), *children]) - cpu)
    for decoder in decoders:
        decoder.stop()
    return rate, np.concatenate(inputs)


def encode_alone(encoder: Encoder, inputs: Pixels) -> Rate:
    encoder.encode_images(inputs[:BATCH])  # starts the process, finds the fastest format
    encoder.encode_images(inputs[:BATCH])
    child = [psutil.Process(encoder.pid)]
    cpu, started = cpu_of(child), time.monotonic()
    for at in range(0, len(inputs), BATCH):
        encoder.encode_images(inputs[at : at + BATCH])
    rate = Rate(len(inputs), time.monotonic() - started, cpu_of(child) - cpu)
    encoder.stop()
    return rate


def whole(home: Path, encoder: str, prepared: Path, count: int) -> tuple[Rate, float]:
    """The daemon with all its stages, once it is warm; also the seconds from its start to the first files' catalog."""
    library = home / "library"
    library.mkdir(parents=True)
    (prepared / "first").rename(library / "first")
    served = Served(home, [library], encoder, recluster_min_files=1_000_000)
    began = time.monotonic()
    with served:
        served.sync()
        start = time.monotonic() - began
        served.sync(clusters=True)  # or clustering the first few would take the cores while the rest is measured
        cpu, started = served.cpu_seconds(), time.monotonic()
        (prepared / "rest").rename(library / "rest")
        served.sync()
        rate = Rate(count, time.monotonic() - started, served.cpu_seconds() - cpu)
        assert served.facts.status()["counters"]["embeddings"] == count + WARM_UP
    return rate, start


def measure(size: tuple[int, int], count: int, encoder: str) -> None:
    with scratch() as home, tempfile.TemporaryDirectory() as state:
        prepared = home / "prepared"
        photos(prepared / "rest", count, size, drawn=8)
        photos(prepared / "first", WARM_UP, size, drawn=8, first=count)
        encoding = Encoder(encoder, Path(state), Path(state))
        decoded, inputs = decode_alone(sorted((prepared / "rest").iterdir()), encoding.info().input)
        encoded = encode_alone(encoding, inputs)
        all_of_it, start = whole(home, encoder, prepared, count)
    alone = min(decoded.per_second, encoded.per_second)
    report(
        "first_index",
        pixels=f"{size[0]} x {size[1]}",
        encoder=encoder if encoder == "descriptor" else "mini-clip",
        images=count,
        images_per_s=all_of_it.per_second,
        decode_alone_per_s=decoded.per_second,
        encode_alone_per_s=encoded.per_second,
        of_slowest=all_of_it.per_second / alone,
        of_both=(1 / decoded.per_second + 1 / encoded.per_second) * all_of_it.per_second,
        cpu_ms_each=1000 * all_of_it.cpu / count,
        decode_cpu_ms_each=1000 * decoded.cpu / count,
        encode_cpu_ms_each=1000 * encoded.cpu / count,
        of_both_cpu=(decoded.cpu + encoded.cpu) / all_of_it.cpu,
        first_catalog_s=start,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.first_index", description=__doc__)
    parser.add_argument("--small", type=int, default=800, help="images of 500 pixels (default: %(default)s)")
    parser.add_argument("--large", type=int, default=120, help="images of 12 megapixels (default: %(default)s)")
    given = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the daemon has it, so that both encode alike
    for encoder in filter(None, ("descriptor", mini_clip())):
        for size, count in ((SMALL, given.small), (LARGE, given.large)):
            if count:
                measure(size, count, encoder)


if __name__ == "__main__":
    main()
