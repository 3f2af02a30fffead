"""The clustering process: what it finds, that it is gone afterwards, that the daemon's side stays light."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mediad.analysis import client
from mediad.analysis.client import Clusterer
from mediad.analysis.settings import ClusterSettings
from mediad.channel import ChildError

HEAVY = {"by_name", "child", "clusters", "partition", "reduce", "__init__"}
LIGHT = [path.stem for path in Path(client.__file__).parent.glob("*.py") if path.stem not in HEAVY]


def planted(groups: int, each: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings (n, 64), shuffled, around `groups` centres that share a large common part, and the true labels."""
    random = np.random.default_rng(3)
    labels = random.permutation(np.repeat(np.arange(groups), each))
    vectors = 3 + random.normal(size=(groups, 64))[labels] + noise * random.normal(size=(len(labels), 64))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16), labels


def same_partition(one: np.ndarray, other: np.ndarray) -> bool:
    pairs = set(zip(one.tolist(), other.tolist(), strict=True))
    return len(pairs) == len(set(one.tolist())) == len(set(other.tolist()))


def test_clusters_are_found_and_the_process_is_gone() -> None:
    vectors, truth = planted(8, 30, 0.4)
    clusterer = Clusterer(deadline=150)
    labels = clusterer.cluster(vectors, ClusterSettings())
    assert labels.dtype == np.int32
    assert same_partition(labels, truth)
    assert clusterer.pid is None
    assert clusterer.cluster(vectors[:0], ClusterSettings()).shape == (0,)


def test_names_are_grouped_and_counters_are_not() -> None:
    holiday = [f"trip/holiday_beach_{at}.jpg" for at in range(6)]
    paris = ["a/sunset paris.jpg", "b/paris-sunset-2.jpg", "c/Sunset in Paris (3).jpg"]
    cakes = ["d/birthdayCake1.jpg", "e/birthday_cakes.jpg", "f/Birthday-cake-final.jpg"]
    alone = [f"x/IMG_{at:04d}.jpg" for at in range(9)] + ["x/invoice.png", "y/garden.png", "y/48fc721fbbc172e0.png"]
    paths = [*holiday, *alone, *paris, *cakes, "bad\udcff name\udc80.jpg"]
    labels = Clusterer(deadline=60).by_name(paths)
    groups = {label: {path for path, own in zip(paths, labels, strict=True) if own == label} for label in range(3)}
    assert groups[0] == set(holiday)
    assert {frozenset(groups[1]), frozenset(groups[2])} == {frozenset(paris), frozenset(cakes)}
    assert sum(labels < 0) == len(alone) + 1


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"method": "magic"}, "method is 'magic'; choose one of umap_hdbscan"),
        ({"reduce": "tsne"}, "reduce is 'tsne'"),
        ({"neighbors": 1}, "neighbors is 1; it must be at least 2"),
        ({"min_cluster_size": 0}, "min_cluster_size is 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(change: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        ClusterSettings(**change)  # type: ignore[arg-type]  # wrong on purpose


def test_the_daemons_side_is_light() -> None:
    code = "import sys; " + "; ".join(f"import mediad.analysis.{name}" for name in LIGHT)
    code += (
        "; print(*(m for m in ('sklearn', 'scipy', 'umap', 'hdbscan', 'numba', 'torch', 'PIL') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.long
def test_input_that_cannot_be_clustered_is_refused() -> None:
    with pytest.raises(ChildError, match="not finite"):
        Clusterer(deadline=60).cluster(np.full((20, 8), np.nan), ClusterSettings())


@pytest.mark.long
@pytest.mark.parametrize("reduce", ["umap", "pca", "none"])
@pytest.mark.parametrize("method", ["umap_hdbscan", "kmeans", "agglomerative", "dbscan"])
def test_every_method_finds_plain_clusters_and_repeats_itself(method: str, reduce: str) -> None:
    from mediad.analysis.clusters import cluster  # heavy

    vectors, truth = planted(6, 25, 0.2)
    settings = ClusterSettings(method=method, reduce=reduce)  # type: ignore[arg-type]  # from the lists above
    labels = cluster(vectors, settings)
    assert same_partition(labels, truth)
    assert np.array_equal(labels, cluster(vectors.copy(), settings))


@pytest.mark.long
@pytest.mark.parametrize("method", ["umap_hdbscan", "kmeans", "agglomerative", "dbscan"])
def test_libraries_of_any_size(method: str) -> None:
    from mediad.analysis.clusters import cluster  # heavy

    vectors, _ = planted(4, 6, 0.3)
    settings = ClusterSettings(method=method)  # type: ignore[arg-type]  # from the list above
    for count in range(len(vectors) + 1):
        labels = cluster(vectors[:count], settings)
        assert labels.shape == (count,)
        sizes = np.bincount(labels[labels >= 0])
        assert all(sizes >= settings.min_cluster_size)
        assert list(sizes) == sorted(sizes, reverse=True)
    assert set(cluster(np.ones((10, 8)), settings).tolist()) == {0}


_EMBED = """
import sys, numpy, open_clip, torch
from pathlib import Path
from PIL import Image
shared, out = Path(sys.argv[1]), sys.argv[2]
open_clip.add_model_config(shared / "models" / "mini-clip.json")
checkpoint = str(shared / "models" / "mini-clip.pt")
model, _, prepare = open_clip.create_model_and_transforms("mini-clip", pretrained=checkpoint)
paths = sorted((shared / "media" / "labelled").rglob("*.jpg"))
vectors = []
with torch.inference_mode():
    for at in range(0, len(paths), 32):
        batch = torch.stack([prepare(Image.open(path).convert("RGB")) for path in paths[at : at + 32]])
        vectors.append(model.eval().encode_image(batch, normalize=True).numpy())
numpy.savez(out, vectors=numpy.concatenate(vectors), labels=[path.parent.name for path in paths])
"""


@pytest.mark.long
@pytest.mark.timeout(900)
def test_labelled_photos(shared: Path, tmp_path: Path) -> None:
    from sklearn.metrics import adjusted_rand_score

    from mediad.analysis.clusters import cluster  # heavy

    out = tmp_path / "embeddings.npz"
    command = [sys.executable, "-W", "ignore", "-c", _EMBED, str(shared), str(out)]
    subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "2"}, check=True)
    with np.load(out) as data:
        vectors, truth = data["vectors"], data["labels"]
    labels = cluster(vectors, ClusterSettings())
    assert adjusted_rand_score(truth, labels) >= 0.78
    assert (labels < 0).mean() <= 0.05
