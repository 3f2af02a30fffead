"""The daemon without what lets root ignore permissions."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

import pytest
from tests.daemon import Daemon

_RESPECT_MODES = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


def respecting_modes() -> list[str]:
    """What to put before a command so that permissions hold for it, as they do for an ordinary user."""
    return _RESPECT_MODES if os.geteuid() == 0 else []


@dataclass
class PlainDaemon(Daemon):
    """Permissions hold for everything that it runs, the audit too, as they do for an ordinary user."""

    def command(self, *arguments: object) -> list[str]:
        return [*respecting_modes(), *super().command(*arguments)]


def need_permissions() -> None:
    """Skip the test where root cannot be made to respect permissions."""
    if os.geteuid() != 0:
        return
    try:
        done = subprocess.run([*_RESPECT_MODES, "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("root ignores permissions, and there is no setpriv to make it respect them")
    if done.returncode:
        pytest.skip(f"root ignores permissions, and cannot be made to respect them: {done.stderr.strip()}")
