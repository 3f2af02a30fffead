"""`mediad doctor`: what is wrong is found, and only that."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from mediad.config import Locations, Settings, load
from mediad_service.doctor import Finding, Level
from mediad_service.doctor.installation import packages
from mediad_service.doctor.machine import machine, processor_features
from mediad_service.doctor.places import count_directories, places
from mediad_service.doctor.weights import weights


@pytest.fixture
def locations(tmp_path: Path) -> Locations:
    return Locations(tmp_path / "config.toml", tmp_path / "state", tmp_path / "catalog", tmp_path / "weights")


def by_check(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.check: finding for finding in findings}


def test_a_module_that_crashes_or_lacks_is_named_and_the_others_are_still_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "crasher.py").write_text("import os; os.kill(os.getpid(), 11)")
    (tmp_path / "sound.py").write_text("__version__ = '7'")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = by_check(list(packages(["nowhere_at_all", "crasher", "sound"])))
    assert found["package nowhere_at_all"].level is Level.PROBLEM
    assert "status -11" in found["package crasher"].text
    assert (found["package sound"].level, found["package sound"].text) == (Level.OK, "7")


def test_the_version_of_a_module_that_does_not_tell_it_is_that_of_its_package() -> None:
    (found,) = packages(["typing_extensions"])
    assert found.text == version("typing_extensions")


def test_the_machine_is_described() -> None:
    found = by_check(list(machine()))
    assert str(os.cpu_count()) in found["processor"].text
    assert found["memory"].level in (Level.OK, Level.NOTE)


def test_processor_features_are_read(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nflags\t\t: fpu sse avx2 avx512_bf16\n")
    assert processor_features(cpuinfo) == ["avx2", "avx512_bf16"]
    assert processor_features(tmp_path / "none") == []


def test_volumes_are_told_apart(tmp_path: Path, locations: Locations) -> None:
    there = tmp_path / "there"
    (there / "inside" / ".hidden").mkdir(parents=True)
    locations.config.write_text(f'[[volumes]]\npath = "{there}"\n[[volumes]]\npath = "{tmp_path}/away"\n')
    found = by_check(list(places(load(locations.config), locations)))
    assert (found["volume there"].level, found["volume away"].level) == (Level.OK, Level.NOTE)
    assert found["state directory"].level is not Level.PROBLEM
    if sys.platform == "linux":
        assert found["inotify"].text.startswith("2 directories")


def test_a_state_directory_that_cannot_be_made_is_a_problem(tmp_path: Path, locations: Locations) -> None:
    locations.state.parent.mkdir(exist_ok=True)
    locations.state.write_text("a file is in the way")
    assert by_check(list(places(Settings(), locations)))["state directory"].level is Level.PROBLEM


def test_counting_stops_in_time(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name / "d").mkdir(parents=True)
    assert count_directories([tmp_path]) == (7, True)
    assert count_directories([tmp_path], seconds=-1) == (1, False)


def test_missing_weights_are_a_note_for_auto_and_a_problem_when_named(tmp_path: Path, locations: Locations) -> None:
    def level(encoder: str) -> Level:
        (finding,) = weights(Settings(encoder=encoder), locations)
        return finding.level

    assert level("auto") is Level.NOTE
    assert level("descriptor") is Level.OK
    assert level("timm:resnet50") is Level.PROBLEM
    assert level(f"open_clip:{tmp_path}/a.json:{tmp_path}/a.pt") is Level.PROBLEM
