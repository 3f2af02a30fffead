"""`mediad audit` finds what is planted, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import CONFIG, Command, pictures

Document = dict[str, Any]


@pytest.fixture(scope="module")
def taken_in(tmp_path_factory: pytest.TempPathFactory) -> tuple[Command, Path, Path]:
    """A library that was taken in once, and the directory of its catalog."""
    home = tmp_path_factory.mktemp("audit")
    command = Command(home)
    command.config.write_text(CONFIG)
    library = home / "library"
    pictures(library, ["a.jpg", "b.jpg", "sub/c.jpg", *(f"shot/f.{number:03}.png" for number in range(3))])
    shutil.copy2(library / "a.jpg", library / "sub/d.jpg")
    (library / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    summary = command.json("once", library, code=1)
    return command, library, Path(summary["catalog"]).parent


@pytest.fixture
def planted(taken_in: tuple[Command, Path, Path], tmp_path: Path) -> tuple[Command, Path, Path]:
    """The same, to be damaged: the catalog is a copy, the library is put back afterwards by nobody else."""
    command, library, catalog = taken_in
    copy = tmp_path / "catalog"
    shutil.copytree(catalog, copy)
    return command, library, copy


def audit(planted: tuple[Command, Path, Path], *arguments: object, code: int) -> list[tuple[str, str | None]]:
    command, _, catalog = planted
    report = json.loads(command.inside("audit", "--catalog-dir", catalog, "--json", *arguments, code=code).stdout)
    assert report["good"] == (code == 0)
    return [(one["kind"], one["path"] and Path(one["path"]).name) for one in report["divergences"]]


def edit(catalog: Path, change: Callable[[Document], None]) -> None:
    document = json.loads((catalog / "catalog.json").read_bytes())
    change(document)
    (catalog / "catalog.json").write_text(json.dumps(document))


def test_nothing_is_found_where_nothing_is_wrong(planted: tuple[Command, Path, Path]) -> None:
    assert planted[0].json("audit", "--catalog-dir", planted[2])["good"]
    assert audit(planted, code=0) == []
    assert audit(planted, "--fast", code=0) == []


def test_files_in_quarantine_are_counted(planted: tuple[Command, Path, Path]) -> None:
    command, _, catalog = planted
    told = command.inside("audit", "--catalog-dir", catalog).stdout
    assert "7 files in the catalog, 8 on the disk (1 of them cannot be taken in: see `mediad status`)" in told
    assert json.loads(command.inside("audit", "--catalog-dir", catalog, "--json").stdout)["excused"] == 1


def test_what_changed_on_the_disk_is_found(planted: tuple[Command, Path, Path]) -> None:
    _, library, _ = planted
    (library / "b.jpg").rename(library / "away")
    shutil.copy2(library / "a.jpg", library / "late.jpg")
    try:
        assert audit(planted, code=1) == [("not on the disk", "b.jpg"), ("not in the catalog", "late.jpg")]
    finally:
        (library / "away").rename(library / "b.jpg")
        (library / "late.jpg").unlink()


def test_other_bytes_with_the_same_size_and_time_are_found_by_reading_alone(
    planted: tuple[Command, Path, Path],
) -> None:
    _, library, _ = planted
    path, before = library / "b.jpg", (library / "b.jpg").read_bytes()
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    path.write_bytes(before[:-1] + b"!")
    os.utime(path, ns=times)
    try:
        assert audit(planted, code=1) == [("outdated", "b.jpg")]
        assert audit(planted, "--fast", code=0) == []
        os.utime(path, ns=(times[0], times[1] + 1000))
        assert audit(planted, "--fast", code=1) == [("outdated", "b.jpg")]
    finally:
        path.write_bytes(before)
        os.utime(path, ns=times)


def forget_a_file(document: Document) -> None:
    entries = document["unclustered"] or document["clusters"][0]["files"]
    entries.pop()


def list_a_file_twice(document: Document) -> None:
    frame = document["sequences"][0]["files"][0]
    document["unclustered"].append(frame)


def count_wrong(document: Document) -> None:
    document["metadata"]["total_images"] += 1


def break_the_schema(document: Document) -> None:
    document["metadata"]["surprise"] = 1


def lose_a_duplicate(document: Document) -> None:
    document["duplicates"][0]["files"][1]["id"] = "0123456789abcdef"


def name_a_preview_that_is_not_there(document: Document) -> None:
    document["sequences"][0]["files"][0]["preview"] = "previews/00/none.jpg"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (forget_a_file, "not in the catalog"),
        (list_a_file_twice, "twice"),
        (count_wrong, "count"),
        (break_the_schema, "schema"),
        (lose_a_duplicate, "reference"),
        (name_a_preview_that_is_not_there, "preview"),
    ],
)
def test_what_is_wrong_in_the_catalog_is_found(
    planted: tuple[Command, Path, Path], change: Callable[[Document], None], kind: str
) -> None:
    edit(planted[2], change)
    assert kind in {one for one, _ in audit(planted, code=1)}


def test_a_catalog_that_is_none_is_a_finding(planted: tuple[Command, Path, Path]) -> None:
    (planted[2] / "catalog.json").write_text("{")
    assert audit(planted, code=1) == [("catalog", "catalog.json")]
    (planted[2] / "catalog.json").unlink()
    assert audit(planted, code=1) == [("catalog", "catalog.json")]


def test_what_status_tells_of_is_no_divergence(planted: tuple[Command, Path, Path]) -> None:
    _, library, catalog = planted
    shutil.copy2(library / "a.jpg", library / "late.jpg")
    status = json.loads((catalog / "status.json").read_bytes())
    try:
        for pending, code in ((1, 0), (0, 1)):
            (catalog / "status.json").write_text(json.dumps(status | {"pending": pending}))
            assert len(audit(planted, code=code)) == code
        (catalog / "status.json").write_text(json.dumps(status | {"quarantined": []}))
        assert ("not in the catalog", "broken.jpg") in audit(planted, code=1)
    finally:
        (library / "late.jpg").unlink()


def test_a_volume_that_is_away_is_not_empty(planted: tuple[Command, Path, Path]) -> None:
    _, library, _ = planted
    library.rename(library.with_name("elsewhere"))
    try:
        assert audit(planted, code=1) == [("volume", "library")]
    finally:
        library.with_name("elsewhere").rename(library)
