"""What the benchmarks share: pictures that are the same everywhere, a daemon of their own, one JSON line at the end.

Wall time on a busy machine says little, so processor time (user and system, of all processes) is told beside it where
that makes sense; `machine.load` is the load average at the end.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

from mediad.config import Settings, locate
from mediad_service.client import Facts, FactsError, Remote

SHARED = Path(__file__).parents[2] / "shared"
LIBRARIES = ("mediad", "numpy", "lmdb", "faiss-cpu", "torch", "pillow")
SMALL = (500, 375)
LARGE = (4000, 3000)
"""12 megapixels, as phones and cameras of the last years give."""


def mini_clip() -> str | None:
    """The encoder setting of the small real model beside the checkout; None where it is not there."""
    model = SHARED / "models" / "mini-clip"
    return f"open_clip:{model}.json:{model}.pt" if model.with_suffix(".pt").exists() else None


def photo(path: Path, seed: int, size: tuple[int, int]) -> Path:
    """A JPEG with shapes of all sizes and the grain of a sensor: about as costly as a photo (3 to 4 MB at 12 MP)."""
    random = np.random.default_rng(seed)
    width, height = size
    picture = np.zeros((height, width, 3), np.float32)
    for cells in (3, 12, 48, 190):
        coarse = random.integers(0, 255, (cells * 3 // 4 + 1, cells, 3), np.uint8)
        picture += np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)) * np.float32(1.6 / cells)
    picture *= 240 / picture.max()
    grain = random.normal(0, 4, (257, 509, 1)).astype(np.float32)
    tiles = (height // 257 + 1, width // 509 + 1, 1)
    picture += np.tile(grain, tiles)[:height, :width]
    Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(path, quality=88, subsampling=2)
    return path


def photos(directory: Path, count: int, size: tuple[int, int], *, drawn: int | None = None, first: int = 0) -> None:
    """Files 000000.jpg and on (from `first`), all different in their bytes.

    Only `drawn` of them show a picture of their own: drawing 12 MP takes longer than indexing it. The others are copies
    with some bytes more behind the end of the picture, which cost as much to decode.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = directory / f"{first + number:06d}.jpg"
        if drawn is None or number < drawn:
            photo(path, first + number, size)
        else:
            original = directory / f"{first + number % drawn:06d}.jpg"
            path.write_bytes(original.read_bytes() + b"copy %d" % (first + number))


class Served:
    """The real daemon as a process with a state directory of its own, and a connection to it.

    `schedule` are settings of that table of the configuration.
    """

    def __init__(self, home: Path, volumes: Sequence[Path], encoder: str = "descriptor", **schedule: object) -> None:
        self.state = home / "state"
        self.catalog = self.state / "catalog" / "catalog.json"
        self._config = home / "config.toml"
        self._log = home / "daemon.log"
        tables = [f"[[volumes]]\npath = {json.dumps(str(volume))}" for volume in volumes]
        tables += [
            "[schedule]",
            *(f"{name} = {json.dumps(value)}" for name, value in schedule.items()),
            "[http]",
            "port = 0",
        ]
        home.mkdir(parents=True, exist_ok=True)
        self._config.write_text("\n".join([f"encoder = {json.dumps(encoder)}", *tables]) + "\n")
        self._process: subprocess.Popen[bytes] | None = None
        self.ask: Facts | None = None

    def start(self) -> float:
        """Start it; seconds until it answers."""
        started = time.monotonic()
        options = ["--config", str(self._config), "--state-dir", str(self.state)]
        with self._log.open("ab") as log:
            command = [sys.executable, "-P", "-m", "mediad_service", "run", *options]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=self._environment())
        socket = locate(state_dir=self.state).socket
        until(lambda: self._connect(socket), 120)
        return time.monotonic() - started

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "MEDIAD_"))}
        return kept | {"HOME": str(self._config.parent)}

    def _connect(self, socket: Path) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()[-4000:]
        remote = Remote(socket)
        try:
            remote.status()
        except FactsError:
            remote.close()
            return False
        self.ask = remote
        return True

    @property
    def facts(self) -> Facts:
        assert self.ask is not None
        return self.ask

    def sync(self, *, clusters: bool = False) -> int:
        return self.facts.sync(None, clusters=clusters, timeout=900)

    def processes(self) -> list[psutil.Process]:
        """The daemon and every process that it has started and that lives."""
        assert self._process is not None
        daemon = psutil.Process(self._process.pid)
        return [daemon, *daemon.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """Processor time of the daemon and of all its children, ended ones included."""
        return cpu_of(self.processes())

    def stop(self) -> None:
        if self.ask is not None:
            self.ask.close()
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=20)

    def __enter__(self) -> Served:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def cpu_of(processes: Sequence[psutil.Process]) -> float:
    """Processor time in seconds that these have used, and children of theirs that have ended."""
    total = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])
    return total


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory that is gone at the end; on TMPDIR, which should be a disk like the one that mediad is to use."""
    directory = Path(tempfile.mkdtemp(prefix="mediad-bench-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def until(done: Callable[[], bool], seconds: float, pause: float = 0.02) -> None:
    """Wait for a condition. TimeoutError when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s")
        time.sleep(pause)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in LIBRARIES},
    }


def _cpu_model() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def report(bench: str, **figures: Any) -> None:
    """The result, as one JSON line."""
    rounded = {name: round(value, 4) if isinstance(value, float) else value for name, value in figures.items()}
    print(json.dumps({"bench": bench, **rounded, "machine": machine()}), flush=True)


def default_settle() -> float:
    """Seconds that a file must keep still before it is read, as configured by default."""
    return Settings().schedule.settle
