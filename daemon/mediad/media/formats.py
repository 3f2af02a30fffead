"""Which names we take for media, by their suffix, and which of them need an optional extra to be decoded."""

from __future__ import annotations

from mediad.model import Kind

_HEIC = "heic heics heif heifs hif"
_RAW = "3fr arw cap cr2 cr3 crw dcr dng erf fff iiq k25 kdc mef mos mrw nef nrw orf pef raf rw2 rwl sr2 srf srw x3f"
_IMAGES = (
    "jpg jpeg jpe jfif mpo png apng webp gif tif tiff bmp dib avif avifs jp2 j2k j2c jpf jpx jpc "
    "exr hdr tga ppm pgm pbm pnm psd qoi dpx"
)
_VIDEOS = (
    "mp4 m4v mov qt mkv webm avi ts mts m2ts m2t mpg mpeg mpe m2v vob wmv asf flv f4v 3gp 3gpp 3g2 ogv mxf dv "
    "insv wtv divx"
)
HEIC_SUFFIXES = frozenset(_HEIC.split())
RAW_SUFFIXES = frozenset(_RAW.split())
_IMAGE_SUFFIXES = frozenset(_IMAGES.split()) | HEIC_SUFFIXES | RAW_SUFFIXES
_VIDEO_SUFFIXES = frozenset(_VIDEOS.split())


def suffix_of(name: bytes) -> str:
    """The suffix of a path or name in lower case without its dot; "" where there is none (".png" has none)."""
    base = name.rpartition(b"/")[2].lstrip(b".")
    return base.rpartition(b".")[2].decode("ascii", "replace").lower() if b"." in base else ""


def kind_of(name: bytes) -> Kind | None:
    """What a file of this name is taken for; None: no media. The decoder then goes by what is in the file."""
    suffix = suffix_of(name)
    if suffix in _IMAGE_SUFFIXES:
        return Kind.IMAGE
    return Kind.VIDEO if suffix in _VIDEO_SUFFIXES else None


def extra_for(name: bytes) -> str | None:
    """The optional extra of the package ("heic", "raw") that this name's format needs, or None."""
    suffix = suffix_of(name)
    if suffix in HEIC_SUFFIXES:
        return "heic"
    return "raw" if suffix in RAW_SUFFIXES else None


def how_to_get(extra: str) -> str:
    """A sentence that says how to get an optional extra."""
    return f"needs an optional part of mediad: pip install 'mediad[{extra}]'"
