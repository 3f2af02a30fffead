"""How to compute on this machine: measured once on real pictures, kept only if nothing changes that anyone could see.

Which format is fastest depends on the processor and the model (bfloat16 is three times as fast as float32 for a vision
transformer on a CPU with AVX-512 BF16, and too coarse for MobileNetV2), so the candidates are timed on the first real
pictures. A candidate whose vectors have a cosine to float32's below 0.999 is out.
"""

from __future__ import annotations

import contextlib
import copy
import os
import platform
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import orjson
import psutil
import torch
from numpy.typing import NDArray

from mediad.durable import replace_file
from mediad.encoders.tower import Format, Tower

_LEAST_COSINE = 0.999
_SAMPLE = 16
_REPEATS = 3  # the first prepares kernels and memory
_BATCH = {"cuda": 256, "mps": 64, "cpu": 32}
"""Pictures at a time. A CPU gains nothing beyond 16 to 32, and a text query waits for one batch at most."""


def device() -> torch.device:
    """The fastest kind of device here: CUDA, then MPS, then the CPU, with a thread for each physical core."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    if "OMP_NUM_THREADS" not in os.environ:
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        torch.set_num_threads(max(1, min(psutil.cpu_count(logical=False) or 1, usable)))
    return torch.device("cpu")


def candidates(where: torch.device) -> list[Format]:
    """The formats worth timing, float32 first: the one that the others must agree with."""
    return [Format(where), Format(where, torch.bfloat16 if where.type == "cpu" else torch.float16)]


@dataclass(slots=True)
class Measured:
    """A tower that computes in float32 until it has seen enough real pictures to choose, and as chosen from then on.

    `key` names the model; the choice is kept in `state` (JSON) for this model, torch version and processor.
    """

    tower: Tower
    key: str
    state: Path
    _seen: list[NDArray[np.uint8]] = field(default_factory=list)
    _chosen: bool = False

    def __post_init__(self) -> None:
        self.key = f"{self.key} | torch {torch.__version__} | {processor(self.tower.format.device)}"
        known = _read(self.state).get(self.key, {}).get("format")
        for form in candidates(self.tower.format.device):
            if form.name == known:
                self.tower = converted(self.tower, form)
                self._chosen = True

    @property
    def backend(self) -> str:
        return self.tower.format.name

    @property
    def batch(self) -> int:
        return _BATCH[self.tower.format.device.type]

    def encode(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Unit vectors, float32 (n, d), of real pictures, uint8 (n, h, w, 3)."""
        if not self._chosen:
            self._seen.append(pictures[:_SAMPLE])
            if sum(map(len, self._seen)) >= _SAMPLE:
                self._choose(np.concatenate(self._seen)[:_SAMPLE])
        parts = [self.tower.encode(pictures[i : i + self.batch]) for i in range(0, len(pictures), self.batch)]
        return np.concatenate(parts)

    def _choose(self, pictures: NDArray[np.uint8]) -> None:
        self._seen.clear()
        self._chosen = True
        self.tower, report = fastest(self.tower, pictures)
        _write(self.state, _read(self.state) | {self.key: {"format": self.backend, "measured": report}})


def fastest(reference: Tower, pictures: NDArray[np.uint8]) -> tuple[Tower, dict[str, dict[str, float]]]:
    """The fastest conversion of a float32 tower that agrees with it on `pictures`.

    Returns:
        The tower to use, and for each format its pictures a second and least cosine to float32.
    """
    towers = [converted(reference, form) for form in candidates(reference.format.device)]
    rates = _rates(towers, pictures)
    expected = reference.encode(pictures)
    best, best_rate = reference, 0.0
    report = {}
    for tower, rate in zip(towers, rates, strict=True):
        cosine = float((tower.encode(pictures) * expected).sum(axis=1).min())
        report[tower.format.name] = {"per_second": round(rate, 2), "least_cosine": round(cosine, 6)}
        if rate > best_rate and cosine >= _LEAST_COSINE:  # a NaN is not
            best, best_rate = tower, rate
    return best, report


def converted(tower: Tower, form: Format) -> Tower:
    """A copy of a float32 tower that computes in another format."""
    if form == tower.format:
        return tower
    return replace(tower, module=form.convert(copy.deepcopy(tower.module)), format=form)


def _rates(towers: list[Tower], pictures: NDArray[np.uint8]) -> list[float]:
    """Pictures a second of each, in turns: what else runs on this machine slows all of them alike."""
    times: list[list[float]] = [[] for _ in towers]
    for _ in range(_REPEATS):
        for tower, taken in zip(towers, times, strict=True):
            start = time.perf_counter()
            tower.encode(pictures)
            taken.append(time.perf_counter() - start)
    return [len(pictures) / min(taken) for taken in times]


def processor(where: torch.device) -> str:
    """The name of what computes: a choice does not hold on another."""
    if where.type == "cuda":
        return torch.cuda.get_device_name(where)
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.partition(':')[2].strip()} {torch.backends.cpu.get_cpu_capability()}"
    return platform.processor() or platform.machine()


def _read(path: Path) -> dict[str, dict[str, object]]:
    try:
        content = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}  # not there or damaged: measured again
    return content if isinstance(content, dict) else {}


def _write(path: Path, content: dict[str, dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, orjson.dumps(content, option=orjson.OPT_INDENT_2))
