"""Camera RAW: the preview that the camera put into the file, through LibRaw (the optional extra "raw")."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image

from mediad.media import metadata
from mediad.media.formats import how_to_get
from mediad.media.sidecar import Metadata
from mediad.media.spec import Undecodable

# LibRaw's `flip` as EXIF orientations: 3 is upside down, 5 a quarter to the left, 6 a quarter to the right.
_ORIENTATIONS = {3: 3, 5: 8, 6: 6}
_TIFF = (b"II*\0", b"MM\0*")
_MAX_TAGS = 64 << 20


@dataclass
class CameraRaw:
    """A preview (a JPEG file, or pixels), the size of the upright photo, its EXIF orientation, its metadata."""

    preview: io.BytesIO | Image.Image
    width: int
    height: int
    orientation: int
    metadata: Metadata


def read(file: BinaryIO) -> CameraRaw:
    """The embedded preview; where there is none, the photo developed at half its size (seconds, not milliseconds).

    Raises:
        Undecodable: rawpy is not installed.
        rawpy.LibRawError: no RAW that LibRaw knows.
    """
    try:
        import rawpy
    except ImportError:
        raise Undecodable(f"camera RAW {how_to_get('raw')}") from None
    with rawpy.imread(file) as raw:
        width, height, flip = raw.sizes.width, raw.sizes.height, raw.sizes.flip
        preview: io.BytesIO | Image.Image
        try:
            thumb = raw.extract_thumb()
            jpeg = thumb.format == rawpy.ThumbFormat.JPEG
            preview = io.BytesIO(thumb.data) if jpeg else Image.fromarray(thumb.data)
        except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError):
            preview = Image.fromarray(raw.postprocess(half_size=True, use_camera_wb=True))
    if flip in (5, 6):
        width, height = height, width
    return CameraRaw(preview, width, height, _ORIENTATIONS.get(flip, 1), _metadata(file))


def _metadata(file: BinaryIO) -> Metadata:
    """Most RAW files are TIFF files at heart, whose tags Pillow reads; the others have theirs in the preview."""
    file.seek(0)
    data = file.read(_MAX_TAGS)
    if not data.startswith(_TIFF):
        return Metadata()
    exif = Image.Exif()
    try:
        exif.load(data)
    except Exception:  # Pillow lets any error of a broken directory through
        return Metadata()
    return metadata.of_exif(exif)
