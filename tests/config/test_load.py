"""A configuration is loaded, or everything that is wrong with it is told with its place and a remedy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from mediad.config import ConfigError, Problem, Settings, load, locate, volume_from, with_directories
from mediad.config.load import parse
from mediad.config.settings import VolumeSettings

WRONG = """\
encodr = "auto"

[[volumes]]
path = "photos"
recursive = "true"   # in quotes
exclude = "*.tmp"

[[volumes]]
path = "/data"
encoder = "descriptor"
pol = "auto"

[clustering]
neighbours = 5
min_cluster_size = 7.5
method = "k-means"
[previews]
size = 10
[schedule]
min_interval = 3
poll_min = "1 h"
[clusterin]
x = 1
"""

EXPECTED = """\
1: encodr: unknown setting; did you mean "encoder"?
4: [[volumes]] #1 path: must be an absolute path or start with ~/ (it is 'photos')
5: [[volumes]] #1 recursive: must be true or false, not "true"; write true without quotes
6: [[volumes]] #1 exclude: must be a list, not "*.tmp"; write ["*.tmp"]
10: [[volumes]] #2 encoder: unknown setting; it belongs at the top of the file, before the first [table]
11: [[volumes]] #2 pol: unknown setting; did you mean "poll"?
14: [clustering] neighbours: unknown setting; did you mean "neighbors"?
15: [clustering] min_cluster_size: must be a whole number, not 7.5
16: [clustering] method: must be "umap_hdbscan", "kmeans", "agglomerative" or "dbscan", not "k-means"; \
did you mean "kmeans"?
18: [previews] size: must be greater than or equal to 64
19: [schedule] poll_max: must not be less than poll_min (3600 s)
20: [schedule] min_interval: unknown setting; it belongs below [catalog]
22: clusterin: unknown setting; did you mean "clustering"?
"""


def problem(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, Path("c.toml"))
    (only,) = caught.value.problems
    return str(only)


def test_all_problems_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mediad.toml"
    file.write_text(WRONG)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert str(caught.value).splitlines() == [f"{file}:{line}" for line in EXPECTED.splitlines()]
    last = caught.value.problems[5]
    assert (last.file, last.line, last.column, last.key) == (str(file), 11, 1, "volumes.1.pol")
    assert (last.message, last.suggestion) == ("unknown setting", 'did you mean "poll"?')


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a = 1\n[http\n", "c.toml:2: not valid TOML: "),
        (
            "[[volumes]]\npath = /photos\n",
            'c.toml:2: not valid TOML: Invalid value; text goes in quotes: path = "/photos"',
        ),
        ("[http]\nport = 1\nport = 2\n", "c.toml:3: not valid TOML: Cannot overwrite a value"),
        ("\n\nencoder = [1,\n", "c.toml:3: not valid TOML: "),
        ('[volumes]\npath = "/a"', "c.toml:1: volumes: must be a list, not a table; write [[volumes]], with two pairs"),
        ('volumes = ["/a"]', 'c.toml:1: [[volumes]] #1: must be a table, not "/a"; write [[volumes]], with two pairs'),
        ("[[volumes]]\n[http]", "c.toml:1: [[volumes]] #1 path: is missing"),
        ("http = true", "c.toml:1: http: must be a table, not true; write [http] on a line of its own"),
        ("[duplicates]\ntiers = ['exact', 'same']", 'c.toml:2: [duplicates] tiers.1: must be "exact", not "same"'),
        ("[http]\nhost = '::'", "c.toml:1: [http] token: is needed because host '::' can be reached"),
        ("[Clustering]", 'c.toml:1: Clustering: unknown setting; did you mean "clustering"?'),
        ("x = " + "[" * 5000, "c.toml: not a configuration: it is nested too deeply"),
        ("x = " + "9" * 5000, "c.toml: not valid TOML: Exceeds the limit"),
    ],
)
def test_a_single_mistake(text: str, told: str) -> None:
    assert problem(text).startswith(told)


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_bytes(b"# a\n# \xff\n")
    with pytest.raises(ConfigError, match=r"c\.toml:2: is not UTF-8 text; save it as UTF-8"):
        load(file)
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path)


def test_a_missing_file_says_how_to_make_one_or_gives_the_defaults(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'there is no configuration file; make it with "mediad volumes add'):
        load(tmp_path / "none.toml")
    assert load(tmp_path / "none.toml", missing_ok=True) == Settings()


def test_the_path_of_one_volume_is_enough(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(f'[[volumes]]\npath = "{tmp_path}/photos/"\n')
    (volume,) = load(file).volumes
    assert (volume.path, volume.name, volume.recursive, volume.poll) == (tmp_path / "photos", "photos", True, "auto")


def test_directories_of_a_command_line_take_the_place_of_the_volumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    locations = locate(state_dir=tmp_path / "state")
    settings = parse('encoder = "descriptor"\n[[volumes]]\npath = "/a"', Path("x"))
    given_now = with_directories(settings, ["pics", Path("/b/pics")], locations)
    assert [volume.path for volume in given_now.volumes] == [tmp_path / "pics", Path("/b/pics")]
    assert [volume.name for volume in given_now.volumes] == ["pics", "pics-2"]
    assert given_now.encoder == "descriptor"
    with pytest.raises(ConfigError, match="contains mediad's state directory"):
        with_directories(settings, ["."], locations)


def test_a_name_on_disk_that_is_not_utf8_can_be_watched(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9")
    settings = with_directories(Settings(), [odd], locate(state_dir=tmp_path / "state"))
    assert os.fsencode(settings.volumes[0].path).endswith(b"caf\xe9")
    assert settings.volumes[0].name == "caf\ufffd"


def test_fields_from_a_command_are_explained_without_a_file() -> None:
    assert volume_from({"path": "/a", "hidden": True}) == VolumeSettings(path=Path("/a"), hidden=True)
    with pytest.raises(ConfigError, match=r'^poll: must be "auto", "always" or "never", not "alway"; did you mean'):
        volume_from({"path": "/a", "poll": "alway"})


def problems_of(text: str) -> tuple[Problem, ...]:
    try:
        parse(text, Path("c.toml"))
    except ConfigError as error:
        return error.problems
    return ()


@given(st.text() | st.text("[]{}=\"'.,#\\\n ab1volumespath/~", max_size=60))
def test_no_text_raises_anything_else(text: str) -> None:
    assert all(str(problem).startswith("c.toml:") for problem in problems_of(text))


words = st.sampled_from([*Settings.model_fields, *VolumeSettings.model_fields, "port", "sweep", "token", "tiers"])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates() | st.datetimes()
filled = st.recursive(
    scalars.filter(lambda value: value is not None),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(words, filled, max_size=4))
def test_no_data_raises_anything_else(data: dict[str, Any]) -> None:
    try:
        text = tomlkit.dumps(data)
    except (ValueError, TypeError):
        return  # not to be written as TOML
    assert all(problem.line for problem in problems_of(text) if problem.key)


def test_importing_is_light() -> None:
    code = (
        "import sys, mediad.config; print([name for name in ('tomlkit', 'pathspec', 'numpy') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(b'\xef\xbb\xbfencoder = "descriptor"\nsetle = 1\n')
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert [(problem.line, problem.key) for problem in caught.value.problems] == [(2, "setle")]
    file.write_bytes(b'\xef\xbb\xbfencoder = "descriptor"\n')
    assert load(file).encoder == "descriptor"
