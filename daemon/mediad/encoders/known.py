"""What can be said of an encoder setting at once: neither torch nor a registry is imported for it."""

from __future__ import annotations

import difflib
from importlib.util import find_spec
from pathlib import Path

from mediad.encoder_spec import EncoderSpec, parse
from mediad.encoders.weights import WeightsUnavailable, resolve


def doubts(setting: str, weights_dir: Path) -> list[str]:
    """Why the encoder of a well-formed setting cannot be used as things are now; nothing where it may be.

    Files may be on a drive that is away, and weights still come: none of these makes the setting wrong. Names of timm
    models, and of weights, are known to registries alone.
    """
    unknown = _unknown_model(parse(setting))
    if unknown:
        return [unknown]
    try:
        resolve(setting, weights_dir)
    except WeightsUnavailable as error:
        return [str(error)]
    return []


def _unknown_model(spec: EncoderSpec) -> str | None:
    package = find_spec("open_clip")  # finds it, and does not import it
    if spec.family != "open_clip" or not spec.model or package is None or package.origin is None:
        return None
    models = sorted(path.stem for path in (Path(package.origin).parent / "model_configs").glob("*.json"))
    if spec.model in models or not models:
        return None
    close = difflib.get_close_matches(spec.model, models, n=3)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    return f'open_clip knows no model "{spec.model}"{hint}'
