"""Publishing: when it writes, what it survives, and what a reader sees meanwhile."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from mediad import durable
from mediad.catalog.changes import Feed
from mediad.catalog.metadata import Facts
from mediad.catalog.publish import Publisher, published_generation
from mediad.catalog.schema import schema
from mediad.model import ChangeType, VolumeState
from mediad.store import Store

Shelf = Any  # of conftest.py


def written(shelf: Shelf, **facts: Any) -> bool:
    return bool(shelf.publish(Facts(**facts)).written)


def test_nothing_is_written_where_nothing_changed(shelf: Shelf) -> None:
    shelf.put(b"a.jpg")
    assert written(shelf)
    before = {file: file.stat().st_mtime_ns for file in shelf.catalog.iterdir()}
    shelf.volumes = [replace(shelf.volume, last_scan=1.8e9)]
    assert not written(shelf)
    assert {file: file.stat().st_mtime_ns for file in shelf.catalog.iterdir()} == before


def test_each_thing_that_the_catalog_shows_makes_it_new(shelf: Shelf) -> None:
    file = shelf.put(b"a.jpg")
    assert written(shelf)
    shelf.change(file, stat=replace(file.stat, size=11))
    assert written(shelf)
    with shelf.store.write() as tx:  # as a new version of the decoder does: no change that the feed tells of
        tx.assets.put(replace(next(iter(tx.assets)), width=99))
    assert written(shelf)
    shelf.cluster("k1", b"a.jpg")
    assert written(shelf)
    with shelf.store.write() as tx:
        tx.clusters.rename("k1", "mine")
    assert written(shelf)
    shelf.sequence("s1", [file])
    assert written(shelf)
    shelf.volumes = [replace(shelf.volume, state=VolumeState.OFFLINE)]
    assert written(shelf)
    with shelf.store.write() as tx:
        tx.journal.append(ChangeType.VOLUME, "0a0b0c0d", state="offline")
    assert written(shelf)
    assert written(shelf, pending=1)
    assert written(shelf, pending=1, config_problem="line 1")
    assert not written(shelf, pending=1, config_problem="line 1")


def test_another_process_finds_what_is_published_and_does_not_repeat_it(shelf: Shelf) -> None:
    shelf.put(b"a.jpg")
    assert shelf.publish().generation == 1
    again = Publisher(shelf.store, shelf.catalog).publish(shelf.volumes, Facts())
    assert again.generation == 2  # other facts
    again = Publisher(shelf.store, shelf.catalog).publish(shelf.volumes, Facts())
    assert (again.generation, again.written) == (2, False)
    with shelf.store.read() as tx:
        assert (published_generation(tx), tx.meta.counter("publishes")) == (2, 2)


@pytest.mark.parametrize("name", ["catalog.json", "catalog.schema.json", "changes.ndjson"])
@pytest.mark.parametrize("damage", ["deleted", "garbage"])
def test_what_is_damaged_from_outside_comes_back(shelf: Shelf, name: str, damage: str) -> None:
    shelf.put(b"a.jpg")
    document = shelf.read()
    if damage == "deleted":
        (shelf.catalog / name).unlink()
    else:
        (shelf.catalog / name).write_bytes(b"garbage\n")
    if damage == "garbage" and name != "catalog.json":
        shelf.put(b"b.jpg")  # only the catalog itself is looked at each time
    shelf.read()
    assert shelf.read()["unclustered"][0] == document["unclustered"][0]
    assert shelf.feed()[0]["seq"] == 1
    assert orjson.loads((shelf.catalog / "catalog.schema.json").read_bytes()) == schema()


def test_a_failed_publication_is_made_up_for(shelf: Shelf) -> None:
    shelf.put(b"a.jpg")
    shelf.read()
    shelf.put(b"b.jpg")
    stage = shelf.catalog / ".catalog.json.new"
    stage.mkdir()
    with pytest.raises(IsADirectoryError):
        shelf.publish()
    stage.rmdir()
    assert len(shelf.read()["unclustered"]) == 2
    assert [line["seq"] for line in shelf.feed()] == [1, 2]


def test_an_interrupted_publication_is_made_up_for(shelf: Shelf) -> None:
    """Everything is there but the last rename: what a kill just before it leaves."""
    shelf.put(b"a.jpg")
    shelf.read()
    old = shelf.raw()
    shelf.put(b"b.jpg")
    shelf.read()
    (shelf.catalog / "catalog.json").rename(shelf.catalog / ".catalog.json.new")
    (shelf.catalog / "catalog.json").write_bytes(old)
    shelf.publisher = Publisher(shelf.store, shelf.catalog)
    assert len(shelf.read()["unclustered"]) == 2
    assert [line["seq"] for line in shelf.feed()] == [1, 2]
    assert not (shelf.catalog / ".catalog.json.new").exists()


def test_many_files_at_once(shelf: Shelf) -> None:
    shelf.put(b"0.jpg")
    with shelf.store.write() as tx:
        template = next(iter(tx.files))
        for number in range(4200):  # more than one batch of fragments
            path = b"many/%04d.jpg" % number
            tx.files.put(replace(template, id=tx.files.new_id(shelf.volume.id, path), relpath=path))
    assert shelf.read()["metadata"]["total_images"] == 4201
    with shelf.store.read() as tx:
        assert tx.raw.count("dirty") == 0


def test_a_reader_never_sees_half_a_catalog(shelf: Shelf) -> None:
    validator = Draft202012Validator(schema())
    for number in range(10):
        shelf.put(b"%d.jpg" % number)
    shelf.publish()
    stop = threading.Event()
    seen: list[tuple[int, int]] = []
    wrong: list[Exception] = []

    def read() -> None:
        while not stop.is_set():
            try:
                document = orjson.loads(shelf.raw())
                if len(seen) % 50 == 0:  # all reads prove that it is whole, these that it is right
                    validator.validate(document)
                assert len(document["unclustered"]) == document["metadata"]["total_images"]
                seen.append((document["generation"], document["metadata"]["total_images"]))
            except Exception as error:  # whatever it is, it is what the test looks for
                wrong.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(200):
            shelf.put(b"more/%d.jpg" % number)
            shelf.publish()
    finally:
        stop.set()
        reader.join()
    assert wrong == []
    assert seen == sorted(seen)
    assert len(set(seen)) > 5
    assert all(images == generation + 9 for generation, images in seen)
    assert [line["seq"] for line in shelf.feed()] == list(range(1, 211))
    assert all(line["generation"] == max(1, line["seq"] - 9) for line in shelf.feed())


PUBLISH = """
import itertools, sys
from pathlib import Path
from mediad.catalog.metadata import Facts
from mediad.catalog.publish import Publisher
from mediad.model import *
from mediad.store import Store
root = Path(sys.argv[1])
with Store(root / "store") as store:
    volume = Volume(VolumeId("0a0b0c0d"), "v", "/v", VolumeState.ONLINE)
    publisher = Publisher(store, root / "catalog", changes_max_bytes=4000, journal_keep=100)
    with store.read() as tx:
        start = tx.assets.count()
    print("ready", flush=True)
    for number in itertools.count(start):
        content = content_id_of(b"%d" % number)
        path = b"%d.jpg" % number
        with store.write() as tx:
            tx.assets.put(Asset(content, Kind.IMAGE, 1, 1, "PNG", "1"))
            file_id = tx.files.new_id(volume.id, path)
            tx.files.put(File(file_id, volume.id, path, Stat(1, 1, 1, 1), content))
            tx.journal.append(ChangeType.ADDED, file_id, number=number)
        generation = publisher.publish([volume], Facts()).generation
        print(number + 1, generation, flush=True)
"""


@pytest.mark.long
def test_kills_while_publishing_leave_a_whole_catalog_and_a_whole_feed(tmp_path: Path) -> None:
    validator = Draft202012Validator(schema())
    command = [sys.executable, "-c", PUBLISH, str(tmp_path)]
    generation = 0
    followed: list[dict[str, Any]] = []
    for kill_round in range(25):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        lines = [process.stdout.readline() for _ in range(3 + kill_round % 7)]
        timer = threading.Timer(0.0005 * kill_round, process.kill)
        timer.start()
        lines += process.stdout.readlines()
        process.wait()
        process.stdout.close()
        said = [line.split() for line in lines if re.fullmatch(r"\d+ \d+\n", line)]  # the log may stand between
        files, told = map(int, said[-1])
        document = orjson.loads((tmp_path / "catalog" / "catalog.json").read_bytes())
        validator.validate(document)
        assert document["generation"] >= told > generation
        assert len(document["unclustered"]) >= files
        generation = told
        followed += new_lines(tmp_path / "catalog", len(followed))
        assert len(followed) >= files
    assert [line["number"] for line in followed] == list(range(len(followed)))
    assert (tmp_path / "catalog" / "changes.ndjson.1").exists()
    with Store(tmp_path / "store", readonly=True) as store, store.read() as tx:
        assert tx.raw.count("journal") <= 201


def new_lines(catalog: Path, after: int) -> list[dict[str, Any]]:
    found = list(Feed(catalog).read(after))
    assert [line["seq"] for line in found] == list(range(after + 1, after + 1 + len(found)))
    return found


def test_the_order_of_writing(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store's record before the feed, the feed before the catalog: each step sees the one before done."""
    steps: list[str] = []

    def spy(owner: Any, name: str, label: str) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        def noted(*arguments: Any, **options: Any) -> Any:
            with shelf.store.read() as tx:
                steps.append(f"{label} of generation {published_generation(tx)}")
            return original(*arguments, **options)

        monkeypatch.setattr(owner, name, noted)

    shelf.put(b"a.jpg")
    spy(durable, "staged", "new document")
    spy(Feed, "append", "feed")
    spy(durable, "put_in_place", "rename")
    shelf.publish()
    assert steps[-3:] == ["new document of generation 0", "feed of generation 1", "rename of generation 1"]
