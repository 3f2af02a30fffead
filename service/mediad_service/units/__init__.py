"""mediad as a service: systemd units and launchd agents, written, started, stopped and asked after.

`plan` describes the service for the Python that runs this; `install`, `uninstall` and `status` do the rest with
whichever of systemd and launchd this system has. All raise `UnitError` with a text that says what to do.
"""

from __future__ import annotations

import sys

from . import launchd, systemd
from .facts import Facts
from .planning import plan
from .service import Service, UnitError

__all__ = ["Facts", "Service", "UnitError", "install", "plan", "render", "status", "uninstall"]


def _manages_with_launchd() -> bool:
    return sys.platform == "darwin"


def render(service: Service) -> str:
    """The text of the unit, or the agent's property list, that `install` would write."""
    if _manages_with_launchd():
        return launchd.render(service).decode()
    return systemd.render(service)


def install(service: Service) -> Facts:
    """Write, enable and start the service; done again it changes only what differs, and restarts only then."""
    return launchd.install(service) if _manages_with_launchd() else systemd.install(service)


def uninstall(*, system: bool) -> Facts:
    """Stop the service and remove it. What it stored and published stays; the notes say where."""
    return launchd.uninstall(system=system) if _manages_with_launchd() else systemd.uninstall(system=system)


def status(*, system: bool) -> Facts:
    """What the service manager says of the service now."""
    return launchd.status(system=system) if _manages_with_launchd() else systemd.status(system=system)
