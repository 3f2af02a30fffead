"""Volumes are added and removed; every other byte of the file stays, and a file that would be wrong is not written."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from mediad.config import ConfigError, Locations, VolumeSettings, load, locate
from mediad.config.edit import STARTER, add_volume, remove_volume

FILE = """\
# mine
encoder = "descriptor"   # no download

# the camera
[[volumes]]
path = "/a"   # first
  name = 'cam'
#poll = "always"

[[volumes]]
# the phone
path   = "/b"
# the page, below
[http]
port=9000 # odd
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(FILE)
    return file


@pytest.fixture
def locations(tmp_path: Path, config: Path) -> Locations:
    return locate(config, tmp_path / "state", environ={})


def names(config: Path) -> list[str]:
    return [volume.name for volume in load(config).volumes]


def test_a_volume_is_added_after_the_last_and_the_rest_stays(config: Path) -> None:
    settings = add_volume(config, VolumeSettings(path=Path("/c d"), exclude=("*.tmp",), hidden=True))
    added = '\n[[volumes]]\npath = "/c d"\nexclude = ["*.tmp"]\nhidden = true\n'
    assert config.read_text() == FILE.replace('"/b"\n', '"/b"\n' + added)
    assert settings == load(config)
    assert settings.volumes[2] == VolumeSettings(path=Path("/c d"), name="c d", exclude=("*.tmp",), hidden=True)


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "text",
    [
        FILE,
        STARTER,
        "[http]\nport = 1\n",
        "",
        '[[volumes]]\npath = "/x"\n# below\n',
        '[[volumes]]\npath = "/x"\n\n\n[http]\n',
    ],
)
def test_what_is_added_and_removed_again_leaves_no_trace(config: Path, text: str, ends: str) -> None:
    before = text.replace("\n", ends).encode()
    config.write_bytes(before)
    add_volume(config, VolumeSettings(path=Path("/new"), name="new"))
    during = config.read_bytes()
    assert during != before
    assert not text or b"\n" not in during.replace(ends.encode(), b"")
    assert remove_volume(config, "new").path == Path("/new")
    assert config.read_bytes() == before


def test_a_last_line_without_an_end_gets_one(config: Path) -> None:
    config.write_text('encoder = "auto"')
    add_volume(config, VolumeSettings(path=Path("/a")))
    assert config.read_text() == 'encoder = "auto"\n\n[[volumes]]\npath = "/a"\n'


def test_removing_takes_the_table_and_leaves_the_comments_around_it(config: Path) -> None:
    assert remove_volume(config, "cam").name == "cam"
    block = '[[volumes]]\npath = "/a"   # first\n  name = \'cam\'\n#poll = "always"\n'
    assert config.read_text() == FILE.replace(block, "")
    remove_volume(config, "/b")
    assert "# the page, below\n[http]" in config.read_text()
    assert names(config) == []


def test_a_volume_is_found_by_path_however_it_is_written(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    for written in ("real", "link/", str(tmp_path / "real"), "./link/../real"):
        add_volume(config, VolumeSettings(path=tmp_path / "real", name="r"))
        assert remove_volume(config, written).name == "r"
    assert config.read_text() == FILE


def test_an_unknown_volume_is_told_with_the_known_ones(config: Path) -> None:
    with pytest.raises(ConfigError, match='there is no volume "camm"; did you mean "cam"'):
        remove_volume(config, "camm")
    with pytest.raises(ConfigError, match='there is no volume "/nowhere"; there are cam, b'):
        remove_volume(config, "/nowhere")
    assert config.read_text() == FILE


def test_volumes_as_an_inline_list_are_edited_too(config: Path) -> None:
    text = '# head\nvolumes = [ {path = "/a"}, # one\n  {path = "/b"} ]\n\n[http] # page\nport=1\n'
    config.write_text(text)
    add_volume(config, VolumeSettings(path=Path("/c")))
    assert names(config) == ["a", "b", "c"]
    remove_volume(config, "b")
    assert names(config) == ["a", "c"]
    changed = config.read_text()
    assert changed.startswith("# head\nvolumes = [ {path")
    assert "# one" in changed
    assert changed.endswith("]\n\n[http] # page\nport=1\n")


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/a/inner", r'/a/inner is inside volume "cam"'),
        ("/b", r'is the same folder as volume "b"'),
        ("STATE", "is inside mediad's state directory"),
    ],
)
def test_an_edit_that_would_not_load_leaves_the_file_alone(
    config: Path, locations: Locations, path: str, told: str
) -> None:
    before = config.stat()
    with pytest.raises(ConfigError, match=told):
        add_volume(
            config, VolumeSettings(path=Path(path.replace("STATE", f"{locations.state}/x"))), locations=locations
        )
    after = config.stat()
    assert (after.st_ino, after.st_mtime_ns, config.read_text()) == (before.st_ino, before.st_mtime_ns, FILE)


@pytest.mark.parametrize("wrong", ["[htp]\n", "x = \n", '[[volumes]]\npath = "rel"\n'])
def test_a_file_that_is_wrong_already_is_not_touched(config: Path, wrong: str) -> None:
    config.write_text(FILE + wrong)
    with pytest.raises(ConfigError):
        add_volume(config, VolumeSettings(path=Path("/c")))
    with pytest.raises(ConfigError):
        remove_volume(config, "cam")
    assert config.read_text() == FILE + wrong


def test_volumes_in_the_wrong_form_are_explained(config: Path) -> None:
    config.write_text('[volumes]\npath = "/a"\n')
    with pytest.raises(ConfigError, match=r"write \[\[volumes\]\]"):
        add_volume(config, VolumeSettings(path=Path("/c")))


def test_removing_heals_an_overlap(config: Path) -> None:
    config.write_text(FILE + '[[volumes]]\npath = "/b/c"\n')
    remove_volume(config, "c")
    assert names(config) == ["cam", "b"]


def test_where_there_is_no_file_a_commented_one_is_made(tmp_path: Path) -> None:
    config = tmp_path / "new" / "mediad" / "config.toml"
    add_volume(config, VolumeSettings(path=tmp_path / "photos"))
    assert config.read_text() == f'{STARTER}\n[[volumes]]\npath = "{tmp_path}/photos"\n'
    assert names(config) == ["photos"]
    with pytest.raises(ConfigError, match="there is no configuration file"):
        remove_volume(tmp_path / "none.toml", "x")


def test_mode_and_links_stay(config: Path, tmp_path: Path) -> None:
    config.chmod(0o640)
    (tmp_path / "link.toml").symlink_to(config)
    add_volume(tmp_path / "link.toml", VolumeSettings(path=Path("/c")))
    assert (tmp_path / "link.toml").is_symlink()
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    assert names(config) == ["cam", "b", "c"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.toml", "link.toml"]


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written: Not a directory"):
        add_volume(tmp_path / "file" / "x" / "c.toml", VolumeSettings(path=Path("/c")))


def test_a_path_that_toml_cannot_hold_is_told(config: Path) -> None:
    with pytest.raises(ConfigError, match="is not UTF-8"):
        add_volume(config, VolumeSettings(path=Path(os.fsdecode(b"/caf\xe9"))))


@pytest.mark.parametrize("path", ['/a "q" \\ b', "/new\nline", "/ünïcode 📷", "/#[x]", "/'''"])
def test_odd_paths_come_back_as_they_were(config: Path, path: str) -> None:
    add_volume(config, VolumeSettings(path=Path(path), name="odd"))
    assert load(config).volumes[2].path == Path(path)
    remove_volume(config, path)
    assert config.read_text() == FILE


def test_edits_at_the_same_time_are_all_kept(config: Path) -> None:
    threads = [
        threading.Thread(target=add_volume, args=(config, VolumeSettings(path=Path(f"/many/{number}"))))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names(config)) == sorted(["cam", "b", *map(str, range(8))])
