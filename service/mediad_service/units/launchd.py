"""The service under launchd: an agent of the user, or a daemon of the whole system."""

from __future__ import annotations

import itertools
import os
import plistlib
import re
import subprocess
from pathlib import Path

from .accounts import check_python, find_account
from .agent import LABEL, agent_bytes
from .commands import call, write
from .facts import Facts
from .service import DEDICATED_ACCOUNT, Service, UnitError

render = agent_bytes

_GONE = 113  # what `launchctl print` ends with for a service that is not loaded


def agent_path(*, system: bool) -> Path:
    """Where the property list is installed."""
    folder = Path("/Library/LaunchDaemons") if system else Path.home() / "Library/LaunchAgents"
    return folder / f"{LABEL}.plist"


def install(service: Service) -> Facts:
    """Write the property list and load it, which starts the daemon."""
    _require(system=service.system)
    data = agent_bytes(service)
    _prepare(service)
    changed = write(agent_path(system=service.system), data)
    loaded = status(system=service.system).state != "absent"
    if loaded and changed:
        call("launchctl", "bootout", _target(system=service.system))
    if changed or not loaded:
        call("launchctl", "enable", _target(system=service.system))
        call("launchctl", "bootstrap", _domain(system=service.system), str(agent_path(system=service.system)))
    facts = status(system=service.system)
    facts.notes.append(
        "macOS asks whether Python may read Pictures, removable and network volumes: allow it, or give "
        f"{service.python} Full Disk Access in System Settings"
    )
    return facts


def uninstall(*, system: bool) -> Facts:
    """Stop the daemon and remove the property list; the state and the catalog stay."""
    _require(system=system)
    before = status(system=system)
    if before.state != "absent":
        call("launchctl", "bootout", _target(system=system))
    agent_path(system=system).unlink(missing_ok=True)
    facts = status(system=system)
    facts.notes += before.kept()
    return facts


def status(*, system: bool) -> Facts:
    """What launchd says of the agent."""
    path = agent_path(system=system)
    facts = Facts("launchd", "system" if system else "user", str(path), installed=path.exists())
    if facts.installed:
        _read_agent(path, facts)
    printed = subprocess.run(
        ["launchctl", "print", _target(system=system)], capture_output=True, text=True, check=False
    )
    if printed.returncode == 0:
        facts.enabled = True
        read_printed(printed.stdout, facts)
    elif printed.returncode != _GONE:
        facts.notes.append(f"launchctl: {printed.stderr.strip()}")
    return facts


def read_printed(text: str, facts: Facts) -> None:
    """The state and process that `launchctl print` shows; its lines look like `state = running`."""
    found = dict(re.findall(r"^\s*(state|pid|runs|last exit code) = (.+)$", text, re.MULTILINE)[::-1])
    facts.state = found.get("state", "unknown")
    facts.pid = int(found["pid"]) if found.get("pid", "").isdigit() else None
    facts.result = found.get("last exit code")
    facts.restarts = max(0, int(found["runs"]) - 1) if found.get("runs", "").isdigit() else None


def _read_agent(path: Path, facts: Facts) -> None:
    agent = plistlib.loads(path.read_bytes())
    words = agent.get("ProgramArguments", [])
    options = dict(itertools.pairwise(words))
    facts.config, facts.state_dir = options.get("--config"), options.get("--state-dir")
    facts.catalog_dir, facts.account = options.get("--catalog-dir"), agent.get("UserName")


def _require(*, system: bool) -> None:
    if system and os.geteuid() != 0:
        raise UnitError("a system service needs root: run the same command with sudo, or leave out --system")
    if not system and os.geteuid() == 0:
        raise UnitError("a user's agent is installed by that user: leave out sudo, or add --system")


def _prepare(service: Service) -> None:
    """Make the directories, for the account that will write them."""
    account = find_account(service.account) if service.account else None
    if service.system and account is None:
        raise UnitError(f"there is no account {service.account or DEDICATED_ACCOUNT}: name one with --account")
    if account is not None:
        check_python(service, account)
    for path in service.directories:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if account is not None:
            os.chown(path, account.pw_uid, account.pw_gid)


def _domain(*, system: bool) -> str:
    return "system" if system else f"gui/{os.getuid()}"


def _target(*, system: bool) -> str:
    return f"{_domain(system=system)}/{LABEL}"
