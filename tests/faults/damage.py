"""A daemon with something to lose, and ways to damage what it keeps."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
from PIL import Image
from tests.daemon import Daemon, files_of

from mediad import resources

PAGE = 4096
SCHEMA = json.loads(resources.shipped("config", "catalog.schema.json").read_bytes())


def draw(path: Path, seed: int) -> Path:
    """A picture that no other seed gives."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    Image.fromarray(coarse).resize((64, 48), Image.Resampling.BICUBIC).save(path)
    return path


def draw_library(root: Path) -> None:
    """A numbered sequence of 12, and 20 pictures in two folders."""
    for number in range(12):
        draw(root / "shot" / f"frame_{number:04d}.png", number)
    for number in range(20):
        draw(root / f"folder{number % 2}" / f"picture {chr(97 + number)}.jpg", 100 + number)


@dataclass(frozen=True)
class Known:
    """What a daemon said at one moment."""

    counters: dict[str, int]
    files: dict[str, dict[str, Any]]
    generation: int
    changes: list[str]


def known(daemon: Daemon) -> Known:
    """After a sync: what must not be lost."""
    catalog = daemon.sync()
    lines = (daemon.catalog_dir / "changes.ndjson").read_text().splitlines()
    return Known(daemon.counters(), files_of(catalog), catalog["generation"], lines)


def audited(daemon: Daemon) -> Known:
    """What it says after a sync, once an independent look finds the catalog right, whole and going forward."""
    now = known(daemon)
    daemon.run("audit")
    jsonschema.validate(daemon.catalog(), SCHEMA)
    numbers = [json.loads(line)["seq"] for line in now.changes]
    assert numbers == sorted(set(numbers)), "the feed's numbers went back"
    return now


Harm = Callable[[Path], None]


def cut_in_half(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2 // PAGE * PAGE)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def remove(path: Path) -> None:
    path.unlink()


def garbage(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(max(64, path.stat().st_size)))


def _pages(path: Path, first: int, last: int) -> None:
    with path.open("r+b") as file:
        file.seek(first * PAGE)
        file.write(bytes((last - first) * PAGE))


def zero_roots(path: Path) -> None:
    """Both of LMDB's meta pages: nothing leads to anything any more."""
    _pages(path, 0, 2)


def zero_middle(path: Path) -> None:
    size = path.stat().st_size // PAGE
    _pages(path, size // 2, size // 2 + 4)


def flip_bits(path: Path, count: int = 60, seed: int = 7) -> None:
    """Single bits here and there, behind the meta pages."""
    dice = random.Random(seed)
    data = bytearray(path.read_bytes())
    for _ in range(count):
        data[dice.randrange(2 * PAGE if len(data) > 4 * PAGE else 0, len(data))] ^= 1 << dice.randrange(8)
    path.write_bytes(data)
