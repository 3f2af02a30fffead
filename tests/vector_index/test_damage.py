"""Whatever happened to the files, `load` tells, sets them aside, never raises; a crash while saving costs nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog

from mediad.vector_index import VectorIndex, disk

if TYPE_CHECKING:
    from tests.vector_index.conftest import Truth

Open = Callable[[], VectorIndex]
Damage = Callable[[Path, Path], object]


@pytest.fixture
def saved(open_index: Open, truth: Truth, tmp_path: Path) -> Path:
    """The directory of an index of 20 vectors, saved twice; the set of the first time stands in `older`."""
    index = open_index()
    index.load()
    index.add(*truth.make(list(range(19))))
    index.save(generation=1)
    shutil.copytree(tmp_path / "index", tmp_path / "older")
    index.add(*truth.make([19]))
    index.save(generation=2)
    return tmp_path / "index"


def edit_manifest(directory: Path, **changes: object) -> None:
    path = directory / disk.MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def reseal_manifest(directory: Path, **changes: object) -> None:
    body = json.loads((directory / disk.MANIFEST).read_text()) | changes
    del body["seal"]
    edit_manifest(directory, **changes, seal=disk._seal(body))


def flip_bit(path: Path, share: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(share * (len(data) - 1))] ^= 4
    path.write_bytes(data)


DAMAGES: dict[str, Damage] = {
    "truncated": lambda _, file: file.write_bytes(file.read_bytes()[:-1]),
    "longer": lambda _, file: file.write_bytes(file.read_bytes() + b"\0"),
    "empty": lambda _, file: file.write_bytes(b""),
    "gone": lambda _, file: file.unlink(),
    "bit flipped in the ids": lambda _, file: flip_bit(file, 0.01),
    "bit flipped in the middle": lambda _, file: flip_bit(file, 0.5),
    "bit flipped at the end": lambda _, file: flip_bit(file, 1),
    "zeroes": lambda _, file: file.write_bytes(bytes(file.stat().st_size)),
    "no manifest": lambda directory, _: (directory / disk.MANIFEST).unlink(),
    "empty manifest": lambda directory, _: (directory / disk.MANIFEST).write_bytes(b""),
    "manifest is a list": lambda directory, _: (directory / disk.MANIFEST).write_bytes(b"[]"),
    "manifest lacks a field": lambda directory, _: (directory / disk.MANIFEST).write_bytes(b'{"seal": ""}'),
    "manifest is binary": lambda directory, _: (directory / disk.MANIFEST).write_bytes(b"\xff\0\x80"),
    "generation altered": lambda directory, _: edit_manifest(directory, generation=3),
    "length altered": lambda directory, _: edit_manifest(directory, length=0),
    "manifest of another time": lambda directory, _: shutil.copy(directory.parent / "older" / disk.MANIFEST, directory),
    "file of another time": lambda directory, file: shutil.copy(
        next((directory.parent / "older").glob("*.faiss")), file
    ),
    "another encoder": lambda directory, _: reseal_manifest(directory, encoder="encoder-b"),
    "other dimensions": lambda directory, _: reseal_manifest(directory, dimensions=32),
    "another FAISS": lambda directory, _: reseal_manifest(directory, faiss="0.1"),
    "unknown kind": lambda directory, _: reseal_manifest(directory, kind="hnsw"),
    "wrong count": lambda directory, _: reseal_manifest(directory, count=19),
    "count beyond the file": lambda directory, _: reseal_manifest(directory, count=10**6),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damage_is_told_set_aside_and_rebuilt(damage: Damage, saved: Path, open_index: Open, truth: Truth) -> None:
    before = {path.name for path in saved.iterdir()}
    damage(saved, next(saved.glob("*.faiss")))
    there = {path.name for path in saved.iterdir()}
    index = open_index()
    with structlog.testing.capture_logs() as logs:
        assert not index.load()
    assert [entry["event"] for entry in logs] == ["vector index cannot be used"]
    assert logs[0]["reason"]
    assert {path.name for path in saved.iterdir()} == {f"{name}.damaged-1" for name in there}
    assert index.count == 0
    every = list(truth.vectors)
    index.rebuild([(truth.make(every))])
    index.save(generation=3)
    again = open_index()
    assert again.load()
    assert (again.generation, again.count) == (3, 20)
    assert len(before) == 2


def test_one_damaged_set_is_kept_at_most(saved: Path, open_index: Open, truth: Truth) -> None:
    for generation in range(3, 7):
        flip_bit(next(saved.glob("*.faiss")), 0.7)
        index = open_index()
        assert not index.load()
        index.rebuild([truth.make(list(range(generation)))])
        index.save(generation)
    aside = sorted(path.name.rpartition(".")[2] for path in saved.iterdir() if ".damaged-" in path.name)
    assert aside == ["damaged-4", "damaged-4"]


def test_nothing_saved_is_no_damage(open_index: Open, tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        assert not open_index().load()
    assert [entry["event"] for entry in logs] == ["no vector index saved yet"]
    assert not (tmp_path / "index").exists()


def test_a_file_where_the_directory_should_be_does_not_raise(open_index: Open, tmp_path: Path) -> None:
    (tmp_path / "index").write_text("in the way")
    assert not open_index().load()


_SAVE_AND_DIE = """
import os, signal, sys
from pathlib import Path
import numpy as np
from mediad.vector_index import VectorIndex

index = VectorIndex(Path(sys.argv[1]), "encoder-a", 16)
assert index.load()
index.add(np.array([100]), np.full((1, 16), 0.25, np.float32))
steps = int(sys.argv[2])

def die_at_step(event, arguments):
    global steps
    if event in ("open", "os.rename", "os.remove"):
        steps -= 1
        if steps < 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(die_at_step)
index.save(generation=9)
"""


def test_killed_at_any_step_of_saving_leaves_the_old_or_the_new(tmp_path: Path, truth: Truth) -> None:
    directory = tmp_path / "index"
    index = VectorIndex(directory, "encoder-a", 16)
    index.load()
    index.add(*truth.make(list(range(20))))
    found = []
    for step in range(20):
        index.save(generation=1)
        status = subprocess.run([sys.executable, "-c", _SAVE_AND_DIE, str(directory), str(step)]).returncode
        after = VectorIndex(directory, "encoder-a", 16)
        assert after.load()
        assert (after.generation, after.count) in ((1, 20), (9, 21))
        found.append(after.generation)
        if status == 0:
            break
        assert status == -9
    assert found == sorted(found)
    assert found[0] == 1
    assert found[-1] == 9
    assert len(found) > 6
