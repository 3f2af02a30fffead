"""The account that a system service runs as: made where it is ours, looked up where it is a person's."""

from __future__ import annotations

import pwd
import shutil
import subprocess
from pathlib import Path

from .commands import call, write
from .service import DEDICATED_ACCOUNT, Service, UnitError

_SYSUSERS = Path("/etc/sysusers.d/mediad.conf")


def ensure_account(name: str) -> pwd.struct_passwd:
    """The account `name`; ours is made with systemd-sysusers where it is not there yet.

    Raises UnitError where there is no such account and it is not ours to make.
    """
    found = find_account(name)
    if found is None and name == DEDICATED_ACCOUNT and shutil.which("systemd-sysusers"):
        write(_SYSUSERS, f'u {DEDICATED_ACCOUNT} - "mediad" /var/lib/mediad\n'.encode())
        call("systemd-sysusers", str(_SYSUSERS))
        found = find_account(name)
    if found is None:
        raise UnitError(f"there is no account {name}: name another with --account, or make it first")
    return found


def find_account(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def check_python(service: Service, account: pwd.struct_passwd) -> None:
    """UnitError where `account` cannot run the Python of `service`, as with one inside another person's home."""
    if service.read_all or _can_run(service.python, account):
        return
    raise UnitError(
        f"the account {account.pw_name} cannot run mediad with {service.python}: name the account that owns it with "
        "--account, or install mediad where everyone can read it, as with: sudo pipx install --global mediad"
    )


def _can_run(python: Path, account: pwd.struct_passwd) -> bool:
    try:
        done = subprocess.run(
            [str(python), "-P", "-c", "import mediad_service"],
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=[],
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "HOME": "/"},
            capture_output=True,
            check=False,
        )
    except PermissionError:
        return False
    return done.returncode == 0
