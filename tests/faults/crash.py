"""A scripted session against `host.py` that may be killed anywhere, and what must hold afterwards."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
import pytest
from tests.engine.conftest import draw
from tests.faults.host import known, make_engine

from mediad.store import Store
from mediad_service.audit import audit

HOST = Path(__file__).with_name("host.py")


def film(path: Path, seed: int) -> Path:
    """A video of one second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = Fraction(1, 10)
        for index in range(10):
            coarse = np.random.default_rng(seed + index // 5).integers(0, 255, (6, 8, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(np.kron(coarse, np.ones((8, 8, 1), np.uint8)), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def need_strace() -> None:
    """Skip where processes cannot be traced."""
    if shutil.which("strace") is None:
        pytest.skip("needs Debian's package strace")
    done = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"needs leave to trace processes: {done.stderr.strip()}")


@dataclass
class Acknowledged:
    """The last answer to "sync". `files`: path -> [id, content id]; `ids`: all that was ever told, by content id."""

    generation: int = 0
    files: dict[str, list[str]] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    def then(self, answer: dict[str, Any]) -> Acknowledged:
        """With one more answer."""
        ids = {content_id: file_id for file_id, content_id in answer["files"].values()}
        return Acknowledged(answer["generation"], answer["files"], self.ids | ids)


@dataclass
class Host:
    """The process, which may die at any moment: then answers are None, and the script goes on."""

    home: Path
    prefix: Sequence[str] = ()
    more: dict[str, Any] = field(default_factory=dict)
    acknowledged: Acknowledged = field(default_factory=Acknowledged)
    process: subprocess.Popen[str] | None = field(default=None, init=False)

    @property
    def library(self) -> Path:
        return self.home / "library"

    @property
    def state(self) -> Path:
        return self.home / "run" / "state"

    def start(self) -> bool:
        self.library.mkdir(parents=True, exist_ok=True)
        self.state.parent.mkdir(exist_ok=True)
        command = [*self.prefix, sys.executable, "-P", str(HOST), str(self.state), str(self.library)]
        with (self.home / "host.log").open("a") as log:
            self.process = subprocess.Popen(
                [*command, json.dumps(self.more)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=Path(__file__).parents[2],
            )
        return self._read() is not None

    def ask(self, do: str, **options: Any) -> Any:
        """The answer; None where the process died before it gave one."""
        assert self.process is not None
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps({"do": do, **options}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return None
        return self._read()

    def _read(self) -> Any:
        assert self.process is not None
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line.endswith("\n") else None

    def sync(self, *, clusters: bool = False) -> bool:
        """Whether it was acknowledged."""
        answer = self.ask("sync", clusters=clusters)
        if answer is not None:
            self.acknowledged = self.acknowledged.then(answer)
        return answer is not None

    def children(self) -> Iterator[tuple[str, psutil.Process]]:
        """Its own processes that work now, each with its module."""
        assert self.process is not None
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                yield from ((part, child) for part in child.cmdline() if part.startswith("mediad."))

    def end(self) -> None:
        """Stop where it still runs; wait until it is gone."""
        self.ask("stop")
        assert self.process is not None
        try:
            self.process.communicate(timeout=30)
        except (BrokenPipeError, ValueError):
            self.process.wait(timeout=30)


def before(library: Path) -> None:
    """What is on the disk when the session begins."""
    for number in range(4):
        draw(library / f"{number}.png", number)
    film(library / "film.mp4", 50)


def session(host: Host) -> Acknowledged:
    """Start, index 6 pictures and a video, rename one, delete one, cluster, stop; the last acknowledgement.

    What it does to the files it does to the end, however soon the process dies.
    """
    library = host.library
    before(library)
    host.start()
    host.sync()
    draw(library / "sub" / "4.png", 4)
    draw(library / "sub" / "5.png", 5)
    host.sync()
    (library / "0.png").rename(library / "sub" / "zero.png")
    (library / "1.png").unlink()
    host.sync()
    draw(library / "6.png", 6)
    host.sync(clusters=True)
    host.end()
    return host.acknowledged


FILES = frozenset({"2.png", "3.png", "6.png", "film.mp4", "sub/4.png", "sub/5.png", "sub/zero.png"})
"""What a session leaves in the library."""

CONTENTS = 8
"""Different files that there ever are in a session."""


def check_restart(state: Path, library: Path, acknowledged: Acknowledged) -> dict[str, int]:
    """Start on what a crash left; everything acknowledged must be there, and the rest is caught up with.

    Returns how much was done again: {"decodes", "embeddings"}, of what was not acknowledged.
    """
    catalog = state / "catalog" / "catalog.json"
    if acknowledged.generation:
        document = json.loads(catalog.read_bytes())
        assert document["generation"] >= acknowledged.generation
    counted = _counters(state)
    engine = make_engine(state, library)
    engine.start()
    try:
        generation = engine.sync(timeout=60)
        found = known(catalog)
        status = engine.status()
        report = audit(catalog.parent, engine.settings)
    finally:
        engine.stop()
    assert {str(Path(path).relative_to(library)) for path in found} == FILES
    assert not report.divergences, [str(one) for one in report.divergences]
    assert generation >= acknowledged.generation
    assert (status["pending"], status["quarantined"], status["failing"], status["loops"]) == (0, [], [], {})
    for path, (file_id, content_id) in found.items():
        assert acknowledged.ids.get(content_id, file_id) == file_id, f"{path} has another id than was acknowledged"
    check_feed(state / "catalog", {file_id for file_id, _ in found.values()})
    again = {name: status["counters"][name] - counted[name] for name in ("decodes", "embeddings")}
    fresh = CONTENTS - len(acknowledged.ids)
    assert max(again.values()) <= fresh, f"{again} although only {fresh} were not acknowledged"
    return again


def _counters(state: Path) -> dict[str, int]:
    try:
        with Store(state / "store", readonly=True) as store, store.read() as tx:
            return tx.meta.counters()
    except FileNotFoundError:
        return {"decodes": 0, "embeddings": 0}


def check_feed(catalog: Path, present: set[str]) -> None:
    """The feed has each number once, in order and without a gap, and tells just what is there."""
    lines = []
    for name in ("changes.ndjson.1", "changes.ndjson"):
        if (catalog / name).exists():
            lines += [json.loads(line) for line in (catalog / name).read_bytes().splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    told: set[str] = set()
    for line in lines:
        if line["type"] in ("added", "restored"):
            assert line["id"] not in told, f"told twice: {line}"
            told.add(line["id"])
        elif line["type"] == "missing":
            told.remove(line["id"])
        elif line["type"] in ("changed", "moved"):
            assert line["id"] in told, f"never told of: {line}"
        elif line["type"] == "removed":  # with its volume, or what was missing
            told.discard(line["id"])
    assert told == present


def copy_of(state: Path, to: Path) -> Path:
    """A copy of a state directory, to start another process on."""
    return Path(shutil.copytree(state, to, ignore=shutil.ignore_patterns("*.sock")))
