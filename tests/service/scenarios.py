"""What the tests of the service do inside the throwaway systemd, as root. Each prints one JSON line of facts.

Run as `python scenarios.py NAME SHARED`. Everything outside bound folders is an overlay that is gone afterwards, so
accounts, units and permissions may be changed freely.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PHOTOS = Path("/srv/photos")
MODELS = Path("/srv/models")
UNIT = Path("/etc/systemd/system/mediad.service")


def run(*command: str | Path, check: bool = True, **options: Any) -> str:
    words = [str(word) for word in command]
    done: subprocess.CompletedProcess[str] = subprocess.run(words, capture_output=True, text=True, **options)
    if check and done.returncode:
        journal = subprocess.run(
            ["journalctl", "-u", "mediad", "-n", "60", "--no-pager"], capture_output=True, text=True
        )
        raise SystemExit(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}\n{journal.stdout}")
    return done.stdout


def wait_for(what: str, condition: Callable[[], Any], seconds: float = 120) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.1)
    journal = subprocess.run(["journalctl", "-u", "mediad", "-n", "60", "--no-pager"], capture_output=True, text=True)
    raise SystemExit(f"waited {seconds:g} s in vain for {what}\n{journal.stdout}")


def open_to_everyone() -> None:
    """Let an account of its own reach this Python and this checkout, wherever they are."""
    for path in (Path(sys.prefix), Path(sys.base_prefix), ROOT):
        for folder in (path, *path.parents):
            if folder.stat().st_mode & 0o005 != 0o005:
                folder.chmod(folder.stat().st_mode | 0o055)


def drop_in(name: str, text: str) -> None:
    folder = Path(f"{UNIT}.d")
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.conf").write_text(f"[Service]\n{text}\n")
    run("systemctl", "daemon-reload")


def main_pid() -> int:
    return int(run("systemctl", "show", "mediad", "--property=MainPID", "--value"))


def active() -> bool:
    return run("systemctl", "is-active", "mediad", check=False).strip() == "active"


def came_back(old: int) -> Callable[[], bool]:
    return lambda: active() and main_pid() not in (0, old)


def timed_stop() -> float:
    started = time.monotonic()
    run("systemctl", "stop", "mediad")
    return time.monotonic() - started


def restrictions(shared: Path) -> dict[str, Any]:
    """Run `probe.py` instead of the daemon under the unit's own restrictions."""
    from mediad_service import units
    from mediad_service.units.accounts import ensure_account

    run("mount", "--make-rshared", "/")  # as on every machine that systemd boots
    open_to_everyone()
    closed, later = Path("/srv/closed"), Path("/mnt/later")
    for folder in (PHOTOS, closed, later):
        folder.mkdir(parents=True)
        (folder / "a.jpg").write_bytes(b"1")
    PHOTOS.chmod(0o777)
    closed.chmod(0o700)
    ensure_account("mediad")
    UNIT.write_text(units.render(units.plan(system=True, account="mediad", network=False)))
    probe = Path("/opt/probe.py")
    shutil.copyfile(Path(__file__).with_name("probe.py"), probe)
    drop_in("probe", f"ExecStart=\nExecStart={sys.executable} -P {probe} {PHOTOS} {closed} {later}")
    run("systemctl", "start", "mediad")
    run("mount", "-t", "tmpfs", "tmpfs", later)
    (later / "mounted.jpg").write_bytes(b"1")
    result = Path("/var/lib/mediad/probe.json")
    facts = wait_for("the mount to be seen", lambda: result.exists() and json.loads(result.read_text()))
    run("umount", later)
    return {**facts, "stop_seconds": timed_stop(), "state_mode": oct(Path("/var/lib/mediad").stat().st_mode & 0o777)}


class Installed:
    """The installed service, asked with the commands that a person would type: root, or `person`."""

    def __init__(self, person: str | None = None) -> None:
        self.scope = [] if person else ["--system"]
        self.prefix = ["runuser", "-u", person, "--"] if person else []
        self.environment = dict(os.environ)
        if person:
            account = pwd.getpwnam(person)
            self.environment |= {"HOME": account.pw_dir, "XDG_RUNTIME_DIR": f"/run/user/{account.pw_uid}"}
        self.facts: dict[str, Any] = {}

    def install(self, *options: str) -> dict[str, Any]:
        self.facts = json.loads(self.mediad("service", "install", *self.scope, *options, "--json"))
        return self.facts

    def mediad(self, *arguments: str) -> str:
        variables = {"config": "MEDIAD_CONFIG", "state_dir": "MEDIAD_STATE_DIR", "catalog_dir": "MEDIAD_CATALOG_DIR"}
        paths = {variable: self.facts[name] for name, variable in variables.items() if name in self.facts}
        command = [*self.prefix, sys.executable, "-P", "-m", "mediad_service", *arguments]
        return run(*command, env={**self.environment, **paths}, cwd="/")

    def status(self) -> dict[str, Any]:
        return dict(json.loads(self.mediad("status", "--json")))

    def catalog(self) -> dict[str, Any]:
        return dict(json.loads(Path(self.facts["catalog_dir"], "catalog.json").read_text()))

    def filenames(self) -> list[str]:
        catalog = self.catalog()
        files = list(catalog["unclustered"])
        for group in catalog["sequences"] + catalog["clusters"]:
            files += group["files"]
        return sorted(file["filename"] for file in files)

    def settled(self, count: int) -> bool:
        """Whether all `count` assets are embedded and in the catalog."""
        status = self.status()
        return len(self.filenames()) == count and not status["pending"] and status["counters"]["embeddings"] >= count


def prepare_library(shared: Path) -> list[Path]:
    """Six photos in a volume that anyone may read, the small real encoder, and the configuration of both."""
    open_to_everyone()
    photos = sorted((shared / "media" / "labelled").rglob("*.jpg"))[::40]
    for folder, files in ((PHOTOS, photos[:6]), (MODELS, sorted((shared / "models").glob("mini-clip.*")))):
        folder.mkdir(parents=True)
        for file in files:
            shutil.copyfile(file, folder / (file.name if folder == MODELS else f"{file.parent.name}-{file.name}"))
    config = Path("/etc/mediad/config.toml")
    config.parent.mkdir()
    encoder = f"open_clip:{MODELS}/mini-clip.json:{MODELS}/mini-clip.pt"
    config.write_text(f'encoder = "{encoder}"\n\n[[volumes]]\npath = "{PHOTOS}"\n')
    return photos[6:]


def service(shared: Path) -> dict[str, Any]:
    """Install, start, add a file, kill, freeze, stop, uninstall."""
    spare = prepare_library(shared)
    mediad = Installed()
    seen: dict[str, Any] = {"installed": mediad.install("--account", "mediad")}
    again = mediad.install("--account", "mediad")
    seen["installing_again_left_it_running"] = again["pid"] == seen["installed"]["pid"]
    wait_for("the first index", lambda: mediad.settled(6))

    shutil.copyfile(spare[0], PHOTOS / "added.jpg")
    seen["added_in_catalog"] = bool(wait_for("the added file", lambda: mediad.settled(7), 60))
    mediad.mediad("sync")
    before = mediad.status()

    killed = main_pid()
    os.kill(killed, signal.SIGKILL)
    wait_for("the restart after kill -9", came_back(killed), 60)
    mediad.mediad("sync")
    after = mediad.status()
    seen["generations"] = [before["generation"], after["generation"]]
    seen["new_work_after_kill"] = {
        name: after["counters"][name] - before["counters"][name] for name in ("decodes", "embeddings")
    }
    seen["files_after_kill"] = mediad.filenames()

    seen["volume_listing"] = sorted(path.name for path in PHOTOS.iterdir())
    seen["watchdog"] = frozen()
    seen["stop_seconds"] = timed_stop()
    seen["result_of_stop"] = run("systemctl", "show", "mediad", "--property=Result", "--value").strip()
    run("systemctl", "start", "mediad")
    seen["uninstalled"] = json.loads(mediad.mediad("service", "uninstall", "--system", "--json"))
    seen["uninstalled_again"] = json.loads(mediad.mediad("service", "uninstall", "--system", "--json"))
    seen["unit_left"] = UNIT.exists()
    seen["processes_left"] = run("pgrep", "-u", "mediad", check=False).split()
    seen["state_left"] = Path(seen["installed"]["state_dir"]).is_dir()
    return seen


def frozen() -> dict[str, bool]:
    """With a short watchdog: an idle daemon lives on, a frozen one is ended and started again."""
    drop_in("watchdog", "WatchdogSec=5")
    run("systemctl", "restart", "mediad")
    pid = main_pid()
    time.sleep(12)  # more than two periods: this is the condition itself
    lived = main_pid() == pid
    os.kill(main_pid(), signal.SIGSTOP)
    wait_for("the watchdog", came_back(main_pid()), 60)
    return {"idle_daemon_lived": lived, "frozen_daemon_came_back": True}


def user_service(shared: Path) -> dict[str, Any]:
    """The same for one person, who has no privileges: her pictures in a home that is closed to others."""
    open_to_everyone()
    run("useradd", "--create-home", "alice")
    home, uid = Path("/home/alice"), pwd.getpwnam("alice").pw_uid
    home.chmod(0o700)
    pictures, config = home / "Pictures", home / ".config/mediad/config.toml"
    for folder in (pictures, config.parent):
        folder.mkdir(parents=True)
    for photo in sorted((shared / "media" / "labelled").rglob("*.jpg"))[:3]:
        shutil.copyfile(photo, pictures / photo.name)
    config.write_text(f'encoder = "descriptor"\n\n[[volumes]]\npath = "{pictures}"\n')
    run("chown", "-R", "alice:", home)
    run("loginctl", "enable-linger", "alice")
    wait_for("the systemd of alice", Path(f"/run/user/{uid}/systemd/private").exists)
    mediad = Installed("alice")
    seen: dict[str, Any] = {"installed": mediad.install(), "drop_in": list(home.rglob("50-namespaces.conf")) != []}
    wait_for("the first index", lambda: mediad.settled(3))
    seen["pictures"] = len(list(pictures.iterdir()))
    seen["uninstalled"] = json.loads(mediad.mediad("service", "uninstall", "--json"))
    seen["left_in_config"] = [str(path) for path in (home / ".config/systemd/user").rglob("*mediad*")]
    return seen


SCENARIOS = {"restrictions": restrictions, "service": service, "user_service": user_service}

if __name__ == "__main__":
    print(json.dumps(SCENARIOS[sys.argv[1]](Path(sys.argv[2]))))
