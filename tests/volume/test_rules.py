"""Which names are looked at."""

from __future__ import annotations

import subprocess
import time
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediad.volume import Rules

FOLDERS = """
@eaDir .@__thumb @Recycle #recycle $RECYCLE.BIN lost+found .git node_modules .Trash .Trash-1000 .Trashes
.thumbnails .stversions __MACOSX .Spotlight-V100 .zfs .snapshots LOST.DIR
"""
FILES = """
Thumbs.db ._IMG_1.JPG .DS_Store film.mp4.part film.mp4.crdownload a.tmp a.jpg~ .syncthing.a.jpg.tmp ~syncthing~a.jpg.tmp
.a.jpg.swp .nfs000000123 .goutputstream-ABC desktop.ini ~$a.jpg
"""


@pytest.mark.parametrize("name", [*FOLDERS.split(), "System Volume Information"])
def test_folders_of_systems_and_tools_are_skipped(name: str) -> None:
    raw = name.encode()
    assert Rules(hidden=True).skip_directory(raw)
    assert Rules(hidden=True).skip_directory(b"2024/" + raw)
    assert Rules(hidden=True).skip_directory(raw + b"/deep/er")


@pytest.mark.parametrize("name", FILES.split())
def test_passing_and_foreign_files_are_not_wanted(name: str) -> None:
    assert not Rules(hidden=True).wanted(name.encode())
    assert not Rules(hidden=True).wanted(b"2024/" + name.encode())


@pytest.mark.parametrize(
    "name", ["IMG_1.JPG", "a b.png", "part.jpg", "tmp.jpg", "git/x.jpg", "~.jpg", "Trash/a.jpg", "_.jpg"]
)
def test_ordinary_names_are_wanted(name: str) -> None:
    assert Rules().wanted(name.encode())
    assert not Rules().skip_directory(name.encode())


def test_the_root_is_never_skipped() -> None:
    assert not Rules(exclude=["*"], recursive=False).skip_directory(b"")


def test_hidden_names() -> None:
    assert not Rules().wanted(b"a/.b.jpg")
    assert Rules().skip_directory(b".a")
    assert Rules().skip_directory(b".a/b")
    assert Rules(hidden=True).wanted(b"a/.b.jpg")
    assert not Rules(hidden=True).skip_directory(b".a")


def test_not_recursive() -> None:
    rules = Rules(recursive=False)
    assert rules.skip_directory(b"a")
    assert rules.wanted(b"a.jpg")


@pytest.mark.parametrize(
    ("exclude", "path", "skipped"),
    [
        (["private/"], b"private", True),
        (["private/"], b"a/private/b", True),
        (["/private"], b"a/private", False),
        (["a/*/c"], b"a/b/c", True),
        (["a/**/c"], b"a/1/2/c", True),
        (["20[12]*"], b"2019", True),
        (["20[12]*"], b"2030", False),
        (["*", "!keep"], b"keep", False),
        (["*", "!keep"], b"lose", True),
        (["*", "!keep"], b"lose/keep", True),  # nothing comes back out of an excluded directory
        (["*", "!*/", "!*.jpg"], b"a/b", False),
        (["foo/*", "!foo/keep/"], b"foo/keep", False),
        (["foo/*", "!foo/keep/"], b"foo/lose", True),
        (["foo/**"], b"foo", False),
        (["foo/**"], b"foo/a", True),
        (["a\\ "], b"a ", True),
        (["a/  "], b"a", True),
        (["!.git"], b".git", False),
        (["!@eaDir/"], b"a/@eaDir", False),
        (["caf\udce9"], b"caf\xe9", True),  # a name that is not UTF-8, as the configuration's reader gives it
        (["b"], b"a\nb/b", True),
        (["b"], b"b\n", False),
    ],
)
def test_exclude_patterns_on_directories(exclude: list[str], path: bytes, skipped: bool) -> None:
    assert Rules(exclude=exclude).skip_directory(path) is skipped


@pytest.mark.parametrize(
    ("include", "exclude", "path", "wanted"),
    [
        ([], ["*.png"], b"a/b.png", False),
        ([], ["*.png", "!logo.png"], b"a/logo.png", True),
        ([], ["!*.part"], b"a/x.part", True),
        ([], ["!keep/"], b"keep/x.part", False),  # a directory taken back is no word on the files in it
        ([], ["*", "!*/", "!*.jpg"], b"a/b.txt", False),
        ([], ["*", "!*/", "!*.jpg"], b"a/b.jpg", True),
        ([], ["private/"], b"private", True),  # only directories are meant
        (["*.jpg"], [], b"a/b.jpg", True),
        (["*.jpg"], [], b"a/b.png", False),
        (["/2024/**"], [], b"2024/1/a.jpg", True),
        (["/2024/**"], [], b"2023/1/a.jpg", False),
        (["*.jpg"], ["b*"], b"a/b.jpg", False),
        ([], ["# a comment", "", "x.jpg"], b"x.jpg", False),
    ],
)
def test_patterns_on_files(include: list[str], exclude: list[str], path: bytes, wanted: bool) -> None:
    assert Rules(include, exclude).wanted(path) is wanted


def test_a_pattern_without_sense_is_named() -> None:
    with pytest.raises(ValueError, match="pattern '!' makes no sense"):
        Rules(exclude=["*.png", "!"])


NAMES = st.text("abc.", min_size=1, max_size=4).filter(lambda name: name.strip(".") != "")
GLOBS = st.text("abc.*?", min_size=1, max_size=4).filter(lambda glob: "**" not in glob and glob.strip(".") != "")


@given(st.lists(st.tuples(st.booleans(), GLOBS), max_size=5), st.lists(NAMES, min_size=1, max_size=4))
def test_bare_patterns_do_what_a_simple_reading_says(patterns: list[tuple[bool, str]], parts: list[str]) -> None:
    """The last pattern that matches a name decides, for each directory on the way and then for the file."""

    def excluded(name: str) -> bool:
        last = [exclude for exclude, glob in patterns if fnmatchcase(name, glob)]
        return bool(last) and last[-1]

    rules = Rules(exclude=[glob if exclude else "!" + glob for exclude, glob in patterns], hidden=True)
    directory, name = "/".join(parts[:-1]), parts[-1]
    assert rules.skip_directory(directory.encode()) == any(excluded(part) for part in parts[:-1])
    if not rules.skip_directory(directory.encode()):
        assert rules.wanted("/".join(parts).encode()) != excluded(name)


def test_git_agrees(tmp_path: Path) -> None:
    patterns = ["*.raw", "!keep.raw", "/top", "deep/er", "cache/", "x[0-9].jpg", "a/**/z", "!cache/", "\\!bang", "*"]
    names = [
        "top",
        "a/top",
        "deep/er",
        "a/deep/er",
        "cache",
        "x1.jpg",
        "xa.jpg",
        "a/z",
        "a/b/z",
        "!bang",
        "k.raw",
        "keep.raw",
    ]
    try:
        subprocess.run(["git", "init", "-q", str(tmp_path)], check=True, capture_output=True)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("needs git")
    for count in range(1, len(patterns) + 1):
        (tmp_path / ".gitignore").write_text("\n".join(patterns[:count]))
        asked = subprocess.run(
            ["git", "-C", str(tmp_path), "check-ignore", "--no-index", "-z", "--stdin"],
            input="\0".join(names), capture_output=True, text=True, check=False,
        )  # fmt: skip
        rules = Rules(exclude=patterns[:count])
        ours = {
            name
            for name in names
            if rules.skip_directory(name.rpartition("/")[0].encode()) or not rules.wanted(name.encode())
        }
        assert ours == {name for name in asked.stdout.split("\0") if name}


def test_a_hundred_thousand_names_a_second() -> None:
    rules = Rules(exclude=["*.raw", "/private/", "!keep.jpg", "cache/**", "tmp*"])
    names = [b"2024/07/IMG_%05d.jpg" % number for number in range(20_000)]
    best = 9.0
    for _ in range(3):
        start = time.perf_counter()
        assert all(rules.wanted(name) for name in names)
        best = min(best, time.perf_counter() - start)
    assert best < 0.2
