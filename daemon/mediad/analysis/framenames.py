"""Where frame numbers may stand in a file's name.

(fileseq reads only the last number, takes the dash of `shot-0001` for a minus and has no notion of a camera roll; on
names alone its F1 is 0.82. Hence a grammar of our own.)
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from mediad.analysis.cameras import is_camera_name, moments

# A minus counts only after `.` or `_` or at the start: in shot-0001 it is a dash.
_NUMBER = re.compile(rb"(?:(?<=[._])-|^-)?[0-9]+")
_VERSION = re.compile(rb"(?i)(?:^|[^a-z])(?:v|ver|version|rev|take|tk)[ _.-]?$")
_PARENTHESIS = re.compile(rb"[(\[]\s*$")
_LONGEST = 9  # longer numbers are ids, hashes or times since the epoch
_LONG = 3
_DIGITS = re.compile(rb"[0-9]+")

_WORD = re.compile(rb"[a-z]+")
_FRAME_WORDS = frozenset(
    b"frame frames frm fr f render renders rendered rndr beauty playblast turntable anim animation timelapse "
    b"seq sequence".split()
)
_LETTERS = frozenset((b"f", b"fr"))
_SHOT_WORDS = frozenset(
    b"shot sh sq sc scene comp plate pass cam".split()
)  # they number shots; a second number, frames
_FRAME_FORMATS = frozenset(b"exr dpx cin hdr pfm tga sgi rgb rla pic iff".split())
_VERSION_BEFORE = re.compile(rb"(?i)(?:^|[^a-z])v[0-9]+[^0-9]+$")


@dataclass(frozen=True, slots=True)
class Place:
    """One number in a name that may count frames: what stands before and after it, and its digits."""

    before: bytes
    digits: bytes
    after: bytes

    @property
    def number(self) -> int:
        return int(self.digits)

    @property
    def width(self) -> int:
        """Digits without the sign."""
        return len(self.digits.removeprefix(b"-"))

    @property
    def padded(self) -> bool:
        return self.width > 1 and self.digits.removeprefix(b"-").startswith(b"0")


def places(name: bytes) -> list[Place]:
    """The numbers of a name that may count frames, from left to right; none for a camera's name."""
    stem, extension = split_extension(name)
    if is_camera_name(stem, extension) and not _words(stem) & _FRAME_WORDS - _LETTERS:
        return []
    dates = moments(stem)
    return [
        Place(name[: match.start()], match.group(), name[match.end() :])
        for match in _NUMBER.finditer(stem)
        if _may_count(stem, match.start(), match.end(), dates)
    ]


def _may_count(stem: bytes, start: int, end: int, dates: list[tuple[int, int]]) -> bool:
    if end - start > _LONGEST or any(start < last and first < end for first, last in dates):
        return False
    before = stem[:start]
    if _PARENTHESIS.search(before) or _VERSION.search(before):
        return False
    # A date and a counter and nothing else is how import programs name shots.
    return not dates or bool(_words(stem))


def by_likelihood(names: Iterable[bytes]) -> dict[bytes, list[Place]]:
    """The places of each name, the likeliest to count frames first.

    Names of one shape (alike but for their digits) are ordered alike: numbers of three digits and more come first, as
    the others are rather the index of a layer or a view, and then those further to the right.
    """
    shapes: dict[tuple[bytes, int], list[tuple[bytes, list[Place]]]] = defaultdict(list)
    for name in names:
        found = places(name)
        shapes[_DIGITS.sub(b"#", name), len(found)].append((name, found))
    result: dict[bytes, list[Place]] = {}
    for (_, count), members in shapes.items():
        long = [any(found[at].width >= _LONG for _, found in members) for at in range(count)]
        order = sorted(range(count), key=lambda at: (not long[at], -at))
        result |= {name: [found[at] for at in order] for name, found in members}
    return result


def _words(text: bytes) -> set[bytes]:
    return set(_WORD.findall(text.lower()))


def split_extension(name: bytes) -> tuple[bytes, bytes]:
    """Stem and extension without the dot; what follows the last dot is an extension only if it holds a letter."""
    stem, dot, extension = name.rpartition(b".")
    if not dot or not stem or not any(chr(byte).isalpha() for byte in extension):
        return name, b""
    return stem, extension


def says_frames(before: bytes, after: bytes) -> bool:
    """Whether the name itself tells that its number counts frames, so that the pictures need not prove it.

    True for `name.0001.ext`, for formats that only renderers write, for words such as "frame" or "render", and for a
    second number after a shot's or a version's.
    """
    if after.rpartition(b".")[2].lower() in _FRAME_FORMATS:
        return True
    if len(before) > 1 and before.endswith(b".") and after.startswith(b"."):
        return True
    words = _words(before)
    if words & _FRAME_WORDS or _VERSION_BEFORE.search(before):
        return True
    return bool(words & _SHOT_WORDS and _DIGITS.search(before))
