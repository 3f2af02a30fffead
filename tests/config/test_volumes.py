"""Volumes that overlap, or that hold what mediad writes, are refused; a path that is not there is none of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mediad.config import Locations, Settings, VolumeSettings, check_volumes, load, locate
from mediad.config.problems import ConfigError


@pytest.fixture
def locations(tmp_path: Path) -> Locations:
    state = tmp_path / "own" / "state"
    return Locations(tmp_path / "c.toml", state, state / "catalog", tmp_path / "own" / "weights")


def told(locations: Locations, *paths: Path, names: tuple[str, ...] = ()) -> list[str]:
    named = dict(enumerate(names))
    volumes = tuple(VolumeSettings(path=path, name=named.get(at, "")) for at, path in enumerate(paths))
    return [problem.message for problem in check_volumes(Settings(volumes=volumes), locations)]


def test_volumes_side_by_side_are_right_though_they_do_not_exist(tmp_path: Path, locations: Locations) -> None:
    assert told(locations, tmp_path / "photos", tmp_path / "photos2", Path("/mnt/away")) == []


def test_a_file_in_the_place_of_a_volume_is_no_problem_here(tmp_path: Path, locations: Locations) -> None:
    (tmp_path / "file").write_text("")
    assert told(locations, tmp_path / "file") == []


def test_one_volume_inside_another_whichever_comes_first(tmp_path: Path, locations: Locations) -> None:
    outer, inner = tmp_path / "a", tmp_path / "a" / "b" / "c"
    assert told(locations, outer, inner) == [f'{inner} is inside volume "a" ({outer})']
    assert told(locations, inner, outer) == [f'{outer} contains volume "c" ({inner})']


def test_the_same_volume_twice(tmp_path: Path, locations: Locations) -> None:
    path = tmp_path / "a"
    assert told(locations, path, path) == [f'{path} is the same folder as volume "a" ({path})']
    assert told(locations, path, tmp_path / "x" / ".." / "a") != []


def test_overlaps_through_links_are_seen(tmp_path: Path, locations: Locations) -> None:
    (tmp_path / "real" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "deep").symlink_to(tmp_path / "link" / "inner")
    same = told(locations, tmp_path / "real", tmp_path / "link")
    inside = told(locations, tmp_path / "link", tmp_path / "deep")
    assert same == [f'{tmp_path}/link is the same folder as volume "real" ({tmp_path}/real)']
    assert inside == [f'{tmp_path}/deep is inside volume "link" ({tmp_path}/link)']


@pytest.mark.parametrize(
    ("volume", "words"),
    [
        ("own", "contains mediad's state directory"),
        ("own/state", "is the same folder as mediad's state directory"),
        ("own/state/x", "is inside mediad's state directory"),
        ("own/weights", "is the same folder as mediad's weights directory"),
        (".", "contains mediad's state directory"),
    ],
)
def test_mediads_own_directories_are_refused(tmp_path: Path, locations: Locations, volume: str, words: str) -> None:
    (message,) = told(locations, tmp_path / volume)
    assert words in message


def test_own_directories_are_seen_through_links(tmp_path: Path, locations: Locations) -> None:
    (tmp_path / "photos" / "catalog").mkdir(parents=True)
    locations.state.mkdir(parents=True)
    locations.catalog.symlink_to(tmp_path / "photos" / "catalog")
    (message,) = told(locations, tmp_path / "photos")
    assert message == f"{tmp_path}/photos contains mediad's catalog directory ({locations.catalog})"


def test_names_must_differ(tmp_path: Path, locations: Locations) -> None:
    assert told(locations, tmp_path / "a", tmp_path / "b", names=("x", "x")) == [
        '"x" is the name of another volume already'
    ]


def test_conflicts_are_told_with_their_lines_among_all_other_problems(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(
        f'[[volumes]]\npath = "{tmp_path}"\nhiden = true\n[[volumes]]\nname = "b"\npath = "{tmp_path}/b"\n[htp]\n'
    )
    with pytest.raises(ConfigError) as caught:
        load(file, locations=locate(state_dir=tmp_path / "state"))
    lines = [str(problem).removeprefix(f"{file}:") for problem in caught.value.problems]
    assert [line.partition(";")[0] for line in lines] == [
        f"2: [[volumes]] #1 path: {tmp_path} contains mediad's state directory ({tmp_path}/state)",
        "3: [[volumes]] #1 hiden: unknown setting",
        f'6: [[volumes]] #2 path: {tmp_path}/b is inside volume "{tmp_path.name}" ({tmp_path})',
        "7: htp: unknown setting",
    ]
