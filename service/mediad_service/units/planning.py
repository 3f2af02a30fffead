"""What service this Python should install, from what the person asked for and what this system is like."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mediad.config.locations import CONFIG_NAME, locate

from .service import DEDICATED_ACCOUNT, Service, UnitError

SYSTEM_CONFIG = Path("/etc/mediad") / CONFIG_NAME
SYSTEM_STATE = Path("/var/lib/mediad")
SYSTEM_CATALOG = Path("/var/cache/mediad/catalog")
"""Beside the private state, so that the service's group may read it; all of it can be made anew from the state."""

_GRAPHICS = ("/dev/nvidiactl", "/dev/kfd")


def plan(
    *,
    system: bool = False,
    account: str | None = None,
    read_all: bool = False,
    network: bool = True,
    gpu: bool | None = None,
    config: Path | None = None,
    state_dir: Path | None = None,
    catalog_dir: Path | None = None,
) -> Service:
    """The service for the Python that runs this.

    A system service runs as `account`; not named, as the person who called sudo, whose photos and Python it can then
    read, and else as an account of its own. `gpu` None: given where a graphics card for computing is seen.
    """
    python = Path(sys.executable)
    if not system:
        if account or read_all:
            raise UnitError("--account and --read-all are for a system service: add --system")
        found = locate(config, state_dir, catalog_dir)
        return Service(False, python, found.config, found.state, found.catalog)
    return Service(
        system=True,
        python=python,
        config=_absolute(config, SYSTEM_CONFIG),
        state_dir=_absolute(state_dir, SYSTEM_STATE),
        catalog_dir=_absolute(catalog_dir, state_dir / "catalog" if state_dir else SYSTEM_CATALOG),
        account=account or _sudo_caller() or DEDICATED_ACCOUNT,
        read_all=read_all,
        network=network,
        gpu=any(Path(device).exists() for device in _GRAPHICS) if gpu is None else gpu,
    )


def _sudo_caller() -> str | None:
    caller = os.environ.get("SUDO_USER")
    return caller if caller and caller != "root" else None


def _absolute(given: Path | None, default: Path) -> Path:
    path = given or default
    return Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 - resolve() would follow links
