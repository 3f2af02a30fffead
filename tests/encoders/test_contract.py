"""What holds for every encoder."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import orjson
import pytest
from tests.encoders.conftest import Warm, pictures

from mediad.encoders import Encoder, EncoderError, TextUnsupported
from mediad.model import EncoderInfo


@pytest.fixture(params=["descriptor", "tiny_clip", "timm", "mini_clip"])
def encoder(request: pytest.FixtureRequest, warm: Warm) -> Encoder:
    return warm(request.param)


def state_dir(encoder: Encoder) -> Path:
    return encoder._cache.parent


def test_vectors_are_unit_float32_of_the_stated_size(encoder: Encoder) -> None:
    info = encoder.info()
    vectors = encoder.encode_images(pictures(5, info.input.size, seed=1))
    assert vectors.shape == (5, info.dimensions)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    assert np.unique(vectors.round(4), axis=0).shape[0] == 5, "unlike pictures have unlike vectors"
    assert encoder.encode_images(pictures(0, info.input.size)).shape == (0, info.dimensions)


def test_same_pictures_same_vectors_in_any_batch(encoder: Encoder) -> None:
    many = pictures(34, encoder.info().input.size, seed=2)
    together = encoder.encode_images(many)  # more than one message
    alone = [encoder.encode_images(many[i : i + 1]) for i in (0, 33)]
    assert (together[[0, 33]] * np.concatenate(alone)).sum(axis=1).min() > 1 - 1e-3
    assert np.allclose(alone[1], encoder.encode_images(many[33:]), atol=1e-6)


def test_a_plain_picture_is_no_error(encoder: Encoder) -> None:
    size = encoder.info().input.size
    for level in (0, 128, 255):
        encoder.encode_images(np.full((1, size, size, 3), level, np.uint8))


def test_wrong_pictures_are_refused(encoder: Encoder) -> None:
    size = encoder.info().input.size
    with pytest.raises(ValueError, match="must be uint8 of shape"):
        encoder.encode_images(pictures(1, size + 1))
    with pytest.raises(ValueError, match="must be uint8 of shape"):
        encoder.encode_images(pictures(1, size).astype(np.float32))


def test_text_lives_in_the_same_space_or_is_refused(encoder: Encoder) -> None:
    if not encoder.info().text:
        with pytest.raises(TextUnsupported, match="open_clip"):
            encoder.encode_text(["a tree"])
        return
    vectors = encoder.encode_text(["a tree", "ein Baum, größer", ""])
    assert vectors.shape == (3, encoder.info().dimensions)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    assert encoder.encode_text([]).shape == (0, encoder.info().dimensions)


def test_info_is_remembered_without_a_process(encoder: Encoder, weights_dir: Path) -> None:
    again = Encoder(encoder.info().spec, weights_dir, state_dir(encoder))
    assert again.info() == encoder.info()
    assert again.pid is None
    assert isinstance(again.info(), EncoderInfo)
    assert again.info().spec in again.info().id or again.info().id.startswith(("open_clip:", "timm:"))


def test_the_way_to_compute_is_measured_once(encoder: Encoder) -> None:
    if encoder.info().id.startswith("descriptor"):
        assert not (state_dir(encoder) / "precision.json").exists()
        return
    (choice,) = orjson.loads((state_dir(encoder) / "precision.json").read_bytes()).values()
    measured = choice["measured"]
    good = {name: row["per_second"] for name, row in measured.items() if row["least_cosine"] >= 0.999}
    assert len(measured) >= 2
    assert choice["format"] == max(good, key=lambda name: good[name]) == encoder.info().backend


@pytest.mark.parametrize("spec", ["descriptor", pytest.param("tiny_clip", marks=pytest.mark.long)])
def test_killed_process_costs_one_call_at_most(
    spec: str, request: pytest.FixtureRequest, weights_dir: Path, tmp_path: Path
) -> None:
    encoder = Encoder(spec if spec == "descriptor" else request.getfixturevalue(spec), weights_dir, tmp_path, nice=0)
    batch = pictures(20, encoder.info().input.size)
    expected = encoder.encode_images(batch)
    chosen = (tmp_path / "precision.json").stat().st_mtime_ns if spec != "descriptor" else 0
    killed = encoder.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while encoder.pid == killed and time.monotonic() < deadline:
        time.sleep(0.01)
    again = encoder.encode_images(batch)
    assert (expected * again).sum(axis=1).min() > 0.999
    assert encoder.pid not in {None, killed}
    if chosen:
        assert (tmp_path / "precision.json").stat().st_mtime_ns == chosen, "the second process measured again"
    encoder.stop()
    assert encoder.pid is None


def test_damaged_weights_are_an_error_that_names_them(tiny_clip: str, tmp_path: Path) -> None:
    config = tiny_clip.removeprefix("open_clip:").partition(".json:")[0] + ".json"
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"no checkpoint")
    encoder = Encoder(f"open_clip:{config}:{broken}", tmp_path, tmp_path, nice=0)
    with pytest.raises(EncoderError, match=r"broken\.pt"):
        encoder.info()
    encoder.stop()
