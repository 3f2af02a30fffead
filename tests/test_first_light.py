"""First light: the real daemon on real media, from the first scan to the last change, with exact counts."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from PIL import Image
from tests.daemon import Daemon, files_of

from mediad.resources import shipped

LABELS = ("sunflower", "Motorbikes", "dalmatian", "Faces", "okapi", "gramophone", "ketch", "pigeon")
PER_LABEL = 16
VIDEOS = ("video/intel/bird.mkv", "video/neardup/test-padded-dimensions.mp4", "video/surveillance/fight/fi001.mp4")


def copy_media(media: Path, root: Path) -> dict[str, str]:
    """Part of the real media, as MANIFEST.tsv lists it; the label of each copied path that has one."""
    with (media / "MANIFEST.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    taken: Counter[str] = Counter()
    labels: dict[str, str] = {}
    for row in rows:
        path, label = row["path"], row["label"]
        labelled = path.startswith("labelled/") and label in LABELS and taken[label] < PER_LABEL
        if not (labelled or path.startswith(("sequence/", "exif/orientation/")) or path in VIDEOS):
            continue
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(media / path, target)
        if labelled:
            taken[label] += 1
            labels[str(target)] = label
    (root / "sequence/bedroom/00040.jpg").unlink()  # a gap
    return labels


@pytest.fixture(scope="module")
def light(shared: Path, mini_clip: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, Path, Any]]:
    home = tmp_path_factory.mktemp("light")
    root = home / "library"
    labels = copy_media(shared / "media", root)
    with Daemon(home, [root], mini_clip) as daemon:
        yield daemon, root, labels


def test_the_catalog_tells_the_facts_of_the_media(light: tuple[Daemon, Path, dict[str, str]]) -> None:
    daemon, root, labels = light
    catalog = daemon.sync("--clusters")
    jsonschema.validate(catalog, json.loads(shipped("config", "catalog.schema.json").read_bytes()))
    files = files_of(catalog)
    assert set(files) == {str(path) for path in root.rglob("*") if path.is_file()}
    images = [path for path in files if "/video/" not in path]
    meta = catalog["metadata"]
    assert (meta["total_images"], meta["total_videos"]) == (len(images), len(VIDEOS))
    assert meta["complete"]
    assert (meta["pending"], meta["quarantined"]) == (0, 0)
    counters = daemon.counters()
    distinct = {file["content_id"] for file in files.values()}
    assert counters["decodes"] == counters["embeddings"] == len(distinct)

    sequences = {Path(entry["directory"]).name: entry for entry in catalog["sequences"]}
    assert {name: entry["count"] for name, entry in sequences.items()} == {"beachball": 3, "bedroom": 89, "sintel": 10}
    assert sequences["bedroom"]["missing"] == [40]
    assert (sequences["bedroom"]["first"], sequences["bedroom"]["last"]) == (0, 89)
    for name in ("bedroom", "sintel"):
        with Image.open(daemon.catalog_dir / sequences[name]["preview_gif"]) as gif:
            assert getattr(gif, "n_frames", 1) >= 8

    orientation = {(file["width"], file["height"]) for path, file in files.items() if "Landscape_" in path}
    assert len(orientation) == 1
    ((width, height),) = orientation
    assert width > height
    for video in catalog["videos"]:
        assert video["duration"] > 0
        assert 1 <= len(video["keyframes"]) <= 5
        with Image.open(daemon.catalog_dir / video["preview_gif"]) as gif:
            assert getattr(gif, "n_frames", 1) > 1

    assert _gathered(catalog, labels) >= 0.8
    assert daemon.run("audit").returncode == 0


def _gathered(catalog: dict[str, Any], labels: dict[str, str]) -> float:
    """Share of the labelled images that stand in a cluster most of whose labelled images have their label."""
    right = 0
    for cluster in catalog["clusters"]:
        found = [labels[file["filepath"]] for file in cluster["files"] if file["filepath"] in labels]
        right += Counter(found).most_common(1)[0][1] if found else 0
    return right / len(labels)


def test_text_finds_sunflowers_and_a_picture_finds_its_like(light: tuple[Daemon, Path, dict[str, str]]) -> None:
    daemon, _, labels = light
    daemon.sync()
    found = [row["file"]["filepath"] for row in daemon.json("search", "sunflower", "-n", 10)]
    assert [labels.get(path) for path in found].count("sunflower") >= 9
    query = next(path for path, label in labels.items() if label == "dalmatian")
    like = [row["file"]["filepath"] for row in daemon.json("similar", query, "-n", 5)]
    assert query not in like
    assert [labels.get(path) for path in like].count("dalmatian") >= 4


def test_every_change_is_told_once_and_costs_only_what_is_new(
    light: tuple[Daemon, Path, dict[str, str]], shared: Path
) -> None:
    daemon, root, _ = light
    daemon.sync("--clusters")
    before, seen = daemon.counters(), len(daemon.changes())
    new = root / "new.jpg"
    shutil.copy(shared / "media/labelled/umbrella/image_0001.jpg", new)
    renamed = root / "labelled/sunflower/a-sunflower.jpg"
    (root / "labelled/sunflower/image_0001.jpg").rename(renamed)
    replaced = root / "labelled/sunflower/image_0002.jpg"
    aside = root / "aside.tmp"
    shutil.copy(shared / "media/labelled/umbrella/image_0002.jpg", aside)
    aside.rename(replaced)
    deleted = root / "labelled/sunflower/image_0003.jpg"
    deleted.unlink()
    files = files_of(daemon.sync())
    told = {(line["type"], Path(line["path"]).name) for line in daemon.changes()[seen:] if "path" in line}
    assert told == {
        ("added", new.name),
        ("moved", renamed.name),
        ("changed", replaced.name),
        ("missing", deleted.name),
    }
    assert set(files) == {str(path) for path in root.rglob("*") if path.is_file()}
    after = daemon.counters()
    assert after["decodes"] - before["decodes"] == 2
    assert after["embeddings"] - before["embeddings"] == 2
    assert daemon.run("audit").returncode == 0


def test_killed_and_started_again_it_knows_everything(light: tuple[Daemon, Path, dict[str, str]]) -> None:
    daemon, _, _ = light
    ids = {path: file["id"] for path, file in files_of(daemon.sync()).items()}
    before = daemon.counters()
    daemon.kill()
    daemon.start()
    assert {path: file["id"] for path, file in files_of(daemon.sync()).items()} == ids
    after = daemon.counters()
    assert (after["decodes"], after["embeddings"]) == (before["decodes"], before["embeddings"])
    assert daemon.stop() == 0


def test_with_no_weights_at_all_it_says_so_and_still_catalogs(shared: Path, tmp_path: Path) -> None:
    root = tmp_path / "library"
    copy_media(shared / "media", root)
    with Daemon(tmp_path / "home", [root], "auto") as daemon:
        catalog = daemon.sync("--clusters")
        assert set(files_of(catalog)) == {str(path) for path in root.rglob("*") if path.is_file()}
        status = daemon.status()
        assert status["encoder"]["spec"] == "descriptor"
        assert "mediad models pull" in status["encoder"]["problem"]
        assert catalog["metadata"]["encoder"]["note"] == status["encoder"]["problem"]
        assert catalog["clusters"]
        refused = daemon.run("search", "sunflower", check=False)
        assert refused.returncode != 0
        assert "descriptor" in refused.stderr
        assert daemon.stop() == 0
