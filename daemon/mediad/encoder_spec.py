"""What the setting `encoder` may say, parsed."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Family = Literal["auto", "descriptor", "open_clip", "timm"]

AUTO = "open_clip:ViT-B-32-256/datacomp_s34b_b86k"
"""What "auto" means where its weights can be had: a small CLIP with high zero-shot accuracy for its cost."""

_FORMS = (
    '"auto", "descriptor", "open_clip:MODEL/PRETRAINED", "open_clip:CONFIG.json:CHECKPOINT" or "timm:MODEL" '
    f'(for example "{AUTO}" or "timm:resnet50")'
)


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """An encoder setting. `model` and `pretrained` name weights in a registry; `config` and `checkpoint` are files."""

    family: Family
    model: str = ""
    pretrained: str = ""
    config: Path | None = None
    checkpoint: Path | None = None

    def __str__(self) -> str:
        if self.config is not None:
            return f"{self.family}:{self.config}:{self.checkpoint}"
        if self.pretrained:
            return f"{self.family}:{self.model}/{self.pretrained}"
        return f"{self.family}:{self.model}" if self.model else self.family

    @property
    def label(self) -> str:
        """A short name for people: "open_clip:mini-clip" instead of the paths of its files."""
        return f"{self.family}:{self.config.stem}" if self.config is not None else str(self)


def parse(text: str) -> EncoderSpec:
    """Parse an encoder setting. Paths are made absolute, so that they mean the same in every process.

    Raises:
        ValueError: with what to write instead.
    """
    text = text.strip()
    family, colon, rest = text.partition(":")
    match family, bool(colon), rest:
        case "auto", False, _:
            return EncoderSpec("auto")
        case "descriptor", False, _:
            return EncoderSpec("descriptor")
        case "open_clip", True, name if name:
            return _open_clip(name)
        case "timm", True, name if name and not name.startswith(("hf-hub:", "hf_hub:", "local-dir:")):
            return _named("timm", name.removeprefix("timm/"))
        case _:
            raise ValueError(_advice(text, family, rest))


def _open_clip(name: str) -> EncoderSpec:
    config, separator, checkpoint = name.partition(".json:")
    if separator:
        if not checkpoint:
            raise ValueError(f"open_clip:{name} names no checkpoint file: write open_clip:CONFIG.json:CHECKPOINT")
        return EncoderSpec("open_clip", config=_path(config + ".json"), checkpoint=_path(checkpoint))
    if name.endswith(".json"):
        raise ValueError(f"open_clip:{name} names no checkpoint file: write open_clip:{name}:CHECKPOINT")
    model, slash, pretrained = name.rpartition("/")
    if not (slash and model and pretrained):
        raise ValueError(
            f'open_clip:{name} does not say which weights: write open_clip:MODEL/PRETRAINED, as in "{AUTO}"'
        )
    return _named("open_clip", model, pretrained)


def _named(family: Family, model: str, pretrained: str = "") -> EncoderSpec:
    spec = EncoderSpec(family, model=model, pretrained=pretrained)
    if any(part in {"", ".", ".."} for part in f"{model}/{pretrained or model}".split("/")):  # names become folders
        raise ValueError(f"{spec} is no model's name; expected {_FORMS}")
    return spec


def _path(text: str) -> Path:
    return Path(os.path.expanduser(text)).absolute()  # noqa: PTH111 - Path.expanduser raises for an unknown user


def _advice(text: str, family: str, rest: str) -> str:
    close = difflib.get_close_matches(family.lower(), ["auto", "descriptor", "open_clip", "timm"], n=1, cutoff=0.5)
    guess = ""
    if close and close[0] in {"auto", "descriptor"}:
        guess = close[0]
    elif close and rest:
        guess = f"{close[0]}:{rest}"
    elif text and ":" not in text:
        guess = f"open_clip:{text}" if "/" in text else f"timm:{text}"
    hint = f'; did you mean "{guess}"?' if guess and guess != text else ""
    return f'"{text}" is no encoder{hint} Expected {_FORMS}' if hint else f'"{text}" is no encoder: expected {_FORMS}'
