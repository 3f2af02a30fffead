"""Names that cameras, phones, scanners and downloads give: a counter in them counts shots, not frames."""

from __future__ import annotations

import re

# Sony DSC, Canon IMG and MVI, Nikon DSCN, Fujifilm DSCF, Pentax IMGP, Casio CIMG, Samsung SAM, HP HPIM, Sigma SDIM,
# GoPro GOPR, DJI, Google PXL, Windows WP and WIN, Motorola MOTO; an underscore in front means Adobe RGB.
_MAKERS = (
    b"dsc dscn dscf dsci img mg imgp imag cimg sam hpim sdim pict gopr dji pxl mvi mov vid wp win moto sany dvc dcp kif"
).split()
# What phones, scanners, browsers and chat programs write, and what people call a photo.
_PROGRAMS = (
    b"photo foto pic picture bild screenshot scan scanned page seite whatsapp signal telegram fb download downloads "
    b"downloaded unnamed copy kopie snapchat snapseed burst viber kakaotalk fullsizerender"
).split()
_AFTER = rb"[ _.~-]*(?:(?:image|video|photo|from|img)[ _-]*)?[0-9]+(?:[ _.~-].*)?"
_MAKER = re.compile(rb"(?i:_?(?:%s))%s" % (b"|".join(_MAKERS), _AFTER))
_SHOUTED = re.compile(rb"_?(?:%s)%s" % (b"|".join(_MAKERS).upper(), _AFTER))
_PROGRAM = re.compile(rb"(?i)(?:%s)%s" % (b"|".join(_PROGRAMS), _AFTER))
# Design rule for Camera File system (CIPA DC-009): four of A-Z 0-9 _, then four digits. A letter is asked for, so that
# frames called 00000001 are not taken for shots.
_DCF = re.compile(rb"(?=.{0,3}[A-Z])[A-Z0-9_]{4}[0-9]{4}")
# 100_0001 (Kodak, Canon); P1010001, PA120034 (Olympus, Panasonic); L1000123, R0001234 (Leica, Ricoh); CAM00012 (LG);
# G0010001, GH010001 (GoPro).
_COUNTERS = re.compile(
    rb"1[0-9]{2}[-_][0-9]{4}|[Pp][1-9A-Ca-c][0-9]{6,7}|[LRB][0-9]{6,7}|CAM[0-9]{5}|G(?:[0-9]{7}|[HXP][0-9]{6})"
)
_CAMERA_FORMATS = frozenset(
    b"jpg jpeg jpe heic heif avif tif tiff dng arw cr2 cr3 crw nef nrw orf raf rw2 pef srw x3f raw gpr mp4 mov avi mts "
    b"insp lrv thm".split()
)

_DATE = rb"(?:19|20)[0-9]{2}([-_.]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12][0-9]|3[01])"
# Seconds are asked for: in 20210304_0001 the second number is a counter.
_TIME = rb"(?:(?:T|[ _-]+(?:at |um |kl )?)[0-2][0-9][-_.:h]?[0-5][0-9][-_.:m]?[0-5][0-9](?:[-_.]?[0-9]{3})?)?"
_MOMENT = re.compile(rb"(?<![0-9])" + _DATE + _TIME + rb"(?![0-9])")


def is_camera_name(stem: bytes, extension: bytes) -> bool:
    """Whether a file's stem is a counter that a camera or a program gave it (`extension` without its dot)."""
    if _PROGRAM.fullmatch(stem) or _SHOUTED.fullmatch(stem) or moments(stem) == [(0, len(stem))]:
        return True
    if extension.lower() not in _CAMERA_FORMATS:
        return False
    return any(pattern.fullmatch(stem) for pattern in (_MAKER, _DCF, _COUNTERS))


def moments(stem: bytes) -> list[tuple[int, int]]:
    """Where dates, with or without a time, stand in a stem: spans."""
    return [match.span() for match in _MOMENT.finditer(stem)]
