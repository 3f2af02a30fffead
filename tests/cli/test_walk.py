"""`mediad files` and `mediad types`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.cli.conftest import Command, pictures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pictures(tmp_path / "folder", ["b.JPG", "a.png", "sub/c.jpg", ".hidden.jpg", "@eaDir/thumb.jpg"])
    (tmp_path / "folder/notes.txt").write_text("no media")
    (tmp_path / "folder/raw.CR2").write_bytes(b"II*")
    (tmp_path / "folder/link.jpg").symlink_to("b.JPG")
    return tmp_path / "folder"


def test_files_are_those_that_a_scan_would_find(command: Command, folder: Path) -> None:
    done = command("files", folder)
    assert done.returncode == 0
    names = [os.path.relpath(line, folder) for line in done.stdout.decode().splitlines()]
    assert names == ["a.png", "b.JPG", "raw.CR2", "sub/c.jpg"]
    with_hidden = command.json("files", folder, "--hidden", "--exclude", "*.png")
    assert [Path(one["path"]).name for one in with_hidden] == [".hidden.jpg", "b.JPG", "raw.CR2", "c.jpg"]
    assert with_hidden[1]["size"] == (folder / "b.JPG").stat().st_size


def test_types_are_counted_with_what_they_need(command: Command, folder: Path) -> None:
    rows = {row["type"]: row for row in json.loads(command.inside("types", folder, "--json").stdout)}
    assert {name: row["count"] for name, row in rows.items()} == {"jpg": 2, "png": 1, "txt": 1, "cr2": 1}
    assert rows["txt"]["kind"] is None
    assert "mediad[raw]" in rows["cr2"]["needs"]
    assert "jpg\timage\t2\t" in command.inside("types", folder).stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_a_finding(command: Command, folder: Path) -> None:
    (folder / "sub").chmod(0)
    done = command("files", folder)
    (folder / "sub").chmod(0o700)
    assert done.returncode == 1
    assert b"sub" in done.stderr


def test_wrong_usage(command: Command, folder: Path) -> None:
    command.inside("files", folder / "nowhere", code=2)
    command.inside("types", folder, "--exclude", "!", code=2)
