from __future__ import annotations

from pathlib import Path

import pytest

from mediad.encoders import AUTO, WeightsUnavailable, installed, parse, resolve, weights_present


def place(weights_dir: Path, relpath: str) -> Path:
    path = weights_dir / relpath
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"12345")
    return path


def test_auto_falls_back_with_a_reason_and_returns_when_weights_arrive(tmp_path: Path) -> None:
    before = resolve("auto", tmp_path)
    assert (before.spec, before.fallback) == ("descriptor", True)
    assert before.reason
    assert "mediad models pull" in before.reason
    place(tmp_path, "open_clip/ViT-B-32-256/datacomp_s34b_b86k/open_clip_model.safetensors.part")
    assert resolve("auto", tmp_path).fallback, "half a download is no weights"
    place(tmp_path, "open_clip/ViT-B-32-256/datacomp_s34b_b86k/open_clip_model.safetensors")
    after = resolve("auto", tmp_path)
    assert (after.spec, after.fallback, after.reason) == (AUTO, False, None)


def test_descriptor_chosen_is_no_fallback(tmp_path: Path) -> None:
    assert not resolve("descriptor", tmp_path).fallback


def test_explicit_setting_without_weights_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable) as caught:
        resolve("timm:resnet50", tmp_path)
    for hint in ("mediad models pull timm:resnet50", str(tmp_path / "timm" / "resnet50"), 'encoder = "descriptor"'):
        assert hint in str(caught.value)


def test_missing_files_are_named(tmp_path: Path) -> None:
    config = place(tmp_path, "a.json")
    with pytest.raises(WeightsUnavailable) as caught:
        resolve(f"open_clip:{config}:{tmp_path / 'gone.pt'}", tmp_path)
    assert str(tmp_path / "gone.pt") in str(caught.value)
    assert f"{config} and" not in str(caught.value)
    checkpoint = place(tmp_path, "gone.pt")
    assert resolve(f"open_clip:{config}:{checkpoint}", tmp_path).spec == f"open_clip:{config}:{checkpoint}"


def test_lists_what_is_installed(tmp_path: Path) -> None:
    place(tmp_path, "timm/resnet50/pytorch_model.bin")
    best = place(tmp_path, "timm/resnet50/model.safetensors")
    clip = place(tmp_path, "open_clip/ViT-B-32/openai/m.pt")
    place(tmp_path, "timm/vgg16/model.safetensors.part")
    rows = [(row.spec, row.path, row.size) for row in installed(tmp_path)]
    assert rows == [("open_clip:ViT-B-32/openai", clip, 5), ("timm:resnet50", best, 5)]
    assert all(weights_present(parse(spec), tmp_path) for spec, _, _ in rows)
    assert not weights_present(parse("timm:vgg16"), tmp_path)
