"""What a picture says about itself in EXIF, IPTC and XMP. What is broken in them is left out, the picture stays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from PIL import ExifTags, Image, ImageFile, IptcImagePlugin

from mediad.media.sidecar import Metadata, camera_name, clean, parse_xmp, position, rating_of

_RATING = 0x4746
_XMP_TAG = 0x02BC
_IPTC_KEYWORDS = (2, 25)
_TIMES = (
    (ExifTags.Base.DateTimeOriginal, ExifTags.Base.SubsecTimeOriginal, ExifTags.Base.OffsetTimeOriginal),
    (ExifTags.Base.DateTimeDigitized, ExifTags.Base.SubsecTimeDigitized, ExifTags.Base.OffsetTimeDigitized),
)


def of_image(picture: ImageFile.ImageFile) -> Metadata:
    """Everything a loaded Pillow image says: EXIF first, then XMP, keywords also from IPTC."""
    exif = exif_of(picture)
    said = of_exif(exif).completed(_of_xmp(picture, exif))
    return said.completed(Metadata(keywords=_iptc_keywords(picture)))


def exif_of(picture: Image.Image) -> Image.Exif:
    """The EXIF tags of a loaded image; none where they cannot be read."""
    try:
        return picture.getexif()
    except Exception:  # Pillow lets any error of a broken header through
        return Image.Exif()


def of_exif(exif: Image.Exif) -> Metadata:
    """What EXIF tags say; whatever is broken in them counts as absent."""
    base, shot, place = dict(exif), _directory(exif, ExifTags.IFD.Exif), _directory(exif, ExifTags.IFD.GPSInfo)
    camera = camera_name(_text(base, ExifTags.Base.Make), _text(base, ExifTags.Base.Model))
    captured = next(filter(None, (_time(shot, *tags) for tags in _TIMES)), None)
    if captured is None and camera is not None:  # old cameras write this one only; without a camera it is the editing
        captured = _time(base, ExifTags.Base.DateTime, ExifTags.Base.SubsecTime, ExifTags.Base.OffsetTime)
    return Metadata(
        captured=captured,
        camera=camera,
        lens=_text(shot, ExifTags.Base.LensModel) or None,
        gps=_position(place),
        rating=rating_of(base.get(_RATING)),
    )


def _directory(exif: Image.Exif, tag: int) -> Mapping[int, Any]:
    try:
        return dict(exif.get_ifd(tag))
    except Exception:  # Pillow lets any error of a broken directory through
        return {}


def _text(tags: Mapping[int, Any], tag: int) -> str:
    value = tags.get(tag, "")
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return clean(text.split("\0")[0])


def _time(tags: Mapping[int, Any], when: int, fraction: int, offset: int) -> str | None:
    """ISO 8601 from EXIF's "2008:10:22 16:28:39", its fraction of a second and, where written, its zone's offset."""
    text = _text(tags, when)
    digits = _text(tags, fraction)
    zone = _text(tags, offset)
    for full, form in ((text + zone, "%Y:%m:%d %H:%M:%S%z"), (text, "%Y:%m:%d %H:%M:%S")):
        try:
            time = datetime.strptime(full, form)
        except ValueError:
            continue
        if digits.isascii() and digits.isdigit() and int(digits):
            time = time.replace(microsecond=int(digits[:6].ljust(6, "0")))
        return time.isoformat() if time.year > 1904 else None
    return None


def _position(tags: Mapping[int, Any]) -> tuple[float, ...] | None:
    latitude = _degrees(tags, ExifTags.GPS.GPSLatitude, "S")
    longitude = _degrees(tags, ExifTags.GPS.GPSLongitude, "W")
    if latitude is None or longitude is None:
        return None
    metres = _number(tags.get(ExifTags.GPS.GPSAltitude))
    below = tags.get(ExifTags.GPS.GPSAltitudeRef) in (1, b"\x01")
    return position(latitude, longitude, -metres if metres is not None and below else metres)


def _degrees(tags: Mapping[int, Any], tag: int, negative: str) -> float | None:
    """Decimal degrees from degrees, minutes and seconds; the tag before each coordinate holds its hemisphere."""
    parts = tags.get(tag)
    if not isinstance(parts, tuple) or not 1 <= len(parts) <= 3:
        return None
    numbers = [_number(part) for part in parts]
    # Trailing minutes or seconds of 0/0 mean "none"; degrees of 0/0 mean that there is no position.
    if numbers[0] is None:
        return None
    value: float = sum((number or 0.0) / 60**power for power, number in enumerate(numbers))
    return -value if _text(tags, tag - 1).upper().startswith(negative) else value


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _of_xmp(picture: Image.Image, exif: Image.Exif) -> Metadata:
    packet = picture.info.get("xmp") or picture.info.get("XML:com.adobe.xmp") or exif.get(_XMP_TAG)
    if isinstance(packet, str):
        packet = packet.encode("utf-8", "replace")
    if not isinstance(packet, bytes):
        return Metadata()
    try:
        return parse_xmp(packet)
    except ValueError:
        return Metadata()


def _iptc_keywords(picture: ImageFile.ImageFile) -> tuple[str, ...]:
    try:
        records = IptcImagePlugin.getiptcinfo(picture) or {}
    except Exception:  # Pillow lets any error of a broken record through
        return ()
    found = records.get(_IPTC_KEYWORDS, [])
    values = found if isinstance(found, list) else [found]
    return tuple(filter(None, (clean(value.decode("utf-8", "replace")) for value in values)))
