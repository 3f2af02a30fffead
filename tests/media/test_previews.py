from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from mediad.channel import ChildError
from mediad.media.decoder import Decoded, Decoder, DecodeSpec
from mediad.model import InputSpec

DecodeFile = Callable[..., Decoded]
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


@pytest.fixture
def stripes(tmp_path: Path) -> Path:
    """Red, green and blue squares side by side, 1200 x 400."""
    picture = Image.new("RGB", (1200, 400), GREEN)
    picture.paste(RED, (0, 0, 400, 400))
    picture.paste(BLUE, (800, 0, 1200, 400))
    picture.save(tmp_path / "a.png")
    return tmp_path / "a.png"


@pytest.mark.parametrize(
    ("fit", "left", "middle", "top"),
    [("crop", GREEN, GREEN, GREEN), ("squash", RED, GREEN, GREEN), ("pad", RED, GREEN, (0, 0, 0))],
)
@pytest.mark.parametrize("size", [32, 384])
def test_how_an_encoders_input_is_cut(
    decode: DecodeFile, stripes: Path, fit: str, left: object, middle: object, top: object, size: int
) -> None:
    inputs = decode(stripes, DecodeSpec(input=InputSpec(size, fit))).inputs
    assert inputs.shape == (1, size, size, 3)
    half = size // 2
    assert tuple(inputs[0, half, size // 8]) == left
    assert tuple(inputs[0, half, half]) == middle
    assert tuple(inputs[0, size // 8, half]) == top


def test_no_input_where_no_encoder_works(decode: DecodeFile, stripes: Path) -> None:
    assert decode(stripes).inputs.size == 0


def test_size_and_format_of_previews(decode: DecodeFile, stripes: Path) -> None:
    wanted: tuple[tuple[Literal["jpeg", "webp"], str, int], ...]
    wanted = (("jpeg", ".jpg", 256), ("webp", ".webp", 900), ("jpeg", ".jpg", 5000))
    for form, suffix, size in wanted:
        made = decode(stripes, DecodeSpec(preview_format=form, preview_size=size))
        assert made.preview_suffix == suffix
        picture = Image.open(io.BytesIO(made.preview or b""))
        assert picture.format == form.upper()
        assert max(picture.size) == min(size, 1200)


def test_previews_carry_no_metadata(decode: DecodeFile, tmp_path: Path, photo: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x010F] = "secret"
    photo.save(tmp_path / "a.jpg", exif=exif, comment=b"secret")
    assert b"secret" not in (decode(tmp_path / "a.jpg").preview or b"")


def test_inputs_again_from_a_preview(decoder: Decoder, decode: DecodeFile, tmp_path: Path, photo: Image.Image) -> None:
    photo.save(tmp_path / "a.png")
    made = decode(tmp_path / "a.png", DecodeSpec(input=InputSpec(64)))
    again = decoder.inputs_from_preview(made.preview or b"", InputSpec(64))
    assert again.shape == (1, 64, 64, 3)
    assert np.abs(again.astype(np.int16) - made.inputs).mean() < 3
    with pytest.raises(ChildError):
        decoder.inputs_from_preview(b"no preview", InputSpec(64))


def test_stills_become_a_moving_gif(decoder: Decoder, decode: DecodeFile, tmp_path: Path) -> None:
    stills = []
    for shade in range(0, 250, 25):
        Image.new("RGB", (320, 200), (shade, 100, 250 - shade)).save(tmp_path / "a.png")
        stills.append(decode(tmp_path / "a.png").preview or b"")
    gif = Image.open(io.BytesIO(decoder.animate(stills, 160, 80)))
    assert (gif.format, gif.size, getattr(gif, "n_frames", 1)) == ("GIF", (160, 100), 10)
    assert (gif.info["duration"], gif.info["loop"]) == (80, 0)


def test_the_smallest_and_narrowest_pictures(decoder: Decoder, decode: DecodeFile, tmp_path: Path) -> None:
    for size in ((1, 1), (1, 4000), (4000, 2)):
        Image.new("RGB", size, RED).save(tmp_path / "a.png")
        made = decode(tmp_path / "a.png", DecodeSpec(input=InputSpec(48)))
        assert (made.asset.width, made.asset.height) == size
        assert made.inputs.shape == (1, 48, 48, 3)
        assert all(np.isfinite(value) for value in made.asset.scores.values())


def test_blur_lowers_sharpness(decode: DecodeFile, tmp_path: Path, photo: Image.Image) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (400, 600, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "sharp.png")
    Image.fromarray(noise).resize((60, 40)).resize((600, 400)).save(tmp_path / "soft.png")
    sharp, soft = (decode(tmp_path / name).asset.scores for name in ("sharp.png", "soft.png"))
    assert sharp["sharpness"] > 10 * soft["sharpness"]
    assert abs(sharp["brightness"] - 0.5) < 0.02


def test_likeness_survives_scaling_and_coding(decode: DecodeFile, tmp_path: Path, photo: Image.Image) -> None:
    photo.save(tmp_path / "a.png")
    photo.resize((300, 200)).save(tmp_path / "b.jpg", quality=60)
    photo.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "c.png")
    one, same, other = (int(decode(tmp_path / n).asset.phash or "", 16) for n in ("a.png", "b.jpg", "c.png"))
    assert (one ^ same).bit_count() <= 4
    assert (one ^ other).bit_count() >= 16


def test_a_decoder_that_was_stopped_starts_again(tmp_path: Path, photo: Image.Image) -> None:
    photo.save(tmp_path / "a.jpg")
    decoder = Decoder()
    for _ in range(2):
        decoder.read(os.fsencode(tmp_path / "a.jpg"))
        assert decoder.pid is not None
        decoder.stop()
        assert decoder.pid is None
