"""The real daemon as a process, driven through the commands that people use."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CONFIG = """\
encoder = "{encoder}"
{volumes}
[schedule]
settle = 0.3
[http]
port = 0
"""


@dataclass
class Daemon:
    """`mediad run` with a state directory of its own. Start it with `start`, or use it as a context manager."""

    home: Path
    volumes: Sequence[Path]
    encoder: str = "descriptor"
    process: subprocess.Popen[str] | None = field(default=None, init=False)

    @property
    def state(self) -> Path:
        return self.home / "state"

    @property
    def catalog_dir(self) -> Path:
        return self.state / "catalog"

    @property
    def config(self) -> Path:
        return self.home / "config.toml"

    @property
    def log(self) -> Path:
        return self.home / "daemon.log"

    @property
    def environment(self) -> dict[str, str]:
        own = {"HOME": str(self.home), "XDG_CACHE_HOME": str(self.home / "cache"), "NO_COLOR": "1", "COLUMNS": "200"}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "MEDIAD_"))}
        return kept | own

    def write_config(self, volumes: Sequence[Path] | None = None, encoder: str | None = None) -> None:
        paths = self.volumes if volumes is None else volumes
        tables = "\n".join(f"[[volumes]]\npath = {json.dumps(str(path))}" for path in paths)
        self.config.write_text(CONFIG.format(encoder=encoder or self.encoder, volumes=tables))

    def command(self, *arguments: object) -> list[str]:
        options = ["--config", str(self.config), "--state-dir", str(self.state)]
        return [sys.executable, "-P", "-m", "mediad_service", *map(str, arguments), *options]

    def start(self, *, prefix: Sequence[str] = ()) -> Daemon:
        self.home.mkdir(parents=True, exist_ok=True)
        if not self.config.exists():
            self.write_config()
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*prefix, *self.command("run")], stdout=log, stderr=log, env=self.environment, text=True
            )
        self.until(self.answers, 60)
        return self

    def answers(self) -> bool:
        """Whether the daemon itself answers (and not the store in its place)."""
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()[-4000:]
        return self.said("state") not in (None, "stopped")

    def said(self, key: str) -> Any:
        """A field of `status`; None while there is none, as there is no store while a damaged one is exchanged."""
        done = self.run("status", "--json", check=False)
        return json.loads(done.stdout)[key] if done.returncode == 0 else None

    def run(self, *arguments: object, check: bool = True, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        """One command; its output is in the failure's text."""
        done = subprocess.run(
            self.command(*arguments), capture_output=True, text=True, env=self.environment, timeout=timeout
        )
        if check and done.returncode:
            raise AssertionError(f"mediad {arguments} exited {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def json(self, *arguments: object) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.json("status")
        return status

    def counters(self) -> dict[str, int]:
        counters: dict[str, int] = self.status()["counters"]
        return counters

    def sync(self, *arguments: object) -> dict[str, Any]:
        """`mediad sync`, then the catalog that it promises."""
        generation = int(self.json("sync", *arguments)["generation"])
        catalog = self.catalog()
        assert catalog["generation"] >= generation
        return catalog

    def catalog(self) -> dict[str, Any]:
        catalog: dict[str, Any] = json.loads((self.catalog_dir / "catalog.json").read_bytes())
        return catalog

    def changes(self) -> list[dict[str, Any]]:
        """The change feed without the volumes' own lines."""
        lines = (self.catalog_dir / "changes.ndjson").read_text().splitlines()
        return [line for line in map(json.loads, lines) if line["type"] != "volume"]

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit status. It must be gone within 10 s."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout=10)

    def until(self, done: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, f"not within {seconds} s:\n{self.log.read_text()[-4000:]}"
            time.sleep(0.05)

    def __enter__(self) -> Daemon:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def files_of(catalog: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every image and video of a catalog by path; fails where an image stands twice."""
    groups = [entry["files"] for entry in (*catalog["sequences"], *catalog["clusters"])]
    images = [file for files in (*groups, catalog["unclustered"]) for file in files if file["kind"] == "image"]
    assert len({file["id"] for file in images}) == len(images)
    found = images + [video["metadata"] for video in catalog["videos"]]
    return {file["filepath"]: file for file in found}
