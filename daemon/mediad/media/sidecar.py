"""XMP packets inside media: what cameras and photo tools say of a picture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

_NAMESPACES = {
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://cipa.jp/exif/1.0/": "exifEX",
    "http://ns.adobe.com/exif/1.0/aux/": "aux",
    "http://ns.adobe.com/tiff/1.0/": "tiff",
    "http://ns.adobe.com/photoshop/1.0/": "photoshop",
    "http://purl.org/dc/elements/1.1/": "dc",
}
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}RDF"
_DESCRIPTION = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description"
_ITEM = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li"
_MAX_PACKET = 16 << 20
_MAX_KEYWORDS = 200
_COMPANY = re.compile(r"[ ,.]+(?:company|corporation|corp|co|inc|ltd)\b\.?", re.IGNORECASE)
_COORDINATE = re.compile(r"(\d+),(\d+(?:\.\d+)?)(?:,(\d+(?:\.\d+)?))?([NSEW])", re.ASCII)


@dataclass(slots=True)
class Metadata:
    """What is known about how a picture was made; the fields are those of `model.Asset`."""

    captured: str | None = None
    camera: str | None = None
    lens: str | None = None
    gps: tuple[float, ...] | None = None
    rating: int | None = None
    keywords: tuple[str, ...] = ()

    def completed(self, other: Metadata) -> Metadata:
        """This, with gaps filled from `other`, and with the keywords of both."""
        return Metadata(
            self.captured or other.captured,
            self.camera or other.camera,
            self.lens or other.lens,
            self.gps or other.gps,
            other.rating if self.rating is None else self.rating,
            tuple(dict.fromkeys((*self.keywords, *other.keywords)))[:_MAX_KEYWORDS],
        )


def parse_xmp(packet: bytes) -> Metadata:
    """What an XMP packet says.

    Raises:
        ValueError: it is no well-formed XML, is larger than 16 MiB, or uses entities (which no XMP needs).
    """
    if len(packet) > _MAX_PACKET:
        raise ValueError("not readable as XMP: it is larger than 16 MiB")
    try:
        root = fromstring(packet.strip(b"\0 \r\n\t"))
    except (ParseError, DefusedXmlException, LookupError, ValueError) as error:
        raise ValueError(f"not readable as XMP: {error}") from error
    values: dict[str, str] = {}
    keywords: list[str] = []
    for name, value, items in _properties(root):
        if name == "dc:subject":
            keywords += items
        elif value:
            values.setdefault(name, value)
    return _metadata(values, tuple(dict.fromkeys(keywords))[:_MAX_KEYWORDS])


def _properties(root: Element) -> Iterator[tuple[str, str, list[str]]]:
    """Name with prefix, text, and list items of every property; RDF writes them as attributes or as elements.

    Descriptions in a property are parts of its value, and no properties of the picture; to go through them too would
    take the square of their number.
    """
    rdf = next(root.iter(_RDF), root)
    for description in (child for child in rdf if child.tag == _DESCRIPTION):
        for key, value in description.items():
            yield _prefixed(key), clean(value), []
        for child in description:
            items = [clean(item.text or "") for item in child.iter(_ITEM)]
            yield _prefixed(child.tag), clean(child.text or "") or next(iter(items), ""), [i for i in items if i]


def _prefixed(tag: str) -> str:
    namespace, _, name = tag.removeprefix("{").rpartition("}")
    return f"{_NAMESPACES.get(namespace, '?')}:{name}"


def _metadata(values: dict[str, str], keywords: tuple[str, ...]) -> Metadata:
    dates = ("exif:DateTimeOriginal", "photoshop:DateCreated", "exif:DateTimeDigitized", "xmp:CreateDate")
    lenses = ("exifEX:LensModel", "aux:Lens")
    return Metadata(
        captured=next(filter(None, (iso_time(values.get(name, "")) for name in dates)), None),
        camera=camera_name(values.get("tiff:Make", ""), values.get("tiff:Model", "")),
        lens=next(filter(None, (values.get(name) for name in lenses)), None),
        gps=_gps(values),
        rating=rating_of(values.get("xmp:Rating")),
        keywords=keywords,
    )


def _gps(values: dict[str, str]) -> tuple[float, ...] | None:
    latitude, longitude = (_degrees(values.get(f"exif:GPS{axis}", "")) for axis in ("Latitude", "Longitude"))
    if latitude is None or longitude is None:
        return None
    altitude = re.fullmatch(r"(\d{1,12})/([1-9]\d{0,11})", values.get("exif:GPSAltitude", ""), re.ASCII)
    if altitude is None:
        return position(latitude, longitude)
    metres = int(altitude[1]) / int(altitude[2])
    return position(latitude, longitude, -metres if values.get("exif:GPSAltitudeRef") == "1" else metres)


def _degrees(text: str) -> float | None:
    match = _COORDINATE.fullmatch(text)
    if match is None:
        return None
    value = int(match[1]) + float(match[2]) / 60 + float(match[3] or 0) / 3600
    return -value if match[4] in "SW" else value


def position(latitude: float, longitude: float, altitude: float | None = None) -> tuple[float, ...] | None:
    """A place on earth in degrees and metres; None for what is none, and for 0, 0, which is written without a fix."""
    if not (abs(latitude) <= 90 and abs(longitude) <= 180) or (latitude == 0 and longitude == 0):
        return None
    place = (round(latitude, 7), round(longitude, 7))
    return place if altitude is None or not abs(altitude) < 1e6 else (*place, round(altitude, 2))


def iso_time(text: str) -> str | None:
    """An ISO 8601 time as it stands, made uniform; None for a date alone or what no camera can have meant."""
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return time.isoformat() if time.year > 1904 and len(text) > 10 else None  # 1904: the zero of QuickTime's clock


def camera_name(make: str, model: str) -> str | None:
    """Maker and model as one name that says the maker once: "Canon EOS 40D", "Apple iPhone 13"."""
    maker = _COMPANY.sub("", make)
    if not model or not maker or model.lower().startswith(tuple(maker.lower().split())):
        return model or maker or None
    return f"{maker} {model}"


def rating_of(value: object) -> int | None:
    """Stars, 1 to 5, or -1 (rejected), from what was found; None for anything else, also for 0, which is "unrated"."""
    try:
        number = round(float(str(value)))
    except (ValueError, OverflowError):
        return None
    return number if number in (-1, 1, 2, 3, 4, 5) else None


def clean(text: str) -> str:
    """Text from a file made safe to keep and show: no control characters, single spaces, at most 200 characters."""
    printable = "".join(c if c.isprintable() else " " for c in text[:1000])
    return " ".join(printable.split())[:200]
