"""The verbs against a running daemon."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import pictures
from tests.daemon import Daemon

from mediad.config import load, locate
from mediad_service.cli.clusters import outcome
from mediad_service.doctor import Level
from mediad_service.doctor.weights import weights

FRAMES = [f"shot/frame_{number:04}.png" for number in (1, 2, 4, 5)]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    home = tmp_path_factory.mktemp("daemon")
    library = home / "library"
    pictures(library, ["a.jpg", "b.jpg", "sub/c.png", *FRAMES])
    shutil.copy(library / "a.jpg", library / "sub/copy of a.jpg")
    (library / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    with Daemon(home, [library]) as daemon:
        daemon.sync()
        yield daemon


def test_status_tells_all_that_it_must(daemon: Daemon) -> None:
    status = daemon.json("status")
    assert status["state"] in ("idle", "clustering")
    assert status["assets"] == {"images": 8, "videos": 0}
    assert status["pending"] == 0
    assert [Path(entry["path"]).name for entry in status["quarantined"]] == ["broken.jpg"]
    assert status["volumes"][0]["state"] == "online"
    assert status["encoder"]["spec"] == "descriptor"
    assert {"decodes", "embeddings", "scans", "publishes"} <= status["counters"].keys()
    assert status["page"].startswith("http://127.0.0.1:")


def test_doctor_asks_the_daemon_for_its_encoder(daemon: Daemon) -> None:
    locations = locate(daemon.config, daemon.state)
    in_use, configured = weights(load(daemon.config), locations)
    assert (in_use.check, in_use.level, configured.check) == ("encoder in use", Level.OK, "encoder")
    assert in_use.text.startswith("descriptor (")


def test_status_is_lines_in_a_pipe(daemon: Daemon) -> None:
    lines = daemon.run("status").stdout.splitlines()
    assert "assets\t8 images, 0 videos" in lines
    assert any(line.startswith("quarantined\t") and "broken.jpg\t" in line for line in lines)
    assert not any("\x1b" in line for line in lines)


def test_sync_prints_the_generation_that_holds_what_is_on_disk(daemon: Daemon) -> None:
    pictures(Path(daemon.volumes[0]), ["new.jpg"], seed=7)
    generation = int(daemon.run("sync").stdout)
    catalog = daemon.catalog()
    assert catalog["generation"] >= generation
    assert "new.jpg" in str(catalog)


def test_sync_of_a_path_on_no_volume_is_wrong_usage(daemon: Daemon, tmp_path: Path) -> None:
    done = daemon.run("sync", tmp_path, check=False)
    assert done.returncode == 2
    assert "volumes list" in done.stderr


def test_similar_takes_a_path_or_an_id(daemon: Daemon) -> None:
    path = daemon.volumes[0] / "a.jpg"
    by_path = daemon.json("similar", path)
    assert str(path) not in {one["file"]["filepath"] for one in by_path}
    assert by_path[0]["score"] >= by_path[-1]["score"]
    file_id = next(file for group in daemon.json("duplicates") for file in group["files"])["id"]
    assert daemon.json("similar", file_id, "-n", 2) == by_path[:2]
    assert daemon.run("similar", "/nowhere.jpg", check=False).returncode == 2


def test_search_by_any_picture_and_by_words_where_the_encoder_knows_none(daemon: Daemon, tmp_path: Path) -> None:
    picture = tmp_path / "query.png"
    shutil.copy(daemon.volumes[0] / "sub/c.png", picture)
    found = daemon.json("search", "--image", picture, "-n", 1)
    assert [Path(one["file"]["filepath"]).name for one in found] == ["c.png"]
    words = daemon.run("search", "a sunflower", check=False)
    assert words.returncode == 1
    assert "mediad models pull" in words.stderr


def test_words_are_one_text_and_blanks_are_none(daemon: Daemon) -> None:
    assert "mediad models pull" in daemon.run("search", "red", "car", check=False).stderr
    for blank in ("", "   "):
        done = daemon.run("search", blank, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert len(done.stderr.splitlines()) == 1
        assert "say what to look for" in done.stderr


def test_a_volume_is_found_by_every_path_to_it(daemon: Daemon, tmp_path: Path) -> None:
    real = daemon.volumes[0].resolve()
    linked = tmp_path / "linked"
    linked.symlink_to(real)
    assert daemon.json("similar", linked / "sub/c.png") == daemon.json("similar", real / "sub/c.png")
    for path in (linked, linked / "sub", linked / "sub/c.png"):
        assert daemon.run("sync", path).returncode == 0


def test_a_query_that_is_no_picture_is_wrong_usage(daemon: Daemon) -> None:
    done = daemon.run("search", "--image", daemon.config, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert daemon.run("search", check=False).returncode == 2
    assert daemon.run("search", "x", "--image", daemon.config, check=False).returncode == 2


def test_groups_are_listed(daemon: Daemon) -> None:
    (sequence,) = daemon.json("sequences")
    assert (sequence["first"], sequence["last"], sequence["missing"]) == (1, 5, [3])
    (copies,) = daemon.json("duplicates")
    assert [Path(file["filepath"]).name for file in copies["files"]] == ["a.jpg", "copy of a.jpg"]
    assert daemon.run("sequences").stdout.split("\t")[3:5] == ["1-5", "1"]
    assert isinstance(daemon.json("quality"), list)


def test_a_cluster_is_renamed_by_its_id_alone(daemon: Daemon) -> None:
    done = daemon.run("clusters", "--rename", "nosuch", "Holidays", check=False)
    assert done.returncode == 2
    assert "nosuch" in done.stderr


def test_what_is_done_to_clusters_is_said(daemon: Daemon) -> None:
    assert "clustered anew" in daemon.run("clusters", "--recluster").stdout
    assert outcome(("c1", "Holidays")) == 'cluster c1 is called "Holidays"'
    assert outcome(("c1", "")) == "cluster c1 has its own name again"


def test_volumes_are_edited_in_the_file_and_taken_over(daemon: Daemon, tmp_path: Path) -> None:
    pictures(tmp_path / "more", ["x.jpg"], seed=9)
    added = daemon.json("volumes", "add", tmp_path / "more", "--name", "extra", "--exclude", "*.tmp")
    assert (added["added"], added["daemon_told"]) == ("extra", True)
    daemon.until(lambda: any(volume["name"] == "extra" for volume in daemon.status()["volumes"]), 10)
    listed = {volume["name"]: volume for volume in daemon.json("volumes", "list")}
    assert listed["extra"]["configured"]
    assert daemon.json("volumes", "remove", "extra")["removed"] == "extra"
    daemon.until(lambda: all(volume["name"] != "extra" for volume in daemon.status()["volumes"]), 10)


def test_a_volume_that_cannot_be_is_refused_with_the_reason(daemon: Daemon) -> None:
    before = daemon.config.read_text()
    done = daemon.run("volumes", "add", daemon.volumes[0] / "sub", check=False)
    assert done.returncode == 2
    assert "overlap" in done.stderr
    assert daemon.config.read_text() == before


def test_a_wrong_file_is_told_and_keeps_nobody_from_asking(daemon: Daemon) -> None:
    before = daemon.config.read_text()
    daemon.config.write_text(before.replace("settle", "setle"))
    try:
        done = daemon.run("status", "--json")
        assert "config check" in done.stderr
        daemon.until(lambda: bool(daemon.status()["config"]["problems"]), 10)
        assert re.search(r"config\.toml:\d+: .*setle", daemon.status()["config"]["problems"][0])
        logged = [line for line in daemon.log.read_text().splitlines() if "level=error" in line and "setle" in line]
        assert len(logged) == 1
    finally:
        daemon.config.write_text(before)
    daemon.until(lambda: not daemon.status()["config"]["problems"], 10)


def test_audit_agrees_with_what_sync_promised(daemon: Daemon) -> None:
    daemon.sync()
    report = daemon.json("audit")
    assert report["good"]
    assert report["listed"] == report["hashed"] == report["seen"] - 1  # but for the broken one


def test_a_second_daemon_ends_at_once_and_names_the_first(daemon: Daemon) -> None:
    assert daemon.process is not None
    done = daemon.run("run", check=False)
    assert done.returncode == 3
    assert str(daemon.process.pid) in done.stderr
    assert daemon.status()["state"] != "stopped"
