"""The daemon with settings of a test's own, quick questions to it, and what is counted after every fault."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
from PIL import Image
from tests.daemon import Daemon, files_of

from mediad.config import Settings, locate, socket_of
from mediad.resources import shipped
from mediad_service.client import Remote

KMEANS = '[clustering]\nmethod = "kmeans"\nreduce = "none"\nclusters = 4\nmin_cluster_size = 2\n'
"""Clusters in a moment."""

OF_FILES = ("added", "changed", "moved", "missing", "restored", "removed")


@dataclass
class Tuned(Daemon):
    """`volume`: lines for the table of each volume; `schedule`: lines for that table; `more`: further tables.

    `prefix`: a command to start the daemon by.
    """

    volume: str = ""
    schedule: str = ""
    more: str = KMEANS
    prefix: Sequence[str] = ()
    _asked: Remote | None = field(default=None, init=False)

    def write_config(self, volumes: Any = None, encoder: str | None = None) -> None:
        super().write_config(volumes, encoder)
        text = self.config.read_text().replace("[schedule]", f"[schedule]\n{self.schedule}")
        self.config.write_text(text.replace("[[volumes]]", f"[[volumes]]\n{self.volume}") + self.more)

    def ask(self) -> Remote:
        """The daemon's own answers, without the start of a command for each."""
        if self._asked is None:
            self._asked = self.connect()
        return self._asked

    def connect(self) -> Remote:
        """A connection of one's own."""
        return Remote(socket_of(Settings(), locate(state_dir=self.state, environ=self.environment)))

    def first_volume(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ask().status()["volumes"][0]
        return found

    def until_volume(self, state: str, seconds: float = 30) -> None:
        """Wait, without a sync, until the first volume is in a state."""
        self.until(lambda: self.first_volume()["state"] == state, seconds)

    def count(self, name: str) -> int:
        """One of its counters."""
        return int(self.ask().status()["counters"].get(name, 0))

    def work(self) -> tuple[int, int]:
        """Decodes and embeddings so far."""
        return self.count("decodes"), self.count("embeddings")

    def told(self, since: int = 0) -> Counter[str]:
        """How often the feed says what of files (and not of clusters), from a line on."""
        return Counter(line["type"] for line in self.changes()[since:] if line["type"] in OF_FILES)

    def in_step(self, *options: object) -> dict[str, dict[str, Any]]:
        """Files by path, of a catalog that is valid and that the audit agrees with."""
        catalog = self.sync(*options)
        jsonschema.validate(catalog, json.loads(shipped("config", "catalog.schema.json").read_bytes()))
        self.run("audit")
        return files_of(catalog)

    def __enter__(self) -> Tuned:
        self.start(prefix=self.prefix)
        return self

    def __exit__(self, *_: object) -> None:
        if self._asked is not None:
            self._asked.close()
        super().__exit__()


@contextmanager
def running(daemon: Tuned) -> Iterator[Tuned]:
    """The daemon, which at the end must stop as it should."""
    with daemon:
        yield daemon
        assert daemon.stop() == 0


def tiny(seed: int) -> bytes:
    """A PNG of a few pixels that no other seed gives; those of many sizes, as size is what known files are known by."""
    pixels = np.random.default_rng(seed).integers(0, 255, (8 + seed % 41, 8, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def fill(root: Path, count: int, *, first: int = 0, folders: int = 10) -> None:
    """So many different pictures, in so many folders."""
    for number in range(count):
        path = root / f"folder-{number % folders:02}" / f"{_word(number)}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tiny(first + number))


def _word(number: int) -> str:
    """A name without a number, as numbered pictures would be one sequence and not clustered one by one."""
    return "".join(chr(ord("a") + number // 26**place % 26) for place in range(3))


def ids(files: dict[str, dict[str, Any]], root: Path | None = None) -> dict[str, str]:
    """Path (below `root`) -> id."""
    return {str(Path(path).relative_to(root)) if root else path: file["id"] for path, file in files.items()}
