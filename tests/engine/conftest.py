"""A real engine in this process, on volumes of small pictures that the tests draw."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mediad.config.locations import locate
from mediad.config.settings import ScheduleSettings, Settings, VolumeSettings
from mediad.engine import Engine


def draw(path: Path, seed: int, size: tuple[int, int] = (64, 48)) -> Path:
    """A picture that no other seed gives, written in one go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path)
    return path


@dataclass
class Running:
    """An engine with what tests ask of it."""

    engine: Engine
    catalog_dir: Path

    def sync(self, *, clusters: bool = False) -> dict[str, Any]:
        """Scan, wait, and read the catalog that holds it all."""
        generation = self.engine.sync(clusters=clusters, timeout=120)
        catalog: dict[str, Any] = json.loads((self.catalog_dir / "catalog.json").read_bytes())
        assert catalog["generation"] >= generation
        return catalog

    def counters(self) -> dict[str, int]:
        counters: dict[str, int] = self.engine.status()["counters"]
        return counters

    def changes(self) -> list[dict[str, Any]]:
        """File changes in the feed, volumes' left out."""
        return [line for line in self.engine.changes(0, 10_000) if line["type"] != "volume"]


def files_of(catalog: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every image and video of a catalog by path; fails where an image stands twice."""
    groups = [entry["files"] for entry in (*catalog["sequences"], *catalog["clusters"])]
    images = [file for files in (*groups, catalog["unclustered"]) for file in files if file["kind"] == "image"]
    assert len({file["id"] for file in images}) == len(images)
    found = images + [video["metadata"] for video in catalog["videos"]]
    return {file["filepath"]: file for file in found}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start an engine on directories; stopped at the end of the test."""
    running: list[Engine] = []

    def run(*directories: Path | VolumeSettings, **options: Any) -> Running:
        settings = Settings(
            encoder=options.pop("encoder", "descriptor"),
            volumes=tuple(one if isinstance(one, VolumeSettings) else VolumeSettings(path=one) for one in directories),
            schedule=ScheduleSettings(settle=0.2),
            **options,
        )
        locations = locate(state_dir=tmp_path / "state", environ={"HOME": str(tmp_path)})
        engine = Engine(locations, settings)
        engine.start()
        running.append(engine)
        return Running(engine, locations.catalog)

    yield run
    for engine in running:
        engine.stop()


@contextmanager
def mounted_at(point: Path) -> Iterator[Path]:
    """A file system of its own, as a drive would be; needs root, and permission to mount."""
    point.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", point], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"needs to mount: {done.stderr.strip()}")
    yield point
    while subprocess.run(["mountpoint", "-q", point], check=False).returncode == 0:
        subprocess.run(["umount", "--lazy", point], check=True)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    with mounted_at(tmp_path / "drive") as point:
        yield point
