"""Any mode and colour space that Pillow knows becomes sRGB."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

_BACKGROUND = 128
"""What shows through a transparent picture: a middle grey, on which black and white drawings both stand out."""


def to_srgb(image: Image.Image) -> Image.Image:
    """An image as RGB for the screen: embedded profile applied, transparency on middle grey, 16 bits made 8."""
    profile = image.info.get("icc_profile")
    if image.mode in ("RGB", "CMYK", "L", "LAB") and isinstance(profile, bytes) and profile:
        try:
            transform = _transform(profile, image.mode)
            if transform is not None:
                return ImageCms.applyTransform(image, transform) or image
        except (ImageCms.PyCMSError, OSError, ValueError):
            return to_rgb(image)  # a broken or foreign profile counts as none
    return to_rgb(image)


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From an embedded profile to sRGB; None where it is sRGB already."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if mode == "RGB" and "srgb" in ImageCms.getProfileDescription(source).lower():
        return None
    return ImageCms.buildTransform(source, _srgb(), mode, "RGB")


@lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def to_rgb(image: Image.Image) -> Image.Image:
    """An image of any mode as RGB, without its profile."""
    if image.mode.startswith(("I", "F")):
        return _from_wide(image).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, (_BACKGROUND, _BACKGROUND, _BACKGROUND, 255))
        return Image.alpha_composite(ground, layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _from_wide(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits or floats as 8 bits: by the least usual white that holds the brightest."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0.0, neginf=0.0)
    brightest = max(float(values.max(initial=0.0)), 1e-6)
    whites = [1.0, 255.0, 65535.0, brightest] if image.mode == "F" else [255.0, 65535.0, brightest]
    white = next(white for white in whites if brightest <= white)
    return Image.fromarray(np.clip(values * (255 / white), 0, 255).astype(np.uint8))
