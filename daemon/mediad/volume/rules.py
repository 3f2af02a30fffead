"""Which names of a volume we look at: built-in excludes, hidden files, and the user's patterns as in .gitignore."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence

import pathspec

_ENCODING, _ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()

# Folders that systems, NAS firmware and tools make for themselves: they hold thumbnails, trash and snapshots, which
# would come out as duplicates of everything. Lower case; compared without regard to case.
_DIRECTORIES = frozenset(
    b"""@eadir @__thumb .@__thumb @recycle #recycle #snapshot @recently-snapshot .snapshot .snapshots .zfs
    $recycle.bin recycler recycled lost+found lost.dir .android_secure .spotlight-v100 .fseventsd .temporaryitems
    .documentrevisions-v100 .mobilebackups __macosx .git .hg .svn .bzr .jj node_modules __pycache__ .thumbnails
    .thumbs .stfolder .stversions .dropbox.cache .sync .picasaoriginals .dtrash""".split()
) | {b"system volume information"}
_DIRECTORY_PREFIXES = (b".trash", b".stfolder", b".fuse_hidden")

_FILES = frozenset({b"thumbs.db", b"ehthumbs.db", b"desktop.ini", b".ds_store", b".mediad-volume"})
# AppleDouble halves, and files that something is still writing under a passing name.
_FILE_PREFIXES = (b"._", b".~", b"~$", b".syncthing.", b"~syncthing~", b".fuse_hidden", b".nfs0", b".goutputstream-")
_FILE_SUFFIXES = tuple(
    b"""~ .tmp .temp .part .partial .crdownload .download .opdownload .filepart .aria2 .!qb .!ut .bc! .unconfirmed .swp
    .swx .kate-swp""".split()
)


class _Patterns:
    """gitignore patterns, asked about files or about directories, one path at a time.

    pathspec judges files, and counts what a directory's own name matches for less than what a file's does. Directories
    are therefore asked about as if they were files, with the patterns that mean only directories made to mean all.
    """

    def __init__(self, patterns: Sequence[str], *, directories: bool = False) -> None:
        lines = [_for_directory(pattern) for pattern in patterns] if directories else patterns
        self._spec = pathspec.GitIgnoreSpec.from_lines(lines)

    def say(self, relpath: bytes) -> bool | None:
        """What the last pattern that matches says; None if none does.

        A pattern with `!` says False only to what it matches itself, not to all in a directory that it matches.
        """
        # pathspec's expressions use `.` and `$`, which stumble over newlines; no pattern can hold one.
        text = relpath.decode(_ENCODING, _ERRORS).replace("\n", "\ufffd")
        result = self._spec.check_file(text)
        if result.include is False and result.index is not None:
            match = self._spec.patterns[result.index].match_file(text)
            above = match is not None and match.match.groupdict().get("ps_d") is not None
            return None if above else False
        return result.include


def _for_directory(pattern: str) -> str:
    stripped = pattern.rstrip()
    return stripped.rstrip("/") if stripped.endswith("/") else pattern


class Rules:
    """What to look at. Names are bytes relative to the volume's root; b"" is the root itself.

    `exclude` are gitignore patterns: the last that matches decides, `!` takes back an earlier one, a built-in exclude
    or a hidden name, and nothing inside an excluded directory can be taken back. `include`, if not empty, are
    gitignore patterns of which a file must match one. `hidden` lets names through that begin with a dot.

    Raises:
        ValueError: a pattern makes no sense; the message names it.
    """

    def __init__(
        self,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        *,
        hidden: bool = False,
        follow_symlinks: bool = False,
        recursive: bool = True,
    ) -> None:
        self.follow_symlinks = follow_symlinks
        self.recursive = recursive
        self._hidden = hidden
        for pattern in (*include, *exclude):
            _check(pattern)
        self._include = _Patterns(include) if include else None
        self._exclude = _Patterns(exclude) if exclude else None
        self._exclude_directories = _Patterns(exclude, directories=True) if exclude else None
        self._directory_excluded = functools.lru_cache(maxsize=1 << 16)(self._judge_directory)

    def skip_directory(self, relpath: bytes) -> bool:
        """Whether a directory, or one above it, is excluded."""
        return relpath != b"" and (not self.recursive or self._directory_excluded(relpath))

    def wanted(self, relpath: bytes) -> bool:
        """Whether a file is to be looked at, given that its directory is (see `skip_directory`); of whatever type."""
        name = relpath[relpath.rfind(b"/") + 1 :]
        excluded = _builtin_file(name) or (not self._hidden and name.startswith(b"."))
        if self._exclude is not None:
            said = self._exclude.say(relpath)
            excluded = excluded if said is None else said
        return not excluded and (self._include is None or self._include.say(relpath) is True)

    def _judge_directory(self, relpath: bytes) -> bool:
        parent, _, name = relpath.rpartition(b"/")
        if parent and self._directory_excluded(parent):
            return True
        excluded = _builtin_directory(name) or (not self._hidden and name.startswith(b"."))
        if self._exclude_directories is None:
            return excluded
        said = self._exclude_directories.say(relpath)
        return excluded if said is None else said


def _builtin_directory(name: bytes) -> bool:
    lower = name.lower()
    return lower in _DIRECTORIES or lower.startswith(_DIRECTORY_PREFIXES)


def _builtin_file(name: bytes) -> bool:
    lower = name.lower()
    return lower.endswith(_FILE_SUFFIXES) or lower.startswith(_FILE_PREFIXES) or lower in _FILES


def _check(pattern: str) -> None:
    try:
        pathspec.GitIgnoreSpec.from_lines([pattern])
    except ValueError as error:
        raise ValueError(f"pattern {pattern!r} makes no sense: {error}") from error
