"""What must hold whenever the daemon says that it is in step with the disk."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
from tests.engine.conftest import files_of
from tests.faults.crash import check_feed
from tests.faults.world import World

from mediad.model import content_id_of
from mediad.resources import shipped


@cache
def _schema() -> Any:
    document = json.loads(shipped("config", "catalog.schema.json").read_bytes())
    return jsonschema.validators.validator_for(document)(document)


def read_catalog(catalog: Path) -> dict[str, Any]:
    """The catalog as it is at this moment: always a whole and valid one."""
    document: dict[str, Any] = json.loads((catalog / "catalog.json").read_bytes())
    _schema().validate(document)
    return document


def judge(world: World, state: Path, answer: dict[str, Any]) -> None:
    """An answer to "check", and the catalog that it speaks of, against the world."""
    assert not answer["divergences"], answer["divergences"]
    assert not answer["astray"], answer["astray"]
    document = read_catalog(state / "catalog")
    assert document["generation"] >= answer["generation"]
    files = {Path(path): file for path, file in files_of(document).items()}
    _volumes(world, document)
    _files(world, files)
    _ids(world, files)
    _work(world, answer["status"])
    check_feed(state / "catalog", {file["id"] for file in files.values()})
    world.checked({path: (file["id"], _data_of(world, file["content_id"])) for path, file in files.items()})


def _data_of(world: World, content_id: str) -> bytes:
    return next(data for data in world.owners if content_id_of(data).hex() == content_id)


def _volumes(world: World, document: dict[str, Any]) -> None:
    told = {Path(volume["path"]): volume for volume in document["metadata"]["volumes"]}
    assert told.keys() == world.configured
    for path, volume in told.items():
        if volume["assets"] or not world.drive.away:  # of an empty drive that goes away nothing can be lost
            assert volume["state"] == world.state(path), f"{path} is said to be {volume['state']}"


def _files(world: World, files: dict[Path, dict[str, Any]]) -> None:
    """What can be seen is told exactly; what cannot is told as it was, where it was not seen to change."""
    for path, thing in world.files.items():
        if world.visible(path):
            assert path in files, f"{path} is there, and not in the catalog"
            assert files[path]["content_id"] == content_id_of(thing.node.data).hex(), f"{path} has another content"
    for path, told in world.told.items():
        if world.hidden(path) and path not in world.touched:
            assert path in files, f"{path} was forgotten while it could not be looked at"
            assert (files[path]["id"], files[path]["content_id"]) == (told.file_id, content_id_of(told.data).hex())
    for path, file in files.items():
        volume = world.volume_of(path)
        assert volume in world.configured, f"{path} is on no volume"
        known = path in world.files if world.visible(path) else path in world.told or path in world.touched
        assert known, f"{path} is in the catalog, and was never there"
        assert (file["state"] == "present") == (world.state(volume) == "online"), f"{path} is {file['state']}"


def _ids(world: World, files: dict[Path, dict[str, Any]]) -> None:
    """A file that was only moved, and whose content no other file ever had, is the same file."""
    now = {thing.token: (path, thing.node.data) for path, thing in world.files.items() if world.visible(path)}
    for was, told in world.told.items():
        if told.token in world.spoiled or told.token not in now:
            continue
        path, data = now[told.token]
        if data == told.data and world.owners[data] == {told.token}:
            assert files[path]["id"] == told.file_id, f"{was} was moved to {path}, and is taken for another file"


def _work(world: World, status: dict[str, Any]) -> None:
    """Each content was decoded and embedded at most once, ever."""
    failing = [one for one in status["failing"] if not world.hidden(Path(one["path"]))]
    assert (status["quarantined"], failing, status["loops"]) == ([], [], {})
    seen = {thing.node.data for path, thing in world.files.items() if world.visible(path)}
    for work in ("decodes", "embeddings"):
        done = status["counters"][work]
        assert len(seen) <= done <= len(world.shown), f"{done} {work} for {len(world.shown)} contents"
    if not world.locked and not world.drive.away:
        assert status["pending"] == 0
