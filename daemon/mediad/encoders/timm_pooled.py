"""timm models without their classifier: pooled features of any of its networks. For encoder processes only."""

from __future__ import annotations

from pathlib import Path

import timm
import torch
from timm.data.config import resolve_data_config

from mediad.encoder_spec import EncoderSpec
from mediad.encoders.tower import Format, Tower
from mediad.model import InputSpec

_FIT = {"center": "crop", "squash": "squash", "border": "pad"}
"""timm's `crop_mode` in our words."""


def load(spec: EncoderSpec, checkpoint: Path, device: torch.device) -> tuple[Tower, InputSpec]:
    """Load a model from a file. Nothing is downloaded.

    timm scales the shorter side to size / crop_pct and takes the middle: the picture is asked for at that larger
    size, and the tower takes the middle.

    Returns:
        The picture tower in float32; how it wants its pictures.

    Raises:
        RuntimeError: timm knows no such model, or the checkpoint does not fit it (timm's own text).
    """
    model = timm.create_model(
        spec.model, pretrained=True, num_classes=0, pretrained_cfg_overlay={"file": str(checkpoint)}
    )
    data = resolve_data_config(model=model)  # type: ignore[no-untyped-call]  # timm types only a part of itself
    _, height, width = data["input_size"]
    if height != width:
        raise ValueError(f"{spec.model} wants pictures of {width} x {height}: only square ones are supported")
    tower = Tower(Format(device).convert(model.eval()), data["mean"], data["std"], height, Format(device))
    interpolation = "bilinear" if data["interpolation"] == "bilinear" else "bicubic"
    return tower, InputSpec(round(height / data["crop_pct"]), _FIT[data["crop_mode"]], interpolation)
