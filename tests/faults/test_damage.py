"""Whatever is damaged of what mediad keeps: it is put aside, restored or made again, and nothing is computed twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest
from tests.daemon import Daemon
from tests.faults import damage
from tests.faults.damage import Harm, audited, draw, draw_library, known

from mediad.store.backup import Backups

pytestmark = pytest.mark.long

NEW = 5


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[[], Daemon]]:
    """A daemon on a library of 32 pictures; ended at the end."""
    library = tmp_path / "library"
    draw_library(library)
    daemon = Daemon(tmp_path / "home", [library])

    def start() -> Daemon:
        return daemon.start()

    yield start
    daemon.__exit__()


def back_up(daemon: Daemon) -> None:
    """What the daemon itself does every hour, now."""
    backups = Backups(daemon.state / "backups")
    backups.make(daemon.state / "store", 0)
    backups.stop()


def store_of(daemon: Daemon) -> Path:
    return daemon.state / "store" / "data.mdb"


def change_library(daemon: Daemon) -> None:
    """What the backup does not know: new pictures, a lost one, a renamed one."""
    library = daemon.volumes[0]
    for number in range(NEW):
        draw(Path(library) / "new" / f"late {number}.jpg", 500 + number)
    (Path(library) / "folder0" / "picture a.jpg").unlink()
    (Path(library) / "folder1" / "picture b.jpg").rename(Path(library) / "folder1" / "called otherwise.jpg")


HARMS: dict[str, tuple[Harm, int]] = {  # and how many contents may be lost with it
    "gone": (damage.remove, NEW),
    "cut in half": (damage.cut_in_half, NEW),
    "roots zeroed": (damage.zero_roots, 0),
    "bits flipped": (damage.flip_bits, NEW),
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_store_comes_back_from_its_backup(begin: Callable[[], Daemon], harm: str) -> None:
    daemon = begin()
    daemon.sync()
    back_up(daemon)
    change_library(daemon)
    before = known(daemon)
    daemon.kill()
    do, recomputed = HARMS[harm]
    do(store_of(daemon))
    begin()
    after = audited(daemon)
    recovered = daemon.status()["recovered"]
    assert recovered["backup"] == "store-000001.mdb"
    assert (daemon.state / "store.damaged-1").is_dir()
    decodes = after.counters["decodes"] - 32
    assert decodes - NEW <= recomputed, "at most what came after the backup, and was not to be saved, is decoded again"
    assert after.counters["embeddings"] - 32 - NEW <= recomputed
    assert after.files.keys() == before.files.keys()
    assert after.generation > before.generation
    assert after.changes[: len(before.changes)] == before.changes
    same = [path for path in after.files if "new" not in path and "otherwise" not in path]
    assert {path: after.files[path]["id"] for path in same} == {path: before.files[path]["id"] for path in same}


@pytest.mark.parametrize(("harm", "lost"), [(damage.zero_roots, 0), (damage.zero_middle, 20)])
def test_without_a_backup_what_can_be_read_is_saved(begin: Callable[[], Daemon], harm: Harm, lost: int) -> None:
    daemon = begin()
    before = known(daemon)
    daemon.kill()
    harm(store_of(daemon))
    begin()
    after = audited(daemon)
    recovered = daemon.status()["recovered"]
    saved = recovered["saved"]
    assert recovered["backup"] is None
    assert saved["assets"] >= 32 - lost
    assert saved["vectors"] >= 32 - lost
    counted_on = before.counters["decodes"] if saved.get("counters") else 0
    assert after.counters["decodes"] - counted_on <= 32 - saved["assets"]
    assert after.files.keys() == before.files.keys()
    assert {path: file["id"] for path, file in after.files.items()} == {
        path: file["id"] for path, file in before.files.items()
    }
    assert after.generation > before.generation


def test_damage_that_nobody_knew_of_is_met_and_mended_while_running(begin: Callable[[], Daemon]) -> None:
    daemon = begin()
    before = known(daemon)
    back_up(daemon)
    assert daemon.stop() == 0
    damage.flip_bits(store_of(daemon), 200)
    process = begin().process
    daemon.until(lambda: bool(daemon.said("recovered")), 60)
    daemon.until(daemon.answers, 30)
    after = audited(daemon)
    assert process is not None
    assert process.poll() is None, "the daemon ended"
    assert (after.counters["decodes"], after.counters["embeddings"]) == (32, 32)
    assert after.files.keys() == before.files.keys()


def test_a_damaged_backup_is_passed_over(begin: Callable[[], Daemon]) -> None:
    daemon = begin()
    daemon.sync()
    back_up(daemon)
    back_up(daemon)
    daemon.kill()
    damage.flip_bits(daemon.state / "backups" / "store-000002.mdb")
    damage.empty(store_of(daemon))
    begin()
    after = audited(daemon)
    assert daemon.status()["recovered"]["backup"] == "store-000001.mdb"
    assert (after.counters["decodes"], after.counters["embeddings"]) == (32, 32)


def test_everything_at_once_is_no_loop(begin: Callable[[], Daemon]) -> None:
    daemon = begin()
    daemon.sync()
    back_up(daemon)
    daemon.run("similar", next(Path(daemon.volumes[0]).rglob("*.jpg")))
    assert daemon.stop() == 0
    for path in [path for path in daemon.state.rglob("*") if path.is_file() and path.suffix != ".sock"]:
        damage.garbage(path)
    begin()
    after = audited(daemon)
    assert after.counters["decodes"] == after.counters["embeddings"] == 32
    daemon.kill()
    begin()
    assert audited(daemon).counters["decodes"] == 32


def similar(daemon: Daemon) -> list[str]:
    picture = Path(daemon.volumes[0]) / "folder0" / "picture a.jpg"
    return [found["file"]["filepath"] for found in daemon.json("similar", picture)]


def of_another_encoder(path: Path) -> None:
    manifest = path.parent / "manifest.json"
    body = orjson.loads(manifest.read_bytes())
    manifest.write_bytes(orjson.dumps(body | {"encoder": "another"}))


def test_a_damaged_vector_index_is_made_again(begin: Callable[[], Daemon]) -> None:
    daemon = begin()
    daemon.sync()
    expected = similar(daemon)
    assert len(expected) > 5
    for harm in (damage.cut_in_half, damage.flip_bits, of_another_encoder):
        assert daemon.stop() == 0
        (vectors,) = daemon.state.glob("index/*/vectors-*.faiss")
        harm(vectors)
        begin()
        assert similar(daemon) == expected, harm
    after = audited(daemon)
    assert (after.counters["decodes"], after.counters["embeddings"]) == (32, 32)


@pytest.mark.parametrize("running", [True, False])
def test_files_of_the_catalog_are_put_in_place_again(begin: Callable[[], Daemon], running: bool) -> None:
    daemon = begin()
    before = known(daemon)
    for harm in (damage.remove, damage.garbage):
        if not running:
            assert daemon.stop() == 0
        for name in ("catalog.json", "changes.ndjson", "status.json", "catalog.schema.json"):
            harm(daemon.catalog_dir / name)
        if not running:
            begin()
        daemon.until(lambda: readable(daemon), 20)
    after = audited(daemon)
    assert told(after.changes) >= told(before.changes)
    assert (after.counters["decodes"], after.counters["embeddings"]) == (32, 32)


def told(changes: list[str]) -> set[tuple[int, str, str]]:
    return {(line["seq"], line["type"], line["id"]) for line in map(json.loads, changes)}


def readable(daemon: Daemon) -> bool:
    try:
        for name in ("catalog.json", "status.json", "catalog.schema.json"):
            json.loads((daemon.catalog_dir / name).read_bytes())
        lines = (daemon.catalog_dir / "changes.ndjson").read_text().splitlines()
        return all("seq" in json.loads(line) for line in lines)
    except (OSError, ValueError):
        return False


def test_a_catalog_directory_that_is_gone_is_made_again(begin: Callable[[], Daemon]) -> None:
    daemon = begin()
    before = known(daemon)
    shutil.rmtree(daemon.catalog_dir)
    daemon.until(lambda: readable(daemon), 20)
    previews_back(daemon)
    after = audited(daemon)
    assert after.generation > before.generation
    assert (after.counters["decodes"], after.counters["embeddings"]) == (64, 32), "one decode each, for the previews"


def previews_back(daemon: Daemon) -> None:
    daemon.until(lambda: daemon.run("audit", check=False).returncode == 0, 60)


@pytest.mark.parametrize("running", [True, False])
def test_lost_and_damaged_previews_are_made_again(begin: Callable[[], Daemon], running: bool) -> None:
    daemon = begin()
    daemon.sync()
    if not running:
        assert daemon.stop() == 0
    stills = sorted(daemon.catalog_dir.glob("previews/*/*.jpg"))
    animation = next(daemon.catalog_dir.glob("previews/*/*.gif"))
    assert len(stills) == 32
    for still, harm in zip(stills, (damage.remove, damage.garbage, damage.empty, damage.remove), strict=False):
        harm(still)
    damage.garbage(animation)
    if not running:
        begin()
    daemon.until(lambda: all(path.exists() and path.stat().st_size > 500 for path in (*stills, animation)), 60)
    daemon.until(lambda: animation.read_bytes().startswith(b"GIF8"), 30)
    after = audited(daemon)
    assert (after.counters["decodes"], after.counters["embeddings"]) == (36, 32)


def test_a_damaged_configuration(begin: Callable[[], Daemon]) -> None:
    daemon = begin()
    daemon.sync()
    good = daemon.config.read_bytes()
    for number, content in enumerate((b"", b"\0" * 300, b"[[volumes\npath =")):
        daemon.config.write_bytes(content)
        daemon.until(lambda: bool(daemon.status()["config"]["problems"]), 10)
        draw(Path(daemon.volumes[0]) / f"while wrong {number}.jpg", 900 + number)
        catalog = daemon.sync()
        assert catalog["metadata"]["total_images"] == 33 + number, "the settings before are in force"
        assert str(daemon.config) in catalog["metadata"]["config_problem"]
    for content in (b"", b"\0" * 300):
        daemon.config.write_bytes(content)
        refused = daemon.run("run", check=False, timeout=30)
        assert refused.returncode == 2, "the configuration is looked at first"
        assert str(daemon.config) in refused.stderr
    daemon.config.write_bytes(good)
    daemon.until(lambda: not daemon.status()["config"]["problems"], 10)
    assert audited(daemon).counters["decodes"] == 35
