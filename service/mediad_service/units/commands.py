"""Running the service manager's own commands."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .service import UnitError

_SECONDS = 400  # longer than TimeoutStartSec, so that systemd's own verdict comes first


def call(*command: str, check: bool = True) -> str:
    """Run a command and give its standard output; UnitError with what it said where it fails (and `check` is set)."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except FileNotFoundError as error:
        raise UnitError(f"{command[0]} is not on this system; run `mediad run` under your own supervisor") from error
    except subprocess.TimeoutExpired as error:
        raise UnitError(f"`{' '.join(command)}` did not end within {_SECONDS} s") from error
    if check and done.returncode:
        said = (done.stderr or done.stdout).strip() or f"exit status {done.returncode}"
        raise UnitError(f"`{' '.join(command)}` failed: {said}")
    return done.stdout


def write(path: Path, content: bytes) -> bool:
    """Put `content` at `path` in one step, readable by all; False where it was there already."""
    if path.exists() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    new.chmod(0o644)
    new.replace(path)
    return True
