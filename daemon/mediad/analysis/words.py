"""The words in a path that say something about a picture."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from mediad.analysis.cameras import is_camera_name
from mediad.analysis.framenames import split_extension

_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_TOKEN = re.compile(r"[^\W_]+")
_LETTERS = re.compile(r"[^\W\d_]+")
_VOWEL = re.compile(r"[aeiouyàáâãäåæèéêëìíîïòóôõöøùúûüýœ]")
_HEX_ID = re.compile(r"(?i)(?=.*\d)[0-9a-f_-]{16,}")
_SHORTEST = 3
_HASH = 8  # a token of letters and digits mixed that is at least this long is a hash or an id

_STOP_WORDS = """
the and for with from not but all any are was our his her its this that und der die das ein eine mit von auf les des une
sur avec del los las con por para
image images img imgs photo photos pic pics picture pictures foto fotos bild bilder file files video videos movie clip
media camera cam dcim roll album albums folder new old copy kopie copia final edit edited tmp temp test data dataset
export exports import imports download downloads upload uploads desktop documents backup misc untitled unnamed unknown
scan scans screenshot screenshots screen shot shots capture frame frames jpg jpeg png gif raw heic webp tif tiff bmp
original originals small large medium thumb thumbs thumbnail preview full hdr msdcf canon eos nikon sony fuji apple
android whatsapp signal telegram snapchat instagram facebook received sent
dsc dscn dscf pxl mvi mov vid gopr dji imgp sam hpim
jan feb mar apr may jun jul aug sep oct nov dec january february march april june july august september october november
december
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())


def words_of(text: str) -> list[str]:
    """The telling words of a file's stem or a folder's name, in order, in lower case.

    Words are split at anything but letters and where the case changes (`carSide`); digits, stop words, what has no
    vowel, and tokens that look like hashes or ids fall away.
    """
    if _HEX_ID.fullmatch(text):
        return []
    found: list[str] = []
    for token in _TOKEN.findall(_CASE.sub(" ", text)):
        if not _is_id(token):
            found += _LETTERS.findall(token.casefold())
    return [word for word in found if len(word) >= _SHORTEST and word not in STOP_WORDS and _speaks(word)]


def _is_id(token: str) -> bool:
    return len(token) >= _HASH and len(re.findall(r"\d+", token)) >= 2 and any(map(str.isalpha, token))


def _speaks(word: str) -> bool:
    """Whether it could be spoken: a vowel, or no Latin letter at all."""
    return bool(_VOWEL.search(word)) or not word.isascii()


def stem_words(name: str) -> list[str]:
    """The telling words of a file name; none for the name that a camera or a program gave."""
    stem, extension = split_extension(name.encode(errors="replace"))
    return [] if is_camera_name(stem, extension) else words_of(stem.decode(errors="replace"))


def folder_name(folders: Sequence[str]) -> str | None:
    """The innermost of these folders' names that has a telling word, else the innermost that is no hash and no id."""
    shown = ("".join(filter(str.isprintable, folder)).strip() for folder in reversed(folders))
    names = [name for name in shown if name and not (_HEX_ID.fullmatch(name) or _is_id(name))]
    return next((name for name in names if words_of(name)), names[0] if names else None)


def folder_words(folders: Iterable[str]) -> list[list[str]]:
    """The telling words of each folder, from the outermost to the innermost; folders without any are left out."""
    return [words for folder in folders if (words := words_of(folder))]
