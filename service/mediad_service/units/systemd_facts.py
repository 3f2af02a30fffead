"""What systemd knows of the service, as `Facts`."""

from __future__ import annotations

import configparser
import os
import subprocess
from pathlib import Path

from .facts import Facts
from .unit_text import FACTS_SECTION

UNIT = "mediad.service"
_PROPERTIES = "ActiveState,SubState,Result,MainPID,NRestarts,MemoryCurrent,UnitFileState,User"


def systemctl(*, system: bool) -> tuple[str, ...]:
    return ("systemctl",) if system else ("systemctl", "--user")


def unit_path(*, system: bool) -> Path:
    """Where the unit is installed."""
    if system:
        return Path("/etc/systemd/system") / UNIT
    config_home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(config_home).expanduser() / "systemd/user" / UNIT


def drop_in(*, system: bool) -> Path:
    """Where the part of a user's unit is that needs user namespaces."""
    return Path(f"{unit_path(system=system)}.d") / "50-namespaces.conf"


def read_status(*, system: bool) -> Facts:
    """The unit's facts; all that systemd alone knows stays unknown where it cannot be asked."""
    path = unit_path(system=system)
    facts = Facts("systemd", "system" if system else "user", str(path), installed=path.exists())
    if not facts.installed:
        return facts
    _read_unit(path, facts)
    shown = _show(system=system)
    facts.state = shown.get("ActiveState", "unknown")
    facts.enabled = shown.get("UnitFileState") == "enabled"
    facts.result = shown.get("Result")
    facts.account = shown.get("User") or None
    facts.pid = _number(shown.get("MainPID")) or None
    facts.restarts = _number(shown.get("NRestarts"))
    facts.memory = _number(shown.get("MemoryCurrent"))
    facts.exposure = _exposure(path) if system else None
    return facts


def _read_unit(path: Path, facts: Facts) -> None:
    """The paths that were written into the unit."""
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(path.read_text())
    if parser.has_section(FACTS_SECTION):
        section = parser[FACTS_SECTION]
        facts.config, facts.state_dir = section.get("Config"), section.get("StateDir")
        facts.catalog_dir = section.get("CatalogDir")


def _show(*, system: bool) -> dict[str, str]:
    command = [*systemctl(system=system), "show", UNIT, f"--property={_PROPERTIES}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return {}
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def _number(text: str | None) -> int | None:
    """A count of systemd's; "[not set]" and the largest integer mean that it has none."""
    return int(text) if text and text.isdigit() and int(text) < 2**63 else None


def _exposure(path: Path) -> float | None:
    """The overall figure of `systemd-analyze security`; None with a systemd that cannot work on files (before 250)."""
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    for line in done.stdout.splitlines():
        if "Overall exposure level" in line:
            return float(line.split(":", 1)[1].split()[0])
    return None
