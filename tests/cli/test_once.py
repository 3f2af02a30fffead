"""`mediad once`: one folder, one run, nothing twice."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from tests.cli.conftest import Command, pictures


@pytest.fixture
def library(tmp_path: Path) -> Path:
    pictures(tmp_path / "library", ["a.jpg", "b.jpg", "sub/c.jpg"])
    return tmp_path / "library"


def test_a_second_run_does_only_what_changed_and_force_starts_anew(command: Command, library: Path) -> None:
    first = command.json("once", library)
    assert first["assets"] == {"images": 3, "videos": 0}
    assert first["counters"]["decodes"] == first["counters"]["embeddings"] == 3
    pictures(library, ["d.jpg"], seed=5)
    second = command.json("once", library)
    assert (second["assets"]["images"], second["counters"]["decodes"]) == (4, 1)
    assert second["generation"] > first["generation"]
    link = library.parent / "link"
    link.symlink_to(library)
    assert command.json("once", link)["counters"]["decodes"] == 0
    anew = command.json("once", "--force", library)
    assert anew["counters"]["decodes"] == 4


def test_the_copy_leads_to_the_previews_where_they_are(command: Command, library: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    done = command("once", library, "--output", tmp_path / "out/catalog.json")
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "out/catalog.json").read_bytes())
    files = document["unclustered"] + [file for cluster in document["clusters"] for file in cluster["files"]]
    assert len(files) == 3
    for file in files:
        assert (tmp_path / "out" / file["preview"]).stat().st_size > 0
    assert (tmp_path / "out" / document["$schema"]).exists()
    assert f"copy\t{tmp_path}/out/catalog.json" in done.stdout.decode()
    piped = json.loads(command("once", library, "--output", "-").stdout)
    assert Path(piped["unclustered"][0]["preview"]).exists() if piped["unclustered"] else piped["clusters"]


def test_files_that_cannot_be_taken_in_are_a_finding(command: Command, library: Path) -> None:
    (library / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    summary = command.json("once", library, code=1)
    assert [Path(entry["path"]).name for entry in summary["quarantined"]] == ["broken.jpg"]
    assert summary["assets"]["images"] == 3


@pytest.mark.long
def test_settings_for_clustering_are_taken_over_by_a_later_run(command: Command, tmp_path: Path) -> None:
    pictures(tmp_path / "library", [f"{number}.jpg" for number in (3, 17, 8, 40, 21, 60)])
    first = command.json("once", tmp_path / "library")
    assert first["counters"]["reclusters"] == 1
    assert command.json("once", tmp_path / "library")["counters"]["reclusters"] == 0
    again = command.json("once", tmp_path / "library", "--min-cluster-size", 3, "--neighbors", 4)
    assert (again["counters"]["reclusters"], again["counters"]["decodes"]) == (1, 0)


def test_wrong_usage(command: Command, library: Path) -> None:
    assert command("once", library / "nowhere").returncode == 2
    assert command("once", library, "--min-cluster-size", 1).returncode == 2
    done = command("once", library, "--encoder", "resnet50")
    assert done.returncode == 2
    assert b"timm:resnet50" in done.stderr


def test_a_copy_that_cannot_be_written_is_told_before_the_work(command: Command, library: Path) -> None:
    (library / "file").touch()
    for output in (library / "nowhere/x.json", library / "file/x.json", library):
        done = command("once", library, "--output", output)
        assert (done.returncode, done.stdout) == (2, b"")
        assert f"{output} cannot be written".encode() in done.stderr
    assert not command.state.exists()


def test_the_library_is_not_written_to(command: Command, library: Path) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in [library, *library.rglob("*")])
    subprocess.run(command.line("once", library), cwd=library, env=command.environment, check=True, capture_output=True)
    assert sorted((path, path.stat().st_mtime_ns) for path in [library, *library.rglob("*")]) == before


def test_names_that_are_not_utf8(command: Command, tmp_path: Path) -> None:
    pictures(tmp_path / "library", ["a.jpg"])
    os.rename(os.fsencode(tmp_path / "library/a.jpg"), os.fsencode(tmp_path / "library") + b"/\xff\n.jpg")
    summary = command.json("once", tmp_path / "library")
    assert summary["assets"]["images"] == 1
    state = Path(summary["catalog"]).parent.parent
    found = command("similar", tmp_path / "library" / "x.jpg", "--state-dir", state)
    assert found.returncode == 2
    assert command.json("audit", "--state-dir", state)["good"]
    listed = command("files", tmp_path / "library", env={"PYTHONIOENCODING": "ascii"})
    assert listed.stdout == os.fsencode(tmp_path / "library") + b"/\xff\n.jpg\n"
    (described,) = command.json("files", tmp_path / "library")
    assert described["path"].endswith("/\\xff\n.jpg")
    assert "path_bytes" in described
