"""A real systemd for tests: the sandbox script beside the checkout, and what it must be able to see."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
Scenario = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def in_systemd(shared: Path) -> Scenario:
    """Run a scenario of `scenarios.py` as root under a real systemd of its own; gives the facts that it prints."""
    script = shared / "tools" / "systemd-sandbox"
    if not script.exists() or os.geteuid() != 0 or shutil.which("systemctl") is None:
        pytest.skip("needs root, Debian's packages systemd and dbus, and the sandbox script beside the checkout")

    def run(name: str, *arguments: str) -> dict[str, Any]:
        needed = {Path(sys.prefix), Path(sys.base_prefix), ROOT, shared}
        bound = " ".join(str(path) for path in needed if path.parts[1] in ("tmp", "run"))
        inner = [sys.executable, "-P", str(Path(__file__).with_name("scenarios.py")), name, str(shared), *arguments]
        environment = {**os.environ, "SANDBOX_BIND": bound}
        done = subprocess.run([script, *inner], env=environment, capture_output=True, text=True, timeout=500)
        print(done.stderr[-6000:])  # pytest shows it with a failure
        assert done.returncode == 0, done.stderr[-6000:]
        return dict(json.loads(done.stdout.splitlines()[-1]))

    return run
