"""What the catalog says, field by field, and that it is the same for the same store."""

from __future__ import annotations

import random
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from math import inf, nan
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from mediad.catalog import fragments
from mediad.catalog.build import Writer
from mediad.catalog.document import Encoder, Timing
from mediad.catalog.fragments import fragment_of
from mediad.catalog.index import read_index
from mediad.catalog.metadata import Facts
from mediad.catalog.placing import place
from mediad.model import ContentId, Volume, VolumeId, VolumeState

Shelf = Any  # of conftest.py
Cid = Callable[[bytes], ContentId]


def names(files: list[dict[str, Any]]) -> list[str]:
    return [file["filename"] for file in files]


def test_an_empty_store_has_a_catalog(shelf: Shelf) -> None:
    document = shelf.read()
    assert document["generation"] == 1
    assert document["$schema"] == "catalog.schema.json"
    assert document["metadata"]["root_path"] == "/srv/photos"
    assert [document[name] for name in ("sequences", "clusters", "unclustered", "videos", "duplicates")] == [[]] * 5


def test_no_volume_at_all(shelf: Shelf) -> None:
    shelf.volumes = []
    metadata = shelf.read()["metadata"]
    assert (metadata["root_path"], metadata["roots"], metadata["scan_date"]) == ("", [], None)


def test_a_file(shelf: Shelf, cid: Cid) -> None:
    file = shelf.put(
        b"2024/a b.jpg", b"x", captured="2024-05-01T10:20:30+02:00", camera="Canon", gps=(47.5, 8.25, 400.0)
    )
    content = cid(b"x").hex()
    assert shelf.read()["unclustered"] == [
        {
            "id": file.id,
            "filename": "a b.jpg",
            "filepath": "/srv/photos/2024/a b.jpg",
            "filesize": 10,
            "created": "2017-07-14T02:40:00.000000Z",
            "modified": "2020-09-13T12:26:40.000000Z",
            "content_id": content,
            "kind": "image",
            "width": 40,
            "height": 30,
            "captured": "2024-05-01T10:20:30+02:00",
            "camera": "Canon",
            "gps": {"latitude": 47.5, "longitude": 8.25, "altitude": 400.0},
            "preview": f"previews/{content[:2]}/{content}.webp",
            "phash": "0123456789abcdef",
            "volume": "0a0b0c0d",
            "state": "present",
        }
    ]


def test_what_people_and_photo_tools_say_of_a_file(shelf: Shelf) -> None:
    shelf.put(b"a.jpg", lens="EF 50mm", rating=-1, keywords=("birds", "Ét\u00e9"))
    (file,) = shelf.read()["unclustered"]
    assert (file["lens"], file["rating"], file["keywords"]) == ("EF 50mm", -1, ["birds", "Ét\u00e9"])


def test_fragments_of_an_earlier_version_are_made_again(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.put(b"a.jpg")
    with monkeypatch.context() as patch:
        patch.setattr(fragments, "FORMAT", 1)
        patch.setattr(fragments, "fragment_of", lambda file, asset: fragment_of(file, replace(asset, width=1)))
        assert shelf.read()["unclustered"][0]["width"] == 1
    assert shelf.read()["unclustered"][0]["width"] == 40
    assert not shelf.publish().written


def test_what_is_not_known_is_left_out(shelf: Shelf) -> None:
    shelf.put(b"a.jpg", preview=None, phash=None, gps=(nan, 8.0))
    (file,) = shelf.read()["unclustered"]
    assert not {"captured", "camera", "lens", "gps", "rating", "keywords", "preview", "relpath_bytes"} & file.keys()
    assert file["phash"] is None


def test_a_video(shelf: Shelf, video: dict[str, Any]) -> None:
    file = shelf.put(b"trip/clip.one.mp4", **video)
    document = shelf.read()
    (entry,) = document["videos"]
    assert document["unclustered"] == []
    inner = entry.pop("metadata")
    assert (inner["id"], inner["kind"], inner["phash"]) == (file.id, "video", None)
    assert entry == {
        "id": file.id,
        "name": "clip.one",
        "directory": "/srv/photos/trip",
        "filepath": "/srv/photos/trip/clip.one.mp4",
        "preview_gif": "previews/ab/v.gif",
        "duration": 12.5,
        "fps": 25.0,
        "codec": "h264",
        "keyframes": [{"seconds": 1.0, "preview": "previews/ab/1.webp"}, {"seconds": 2.5}],
    }


def test_a_video_of_which_little_is_known(shelf: Shelf, video: dict[str, Any]) -> None:
    shelf.put(b".mp4", **video | {"duration": inf, "fps": nan, "codec": None, "preview_gif": None, "frames": ()})
    (entry,) = shelf.read()["videos"]
    assert [entry[name] for name in ("name", "duration", "fps", "codec", "preview_gif")] == [".mp4", *[None] * 4]


def test_a_sequence(shelf: Shelf) -> None:
    frames = [shelf.put(b"shot/f_%d.png" % number) for number in (10, 2, 1)]
    facts = {"pattern": "f_#.png", "first": 1, "last": 10, "missing": (3, 4), "preview_gif": "cd/s.gif"}
    shelf.sequence("s1", frames[::-1], **facts)
    document = shelf.read()
    (sequence,) = document["sequences"]
    assert names(sequence.pop("files")) == ["f_1.png", "f_2.png", "f_10.png"]
    assert document["unclustered"] == []
    assert sequence == {
        "id": "s1",
        "name": "s1",
        "directory": "/srv/photos/shot",
        "count": 3,
        "kind": "numbered",
        **facts,
        "missing": [3, 4],
        "preview_gif": "previews/cd/s.gif",
    }


def test_a_cluster(shelf: Shelf, video: dict[str, Any], cid: Cid) -> None:
    for path in (b"a/1.jpg", b"b/2.jpg", b"b/3.jpg"):
        shelf.put(path)
    shelf.put(b"b/v.mp4", **video)
    medoid = shelf.put(b"c/4.jpg", b"b/3.jpg")
    shelf.cluster("k1", b"a/1.jpg", b"b/3.jpg", b"b/v.mp4", b"not there", medoid=cid(b"b/3.jpg"), tags=("cat", "dog"))
    document = shelf.read()
    (cluster,) = document["clusters"]
    assert names(document["unclustered"]) == ["2.jpg"]
    assert names(cluster.pop("files")) == ["1.jpg", "3.jpg", "v.mp4", "4.jpg"]
    assert cluster.pop("medoid") in {medoid.id, document["duplicates"][0]["keeper"]}
    content = cid(b"b/3.jpg").hex()
    assert list(cluster["distribution"].items()) == [
        ("/srv/photos/b", 2),
        ("/srv/photos/a", 1),
        ("/srv/photos/c", 1),
    ]
    del cluster["distribution"]
    assert cluster == {
        "id": "k1",
        "name": "name of k1",
        "directory": "/srv/photos/b",
        "count": 4,
        "kind": "visual",
        "tags": ["cat", "dog"],
        "sequences": [],
        "preview": f"previews/{content[:2]}/{content}.webp",
    }


def test_the_name_that_a_person_gave_is_shown(shelf: Shelf) -> None:
    shelf.put(b"a.jpg")
    shelf.cluster("k1", b"a.jpg")
    with shelf.store.write() as tx:
        tx.clusters.rename("k1", "Holidays \u2600")
    assert shelf.read()["clusters"][0]["name"] == "Holidays \u2600"


def test_a_sequence_is_one_member_of_its_cluster(shelf: Shelf, cid: Cid) -> None:
    frames = [shelf.put(b"shot/f_%d.png" % number) for number in range(4)]
    shelf.put(b"like.png")
    shelf.put(b"copy of a frame.png", b"shot/f_2.png")
    shelf.sequence("s1", frames, representative=cid(b"shot/f_2.png"))
    shelf.cluster("k1", b"shot/f_2.png", b"like.png")
    shelf.cluster("k2", b"shot/f_1.png")
    document = shelf.read()
    (cluster,) = document["clusters"]
    assert cluster["sequences"] == ["s1"]
    assert names(cluster["files"]) == ["copy of a frame.png", "like.png"]
    assert document["sequences"][0]["count"] == 4


def test_a_cluster_of_nothing_but_a_sequence(shelf: Shelf, cid: Cid) -> None:
    frames = [shelf.put(b"shot/f_%d.png" % number) for number in range(3)]
    shelf.sequence("s1", frames, representative=cid(b"shot/f_1.png"))
    shelf.cluster("k1", b"shot/f_1.png")
    (cluster,) = shelf.read()["clusters"]
    assert (cluster["count"], cluster["sequences"], cluster["directory"]) == (0, ["s1"], "/srv/photos/shot")
    assert cluster["medoid"] == frames[1].id


def test_groups_of_which_nothing_is_left_are_not_shown(shelf: Shelf) -> None:
    file = shelf.put(b"a.jpg")
    shelf.cluster("k1", b"a.jpg")
    shelf.cluster("k2", b"never seen")
    shelf.sequence("s1", [shelf.put(b"d/f_1.png")])
    assert len(shelf.read()["clusters"]) == 1
    shelf.change(file, missing_since=5.0)
    with shelf.store.write() as tx:
        tx.files.delete(tx.files.get(shelf.volume.id, b"d/f_1.png"), 0.0)
    document = shelf.read()
    assert [document["clusters"], document["sequences"], document["unclustered"]] == [[], [], []]


def test_what_is_not_read_yet_is_not_listed(shelf: Shelf) -> None:
    file = shelf.put(b"a.jpg")
    shelf.change(file, content_id=None)
    shelf.change(shelf.put(b"b.jpg"), content_id=ContentId(b"no asset of this"))
    assert shelf.read()["metadata"]["total_images"] == 0


def test_exact_copies(shelf: Shelf) -> None:
    older = {"mtime_ns": 10**9, "ctime_ns": 10**9, "size": 10, "inode": 1}
    for path in (b"photo.jpg", b"long folder/photo.jpg", b"a/photo (1).jpg", b"single.jpg"):
        shelf.put(path, b"single" if b"single" in path else b"same")
    oldest = shelf.put(b"photo - Copy.jpg", b"same")
    shelf.change(oldest, stat=replace(oldest.stat, **older))
    (group,) = shelf.read()["duplicates"]
    assert group["tier"] == "exact"
    assert [(file["filepath"].removeprefix("/srv/photos/"), file["relation"]) for file in group["files"]] == [
        ("photo.jpg", "keeper"),
        ("long folder/photo.jpg", "identical"),
        ("photo - Copy.jpg", "identical"),
        ("a/photo (1).jpg", "identical"),
    ]
    assert group["keeper"] == group["files"][0]["id"]


def test_duplicates_of_a_tier_that_is_not_wanted(shelf: Shelf) -> None:
    for path in (b"a.jpg", b"b.jpg"):
        shelf.put(path, b"same")
    assert len(shelf.read()["duplicates"]) == 1
    assert shelf.publish(Facts(tiers=())).written
    assert orjson.loads(shelf.raw())["duplicates"] == []


def test_duplicates_of_which_some_were_forgotten_since_the_last_publication(shelf: Shelf) -> None:
    files = [shelf.put(path, b"same") for path in (b"a.jpg", b"b.jpg", b"c.jpg")]
    shelf.publish()
    with shelf.store.write() as tx:
        for file in files[:2]:
            tx.files.delete(file, 0.0)
        index = read_index(tx, {bytes.fromhex(shelf.volume.id)})
        placing = place(tx, index, ("exact",))
        (group,) = orjson.loads(b"".join(Writer(tx, index, shelf.volumes).section("duplicates", placing)))
    assert [file["relation"] for file in group["files"]] == ["keeper", "identical", "identical"]


def test_low_quality(shelf: Shelf, video: dict[str, Any]) -> None:
    shelf.put(b"a.jpg", flags=("blurred", "black"), scores={"sharpness": 0.5})
    shelf.put(b"v.mp4", **video | {"flags": ("black",)})
    shelf.put(b"fine.jpg")
    found = shelf.read()["low_quality"]
    assert [(one["filepath"], one["flags"], one["scores"]) for one in found] == [
        ("/srv/photos/a.jpg", ["black", "blurred"], {"sharpness": 0.5}),
        ("/srv/photos/v.mp4", ["black"], {}),
    ]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"caf\xe9 \xff.jpg", "caf\\xe9 \\xff.jpg"),
        (b'line\nbreak "quoted" \\ \x01\x02\x7f.jpg', 'line\nbreak "quoted" \\ \x01\x02\x7f.jpg'),
        ("\u732b\U0001f408.jpg".encode(), "\u732b\U0001f408.jpg"),
        (b"\xed\xa0\x80.jpg", "\\xed\\xa0\\x80.jpg"),
        (b"n" * 255, "n" * 255),
    ],
)
def test_any_name(shelf: Shelf, video: dict[str, Any], name: bytes, shown: str) -> None:
    for number, kind in enumerate(({}, video)):
        extra = {**kind, "flags": ("black",)}
        shelf.put(b"%d/" % number + name, b"same %d" % number, **extra)
        shelf.put(b"%d %b/copy" % (number, name), b"same %d" % number, **extra)
    document = shelf.read()
    file = next(file for file in document["unclustered"] if file["filename"] == shown)
    assert file["filepath"] == f"/srv/photos/0/{shown}"
    if "relpath_bytes" in file:
        assert b64decode(file["relpath_bytes"]) == b"0/" + name
    else:
        assert file["filename"].encode() == name
    assert file["filepath"] in {one["filepath"] for one in document["low_quality"]}
    assert {one["filepath"] for group in document["duplicates"] for one in group["files"]} == {
        one["filepath"] for one in document["unclustered"] + document["videos"]
    }


def test_times_that_no_calendar_has(shelf: Shelf) -> None:
    file = shelf.put(b"a.jpg")
    shelf.change(file, stat=replace(file.stat, mtime_ns=10**9 * 2**62, ctime_ns=-(10**9) * 2**61))
    (entry,) = shelf.read()["unclustered"]
    assert (entry["created"], entry["modified"]) == ("0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z")


def test_a_volume_that_goes_comes_and_moves_costs_no_fragment(shelf: Shelf, video: dict[str, Any]) -> None:
    shelf.put(b"a.jpg")
    shelf.put(b"v.mp4", **video)
    assert {file["state"] for file in shelf.read()["unclustered"]} == {"present"}
    shelf.volumes = [replace(shelf.volume, state=VolumeState.OFFLINE, reason="not mounted", path='/mnt/new "place"/')]
    document = shelf.read()
    assert document["unclustered"][0]["state"] == document["videos"][0]["metadata"]["state"] == "offline"
    assert document["unclustered"][0]["filepath"] == '/mnt/new "place"/a.jpg'
    assert document["videos"][0]["directory"] == '/mnt/new "place"'
    assert document["metadata"]["volumes"][0]["reason"] == "not mounted"


def test_several_volumes_and_one_that_is_no_longer_configured(shelf: Shelf) -> None:
    shelf.put(b"a.jpg")
    second = Volume(VolumeId("00000001"), "two", "/srv/two", VolumeState.OFFLINE)
    first, shelf.volume = shelf.volume, second
    shelf.put(b"b.jpg")
    shelf.volumes = [first, second]
    document = shelf.read()
    assert [file["filepath"] for file in document["unclustered"]] == ["/srv/two/b.jpg", "/srv/photos/a.jpg"]
    assert (document["metadata"]["root_path"], document["metadata"]["roots"]) == ("/srv", ["/srv/photos", "/srv/two"])
    assert [volume["assets"] for volume in document["metadata"]["volumes"]] == [1, 1]
    shelf.volumes = [second]
    assert names(shelf.read()["unclustered"]) == ["b.jpg"]


def test_the_metadata_tells_what_it_was_told(new_shelf: Callable[..., Shelf]) -> None:
    ticks = iter([10.0, 12.25])
    shelf = new_shelf(clock=lambda: next(ticks))
    encoder = Encoder(id="descriptor", dimensions=128, text=False, note='no weights: "json_preparation_seconds":0')
    facts = Facts(encoder, 1, 2, False, "line 3: what", Timing(total_seconds=4.5))
    shelf.publish(facts)
    metadata = orjson.loads(shelf.raw())["metadata"]
    assert metadata["encoder"] == encoder.model_dump()
    assert [metadata[name] for name in ("pending", "quarantined", "complete", "config_problem")] == [
        1,
        2,
        False,
        "line 3: what",
    ]
    assert metadata["timing"]["total_seconds"] == 4.5
    assert metadata["timing"]["json_preparation_seconds"] == 2.25
    assert metadata["scan_date"] == "2023-11-14T22:13:20.000000Z"


def test_the_same_store_has_the_same_catalog_however_it_was_filled(
    new_shelf: Callable[..., Shelf], video: dict[str, Any], cid: Cid
) -> None:
    documents = []
    paths = [b"%s/%d.jpg" % (folder, number) for folder in (b"b", b"a", b"a/c") for number in range(6)]
    for seed in range(3):
        shelf = new_shelf()
        order = random.Random(seed).sample(paths, len(paths))
        files = {path: shelf.put(path, path[-5:]) for path in order}
        shelf.put(b"v.mp4", **video)
        for folder in (b"a", b"b")[:: 1 if seed else -1]:
            shelf.sequence(f"s {folder!r}", [files[folder + b"/%d.jpg" % number] for number in range(2)])
        for name in random.Random(seed).sample(["k1", "k2"], 2):
            shelf.cluster(name, *((b"2.jpg", b"3.jpg") if name == "k1" else (b"4.jpg",)))
        shelf.read()
        documents.append(shelf.raw())
    assert documents[0] == documents[1] == documents[2]


def test_a_diff_shows_only_what_changed(shelf: Shelf) -> None:
    files = [shelf.put(b"%d.jpg" % number) for number in range(50)]
    shelf.cluster("k1", *(b"%d.jpg" % number for number in range(20)))
    shelf.read()
    before = set(shelf.raw().splitlines())
    shelf.change(files[7], stat=replace(files[7].stat, size=99))
    shelf.read()
    after = set(shelf.raw().splitlines())
    assert len(after - before) == len(before - after) == 2  # the generation and the file


def test_the_schema_in_the_checkout_is_current() -> None:
    command = [sys.executable, "-m", "mediad.catalog.schema"]
    done = subprocess.run([*command, "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert subprocess.run([*command, "--chekc"], capture_output=True).returncode == 2


def test_the_schema_refuses_what_is_not_a_catalog(shelf: Shelf) -> None:
    shelf.put(b"a.jpg")
    document = shelf.read()
    validator = Draft202012Validator(orjson.loads((shelf.catalog / "catalog.schema.json").read_bytes()))
    validator.validate(document)
    assert not validator.is_valid({**document, "more": 1})
    del document["unclustered"][0]["content_id"]
    assert not validator.is_valid(document)


def test_the_document_never_loads_what_belongs_into_children() -> None:
    program = (
        "import sys, mediad.catalog.publish; print([n for n in ('torch', 'cv2', 'PIL', 'av') if n in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "[]\n"


def test_a_catalog_directory_is_private(tmp_path: Path, shelf: Shelf) -> None:
    shelf.put(b"a.jpg")
    shelf.publish()
    assert shelf.catalog.stat().st_mode & 0o777 == 0o700
    modes = {file.name: file.stat().st_mode & 0o777 for file in shelf.catalog.iterdir()}
    assert modes == dict.fromkeys(("catalog.json", "catalog.schema.json", "changes.ndjson"), 0o600)
