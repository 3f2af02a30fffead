"""From labels to named clusters, and joining them."""

from __future__ import annotations

import numpy as np
import pytest

from mediad.analysis.assign import nearest
from mediad.analysis.build import give_names, name_clusters_of, visual_clusters
from mediad.analysis.naming import name_clusters, tags_from_text
from mediad.analysis.space import centre, into
from mediad.analysis.words import stem_words, words_of
from mediad.model import ContentId, content_id_of, short_id


def planted(groups: int, each: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings (n, 32) around `groups` centres that share a large common part, and their labels."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(groups, dtype=np.int32), each)
    centres = random.normal(size=(groups, 32))
    vectors = 5 + centres[labels] + 0.15 * random.normal(size=(len(labels), 32))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), labels


def content_ids(count: int) -> list[ContentId]:
    return [content_id_of(bytes([at])) for at in range(count)]


def test_clusters_are_built_whatever_the_order_of_rows() -> None:
    vectors, labels = planted(3, 10)
    labels[4] = -1
    ids = content_ids(30)
    built = visual_clusters(labels, vectors, ids)
    assert [len(cluster.members) for cluster in built.clusters] == [10, 10, 9]
    for cluster in built.clusters:
        assert cluster.medoid in cluster.members
        assert list(cluster.members) == sorted(cluster.members)
        assert np.linalg.norm(cluster.centroid) == pytest.approx(1, abs=1e-5)
        assert 0 < cluster.radius < 1
    order = np.random.default_rng(1).permutation(30)
    again = visual_clusters(labels[order], vectors[order], [ids[at] for at in order])
    assert [(c.id, c.medoid, c.members) for c in again.clusters] == [
        (c.id, c.medoid, c.members) for c in built.clusters
    ]


def test_the_medoid_is_the_member_in_the_middle() -> None:
    random = np.random.default_rng(0)
    axis = np.eye(16)[0]
    members = axis + 0.3 * random.normal(size=(9, 16))
    middle = members.mean(axis=0, keepdims=True)
    vectors = np.concatenate([members, middle, -10 * np.eye(16)[1:2].repeat(10, axis=0)])
    ids = content_ids(20)
    built = visual_clusters(np.array([0] * 10 + [-1] * 10, np.int32), vectors, ids)
    likeness = centre(vectors)[0][:10] @ np.array(built.clusters[0].centroid)
    assert built.clusters[0].medoid == ids[int(likeness.argmax())]


def test_a_tie_for_medoid_goes_to_the_least_id() -> None:
    vectors = np.repeat(np.eye(4), 3, axis=0)
    ids = content_ids(12)
    built = visual_clusters(np.repeat(np.arange(4, dtype=np.int32), 3), vectors, ids)
    assert {cluster.medoid for cluster in built.clusters} == {min(ids[at : at + 3]) for at in range(0, 12, 3)}


def test_new_assets_join_the_nearest_cluster_or_none() -> None:
    vectors, labels = planted(5, 20)
    built = visual_clusters(labels, vectors, content_ids(100))
    centroids = np.array([cluster.centroid for cluster in built.clusters], np.float32)
    radii = np.array([cluster.radius for cluster in built.clusters], np.float32)
    for cluster_index, cluster in enumerate(built.clusters):
        row = content_ids(100).index(cluster.medoid)
        assert nearest(vectors[row], centroids, radii, built.mean) == cluster_index
    assert nearest(built.mean * 2, centroids, radii, built.mean) is None
    assert nearest(vectors[0], np.empty((0, 32), np.float32), np.empty(0), built.mean) is None


def test_the_centred_space() -> None:
    vectors, _ = planted(4, 10)
    centred, mean = centre(vectors.astype(np.float16))
    assert np.linalg.norm(centred, axis=1) == pytest.approx(np.ones(40), abs=1e-3)
    assert into(vectors[3], mean) == pytest.approx(centred[3], abs=0.01)
    assert not centre(np.ones((5, 3)))[0].any()
    assert centre(np.empty((0, 3)))[0].shape == (0, 3)
    with pytest.raises(ValueError, match="not finite"):
        centre(np.array([[np.nan, 1.0]]))
    with pytest.raises(ValueError, match="shape"):
        centre(np.ones(3))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sunset_in-Paris_003.jpg", ["sunset", "paris"]),
        ("birthdayCake1.jpg", ["birthday", "cake"]),
        ("IMG_1234.JPG", []),
        ("DSC01234-edited.jpg", []),
        ("20210304_121314.jpg", []),
        ("2d3adedff11b61f14c886e35afa03673.jpg", []),
        ("9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d.png", []),
        ("image_0001.jpg", []),
        ("Crémieux11.tiff", ["crémieux"]),
        ("海边日落.jpg", ["海边日落"]),
    ],
)
def test_telling_words(name: str, words: list[str]) -> None:
    assert stem_words(name) == words


def test_folder_words() -> None:
    assert words_of("2019-07 Summer_holidayRome DCIM") == ["summer", "holiday", "rome"]


def test_clusters_are_named_by_what_tells_them_apart() -> None:
    cars = [f"lib/car_side/image_{at:04d}.jpg" for at in range(20)]
    emus = [f"lib/emu/image_{at:04d}.jpg" for at in range(18)] + cars[:2]
    rest = [f"lib/IMG_{at:04d}.jpg" for at in range(20)]
    named = name_clusters([cars, emus, rest[:5], emus], rest)
    assert [each.name for each in named[:3]] == ["Car Side", "Emu", "lib"]
    assert named[3].name == "Emu 2"
    assert named[0].tags == ("car", "side")
    assert named[2].tags == ()


@pytest.mark.parametrize(
    ("paths", "name"),
    [
        (["2019/1.jpg", "2019/2.jpg", "2020/3.jpg"], "2019"),
        (["trip/DCIM/1.jpg", "trip/100CANON/2.jpg", "trip/DCIM/3.jpg"], "trip"),
        (["DCIM/1.jpg", "DCIM/2.jpg", "1.jpg"], "DCIM"),
        (["me/9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d/1.jpg"], "me"),
        (["a3f9c1d2e4/1.jpg", "a3f9c1d2e4/2.jpg"], "Cluster"),
        (["\udcff\udcfe/1.jpg"], "Cluster"),
        (["1.jpg", "2.jpg"], "Cluster"),
        ([], "Cluster"),
    ],
)
def test_a_cluster_without_a_word_that_tells_has_a_name_that_says_something(paths: list[str], name: str) -> None:
    named = name_clusters([paths, paths], paths * 20)
    assert [each.name for each in named] == [name, f"{name} 2"]


def test_a_cluster_of_which_too_few_share_a_word_is_called_by_its_tags() -> None:
    animals = [f"{word}_{at}.jpg" for word in ("red fox", "grey owl", "brown bear") for at in range(3)]
    (named,) = name_clusters([animals], [f"IMG_{at:04d}.jpg" for at in range(20)])
    assert (named.name, named.tags) == ("Bear, Brown", ("bear", "brown", "fox", "grey", "owl"))


def test_tags_from_text() -> None:
    assert tags_from_text(np.eye(3)[1], np.eye(3)[[2, 1, 0]], ["x", "y", "z"], count=1) == ("y",)


def test_clusters_get_names_and_keep_their_ids() -> None:
    ids = content_ids(7)
    clusters = name_clusters_of(np.array([0, 0, 0, 0, 1, 1, 1], np.int32), ids)
    assert [cluster.id for cluster in clusters] == [short_id("name", min(ids[:4])), short_id("name", min(ids[4:]))]
    names = ["a/beach1.jpg", "b/beach2.jpg", "beach.jpg", "c/beach.png", "1.jpg", "2.jpg", "3.jpg"]
    give_names(clusters, [], dict(zip(ids, names, strict=True)))
    assert [cluster.name for cluster in clusters] == ["Beach", "Cluster"]
