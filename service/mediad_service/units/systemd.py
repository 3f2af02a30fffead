"""The service under systemd, for the whole system or for one user."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import platformdirs

from mediad.config import locate

from .accounts import check_python, ensure_account
from .commands import call, write
from .facts import Facts
from .service import DEDICATED_ACCOUNT, Service, UnitError
from .systemd_facts import UNIT, drop_in, read_status, systemctl, unit_path
from .unit_text import namespaces_text, unit_text

render = unit_text


def install(service: Service) -> Facts:
    """Write, check, enable and start the unit. Raises UnitError; a unit that systemd refuses is not installed."""
    _require(system=service.system)
    text = unit_text(service)
    notes = _verify(text, service)
    _prepare(service)
    changed = write(unit_path(system=service.system), text.encode())
    if not service.system:
        changed |= _confine(service)
    control = systemctl(system=service.system)
    call(*control, "daemon-reload")
    call(*control, "enable", UNIT)
    call(*control, "reset-failed", UNIT, check=False)
    _start(control, restart=changed)
    facts = read_status(system=service.system)
    facts.notes += notes + _advice(service)
    return facts


def uninstall(*, system: bool) -> Facts:
    """Stop and remove the unit; the account, the state and the catalog stay."""
    _require(system=system)
    before = read_status(system=system)
    if before.installed:
        control = systemctl(system=system)
        call(*control, "disable", "--now", UNIT)
        unit_path(system=system).unlink()
        _remove(drop_in(system=system))
        call(*control, "daemon-reload")
        call(*control, "reset-failed", UNIT, check=False)
    facts = read_status(system=system)
    facts.notes += before.kept()
    if before.account == DEDICATED_ACCOUNT and before.installed:
        facts.notes.append(f"kept: the account {DEDICATED_ACCOUNT}, to which these files belong")
    return facts


def status(*, system: bool) -> Facts:
    """What systemd says of the unit."""
    facts = read_status(system=system)
    if facts.installed and not facts.healthy:
        log = "journalctl -u mediad" if system else "journalctl --user -u mediad"
        facts.notes.append(f"it does not run ({facts.state}); its log: {log} -n 50")
    return facts


def _require(*, system: bool) -> None:
    """UnitError where systemd cannot be asked."""
    if shutil.which("systemctl") is None or not Path("/run/systemd/system").is_dir():
        raise UnitError("systemd does not run here: start `mediad run` with the supervisor that this system has")
    if system and os.geteuid() != 0:
        raise UnitError("a system service needs root: run the same command with sudo, or leave out --system")
    if system:
        return
    if os.geteuid() == 0 and os.environ.get("SUDO_USER"):
        raise UnitError("a user's service is installed by that user: leave out sudo, or add --system")
    done = subprocess.run(["systemctl", "--user", "show-environment"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnitError(
            f"this session has no systemd of its user ({done.stderr.strip()}): log in directly or by ssh rather than "
            "by su, or install with: sudo mediad service install --system"
        )


def _verify(text: str, service: Service) -> list[str]:
    """What `systemd-analyze verify` remarks; UnitError where it refuses the unit."""
    if shutil.which("systemd-analyze") is None:
        return []
    with tempfile.TemporaryDirectory() as folder:
        unit = Path(folder) / UNIT
        unit.write_text(text)
        scope = "--system" if service.system else "--user"
        command = ["systemd-analyze", scope, "verify", str(unit)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = [line.replace(folder, "").lstrip("/") for line in done.stderr.splitlines() if UNIT in line]
    if done.returncode and said:
        raise UnitError("systemd refuses the unit: " + "; ".join(said))
    return said


def _prepare(service: Service) -> None:
    """Make the directories that the unit takes for granted, for the account that will write them."""
    if not service.system:
        for path in (*service.directories, platformdirs.user_cache_path()):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return
    account = ensure_account(service.account or DEDICATED_ACCOUNT)
    check_python(service, account)
    service.config.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    for path, mode in ((service.state_dir, 0o700), (service.catalog_dir.parent, 0o750), (service.catalog_dir, 0o750)):
        if not path.exists():
            path.mkdir(mode=mode, parents=True)
            os.chown(path, account.pw_uid, account.pw_gid)


def _confine(service: Service) -> bool:
    """Write the drop-in that needs user namespaces where a trial shows that they work here, else remove it."""
    path = drop_in(system=False)
    trial = ["systemd-run", "--user", "--wait", "--quiet", "--collect"]
    trial += [
        "-pPrivateUsers=yes",
        "-pProtectSystem=strict",
        "-pProtectKernelTunables=yes",
        "-pProtectControlGroups=yes",
    ]
    if (
        shutil.which("systemd-run")
        and subprocess.run([*trial, "true"], capture_output=True, check=False).returncode == 0
    ):
        return write(path, namespaces_text(service).encode())
    return _remove(path)


def _remove(path: Path) -> bool:
    """Remove a drop-in, and its folder unless the person has others there; whether it was there."""
    existed = path.exists()
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        path.parent.rmdir()
    return existed


def _start(control: tuple[str, ...], *, restart: bool) -> None:
    try:
        call(*control, "restart" if restart else "start", UNIT)
    except UnitError as error:
        journal = ["journalctl", *control[1:], "-u", UNIT, "-n", "15", "--no-pager", "-o", "cat"]
        log = subprocess.run(journal, capture_output=True, text=True, check=False).stdout.strip()
        raise UnitError(f"the service is installed but does not start.\n{error}\n{log}".rstrip()) from error


def _advice(service: Service) -> list[str]:
    notes = []
    if not service.config.exists():
        notes.append(f"it watches nothing yet: {command_for(service)} volumes add DIRECTORY")
    elif service.system:
        notes.append(f"commands reach it so: {command_for(service)} status")
    if service.system and service.account == DEDICATED_ACCOUNT and not service.read_all:
        notes.append(
            f"it reads what everyone or the account {DEDICATED_ACCOUNT} may read; --account NAME runs it as somebody "
            "else, --read-all lets it read every file"
        )
    if not service.system and not _lingers():
        notes.append("it stops when you log out; to keep it running: loginctl enable-linger")
    return notes


def command_for(service: Service) -> str:
    """How a person calls `mediad` so that it means this service: with the paths that are not where it looks itself."""
    usual = locate(environ={})
    paths = (
        ("MEDIAD_CONFIG", service.config, usual.config),
        ("MEDIAD_STATE_DIR", service.state_dir, usual.state),
        ("MEDIAD_CATALOG_DIR", service.catalog_dir, usual.catalog),
    )
    words = [f"{variable}={shlex.quote(str(path))}" for variable, path, default in paths if path != default]
    return " ".join([*(["sudo"] if service.system else []), *words, "mediad"])


def _lingers() -> bool:
    command = ["loginctl", "show-user", str(os.getuid()), "--property=Linger", "--value"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return True  # nothing ends this user's services at logout
    return done.stdout.strip() == "yes"
