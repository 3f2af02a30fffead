"""`mediad service` where it cannot do what it was asked: one clear line, nothing changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mediad_service.cli.service import app
from mediad_service.units import UnitError, plan
from mediad_service.units.commands import call, write

runner = CliRunner()


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system without systemctl, and a home of our own."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


@pytest.mark.parametrize("arguments", [["install"], ["install", "--system"], ["uninstall"]])
def test_without_systemd_it_says_what_to_do_instead(bare: Path, arguments: list[str]) -> None:
    result = runner.invoke(app, arguments)
    assert result.exit_code == 1
    assert "mediad run" in result.stderr
    assert not list(bare.rglob("mediad*"))


def test_status_of_nothing_is_a_finding(bare: Path) -> None:
    result = runner.invoke(app, ["status", "--json"])
    facts = json.loads(result.stdout)
    assert (result.exit_code, facts["installed"], facts["healthy"]) == (1, False, False)


def test_print_shows_the_unit_and_installs_nothing(bare: Path) -> None:
    result = runner.invoke(app, ["install", "--print", "--system", "--account", "alice", "--no-network"])
    assert result.exit_code == 0
    assert "\nUser=alice\n" in result.stdout
    assert "\nIPAddressDeny=any\n" in result.stdout
    assert not list(bare.rglob("mediad*"))


def test_an_account_without_system_is_refused(bare: Path) -> None:
    result = runner.invoke(app, ["install", "--account", "alice"])
    assert result.exit_code == 1
    assert "--system" in result.stderr


def test_a_system_service_runs_as_who_called_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "alice")
    assert plan(system=True).account == "alice"
    assert plan(system=True, account="bob").account == "bob"
    monkeypatch.setenv("SUDO_USER", "root")
    assert plan(system=True).account == "mediad"


def test_a_failing_command_is_told_with_its_words() -> None:
    with pytest.raises(UnitError, match="no luck"):
        call("sh", "-c", "echo no luck >&2; exit 3")


def test_writing_the_same_again_changes_nothing(tmp_path: Path) -> None:
    unit = tmp_path / "a" / "mediad.service"
    assert write(unit, b"one")
    before = unit.stat()
    assert not write(unit, b"one")
    assert unit.stat() == before
    assert write(unit, b"two")
    assert (unit.read_bytes(), [path.name for path in unit.parent.iterdir()]) == (b"two", ["mediad.service"])
