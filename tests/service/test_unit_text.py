"""The units: systemd takes them, paths of all kinds survive, and the daemon is locked in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mediad_service.units import Service, UnitError, render
from mediad_service.units.systemd_facts import read_status
from mediad_service.units.unit_text import namespaces_text

ODD = "pa th/100%h/$HOME/semi;#/ünï"
ODDER = f"{ODD}/qu\"o'te/back\\slash"  # no program may be called so, but a directory may

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs Debian's package systemd")


@pytest.fixture
def service(tmp_path: Path) -> Service:
    state = Path("/var/lib/mediad")
    return Service(True, Path(sys.executable), Path("/etc/mediad/config.toml"), state, state / "catalog", "root")


def analyze(tmp_path: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    unit = tmp_path / "mediad.service"
    unit.write_text(text)
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}  # --user wants one
    command = ["systemd-analyze", *arguments, str(unit)]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@needs_systemd
@pytest.mark.parametrize("variant", [{}, {"network": False}, {"gpu": True}, {"read_all": True}, {"system": False}])
def test_systemd_accepts_every_variant_without_a_remark(
    service: Service, tmp_path: Path, variant: dict[str, Any]
) -> None:
    changed = replace(service, **variant)
    scope = "--system" if changed.system else "--user"
    done = analyze(tmp_path, render(changed), scope, "verify")
    assert (done.returncode, [line for line in done.stderr.splitlines() if "mediad" in line]) == (0, [])


@needs_systemd
def test_verify_would_see_a_mistake(service: Service, tmp_path: Path) -> None:
    text = render(service).replace("ProtectSystem=strict", "ProtectSystem=stricter")
    assert "stricter" in analyze(tmp_path, text, "--system", "verify").stderr


@needs_systemd
@pytest.mark.parametrize("variant", [{}, {"network": False}, {"gpu": True}])
def test_exposure_is_at_most_one_and_a_half(service: Service, tmp_path: Path, variant: dict[str, Any]) -> None:
    text = render(replace(service, **variant, account="mediad"))
    done = analyze(tmp_path, text, "security", "--offline=true", "--no-pager", "--threshold=15")
    assert done.returncode == 0, done.stdout
    loose = text.replace("ProtectSystem=strict", "").replace("RestrictNamespaces=yes", "").replace("NoNewPriv", "#")
    done = analyze(tmp_path, loose, "security", "--offline=true", "--no-pager", "--threshold=15")
    assert done.returncode != 0, "the threshold bites"


@needs_systemd
def test_odd_paths_reach_systemd_as_they_are(service: Service, tmp_path: Path) -> None:
    """`verify` looks for the program on disk, so an escape that is wrong is a program that is not there."""
    python = tmp_path / ODD / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    text = render(replace(service, python=python, state_dir=tmp_path / ODDER, catalog_dir=tmp_path / ODDER / "c"))
    done = analyze(tmp_path, text, "--system", "verify")
    assert (done.returncode, [line for line in done.stderr.splitlines() if "mediad" in line]) == (0, [])
    python.unlink()
    assert analyze(tmp_path, text, "--system", "verify").returncode != 0


@pytest.mark.parametrize("name", ['qu"ote', "o'clock", "back\\slash"])
def test_a_program_that_systemd_would_not_start_is_refused(service: Service, name: str) -> None:
    with pytest.raises(UnitError, match="quotes or backslashes"):
        render(replace(service, python=Path("/opt") / name / "python"))


def test_a_line_break_in_a_path_is_refused(service: Service) -> None:
    with pytest.raises(UnitError, match="control character"):
        render(replace(service, state_dir=Path("/srv/a\nExecStartPre=evil")))


def test_no_placeholder_is_left(service: Service) -> None:
    for text in (render(service), render(replace(service, system=False)), namespaces_text(service)):
        assert "@" not in text.replace("~@privileged", "").replace("@system-service", "").replace("@resources", "")


def test_directories_outside_systemds_own_are_made_writable(service: Service) -> None:
    text = render(replace(service, state_dir=Path("/srv/my state"), catalog_dir=Path("/var/cache/mediad/catalog")))
    assert [line for line in text.splitlines() if line.startswith("ReadWritePaths=")] == [
        'ReadWritePaths="/srv/my state"'
    ]


def test_status_reads_back_the_paths_of_the_installed_unit(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))  # no systemctl: the file alone tells
    assert not read_status(system=False).installed
    unit = tmp_path / "systemd" / "user" / "mediad.service"
    unit.parent.mkdir(parents=True)
    unit.write_text(render(replace(service, system=False, state_dir=tmp_path / ODDER)))
    facts = read_status(system=False)
    assert (facts.installed, facts.config) == (True, "/etc/mediad/config.toml")
    assert facts.state_dir == str(tmp_path / ODDER)
