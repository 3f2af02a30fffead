"""Ways to run a piece of a test elsewhere: with mounts of its own, or as a user that permissions apply to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., str]


def made(directory: Path) -> Path:
    """The directory, which was not there before."""
    directory.mkdir()
    return directory


def _run(command: list[str], script: str, arguments: tuple[object, ...]) -> str:
    done = subprocess.run(
        [*command, sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _usable(command: list[str], why: str) -> list[str]:
    try:
        subprocess.run([*command, "true"], check=True, capture_output=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        pytest.skip(why)
    return command


@pytest.fixture(scope="session")
def with_mounts() -> Run:
    """Run a script with arguments where it may mount; what it mounts is gone when it ends."""
    command = ["unshare", "-m", "--propagation", "private"] if os.getuid() == 0 else ["unshare", "-rm"]
    command = _usable(command, "needs a mount namespace (unshare -m)")
    return lambda script, *arguments: _run(command, script, arguments)


@pytest.fixture(scope="session")
def unprivileged() -> Run:
    """Run a script with arguments as a user to whom permissions apply; root loses the power to pass over them."""
    powers = "-dac_override,-dac_read_search"
    command = ["setpriv", f"--bounding-set={powers}", f"--inh-caps={powers}"] if os.getuid() == 0 else []
    command = _usable([*command, "env"], "needs setpriv to drop root's powers")
    return lambda script, *arguments: _run(command, script, arguments)
