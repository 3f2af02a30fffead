"""Small libraries of generated pictures, and the command as people run it: a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from mediad_service.cli import make_app

# k-means without UMAP, which takes seconds to compile.
CONFIG = """\
encoder = "descriptor"
[http]
port = 0
[schedule]
settle = 0.2
[clustering]
method = "kmeans"
reduce = "none"
"""


@dataclass
class Command:
    """`mediad` with a home of its own, where no daemon runs unless a test starts one."""

    home: Path

    @property
    def state(self) -> Path:
        return self.home / "state"

    @property
    def config(self) -> Path:
        return self.home / "config.toml"

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "MEDIAD_"))}
        own = {"HOME": str(self.home), "XDG_CACHE_HOME": str(self.home / "cache"), "COLUMNS": "200", "NO_COLOR": "1"}
        places = {"MEDIAD_STATE_DIR": str(self.state), "MEDIAD_CONFIG": str(self.config)}
        return kept | own | places | {"PYTHONIOENCODING": "utf-8"}

    def line(self, *arguments: object) -> list[str]:
        return [sys.executable, "-P", "-m", "mediad_service", *map(str, arguments)]

    def __call__(self, *arguments: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
        environment = self.environment | options.pop("env", {})
        return subprocess.run(self.line(*arguments), capture_output=True, env=environment, timeout=120, **options)

    def json(self, *arguments: object, code: int = 0) -> Any:
        done = self(*arguments, "--json")
        assert done.returncode == code, done.stderr.decode()
        return json.loads(done.stdout)

    def inside(self, *arguments: object, code: int = 0) -> Result:
        """The same in this process, which is quicker; for verbs that start nothing."""
        words = list(map(str, arguments))
        done = CliRunner().invoke(make_app(words), words, env=self.environment)
        assert done.exit_code == code, done.output
        return done


def pictures(folder: Path, names: Sequence[str], seed: int = 1) -> None:
    """A picture of its own for each name: coloured blocks, so that no two are alike."""
    rng = np.random.default_rng(seed)
    for name in names:
        blocks = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(blocks.repeat(16, axis=0).repeat(16, axis=1)).save(path)


@pytest.fixture
def command(tmp_path: Path) -> Command:
    made = Command(tmp_path / "home")
    made.home.mkdir()
    made.config.write_text(CONFIG)
    return made
