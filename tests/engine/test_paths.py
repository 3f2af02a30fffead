"""A path is found on its volume whichever links lead to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.engine.conftest import Running, draw

from mediad.engine.paths import places


def test_as_written_comes_before_where_links_lead(tmp_path: Path) -> None:
    real = tmp_path / "real"
    (real / "sub").mkdir(parents=True)
    (real / "a.jpg").touch()
    (real / "alias.jpg").symlink_to("a.jpg")
    linked, other = tmp_path / "linked", tmp_path / "other"
    linked.symlink_to(real)
    other.symlink_to(real)
    roots = [str(linked)]
    assert next(places(linked / "sub", roots)) == (str(linked), "sub")
    for way in (real, other, linked):
        assert next(places(way, roots)) == (str(linked), ".")
        assert next(places(way / "alias.jpg", roots)) == (str(linked), "alias.jpg")
        assert next(places(way / "sub/gone.jpg", roots)) == (str(linked), "sub/gone.jpg")
    assert list(places(tmp_path / "real2/a.jpg", roots)) == []
    assert list(places(tmp_path, roots)) == []
    assert list(places("no\0path", roots)) == []


def test_a_link_from_one_volume_into_another_leads_to_both(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    (one / "link").symlink_to(two)
    assert list(places(one / "link/a.jpg", [str(two), str(one)])) == [(str(one), "link/a.jpg"), (str(two), "a.jpg")]


def test_a_volume_that_is_given_by_a_link_is_asked_by_its_real_path(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    pictures = [draw(tmp_path / "real" / f"{seed}.png", seed) for seed in range(3)]
    (tmp_path / "link").symlink_to(tmp_path / "real")
    running = start(tmp_path / "link")
    running.sync()
    added = draw(tmp_path / "real/sub/new.png", 7)
    running.engine.sync(added, timeout=60)
    assert len(running.engine.similar(str(pictures[0]), 5)) == 3
    assert len(running.engine.similar(str(added), 5)) == 3
