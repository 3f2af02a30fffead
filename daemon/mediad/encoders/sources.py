"""Where weights can be had, from the registries of open_clip and timm (imported here, so not for the daemon)."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from typing import Any

from mediad.encoder_spec import EncoderSpec
from mediad.encoders.download import Remote
from mediad.encoders.weights import WeightsUnavailable

_HUB = "https://huggingface.co"


def remotes(spec: EncoderSpec) -> list[Remote]:
    """The places to try for the checkpoint of a named model, best first.

    Raises:
        WeightsUnavailable: the registry knows no such model or no weights of it; the text names near ones.
    """
    return _of_timm(spec) if spec.family == "timm" else _of_open_clip(spec)


def _of_open_clip(spec: EncoderSpec) -> list[Remote]:
    import open_clip

    _known(spec.model, open_clip.list_models(), "open_clip", "model")
    tags = open_clip.list_pretrained_tags_by_model(spec.model)
    _known(spec.pretrained, tags, f"open_clip:{spec.model}", "pretrained weights")
    cfg: dict[str, Any] = open_clip.get_pretrained_cfg(spec.model, spec.pretrained)
    hub = cfg.get("hf_hub", "")
    if not hub:
        return [_from_url(cfg["url"])]
    # "organization/repository/file"; no file after the last slash means the default name (see open_clip.pretrained)
    repository, _, name = hub.rpartition("/")
    name = name or "open_clip_pytorch_model.bin"
    safe = "open_clip_model" if name == "open_clip_pytorch_model.bin" else name.rpartition(".")[0]
    return [_on_hub(repository, f"{safe}.safetensors"), _on_hub(repository, name)]


def _of_timm(spec: EncoderSpec) -> list[Remote]:
    import timm

    model, dot, _ = spec.model.partition(".")
    _known(model, timm.list_models(), "timm", "model")
    if dot:
        _known(spec.model, timm.list_pretrained(f"{model}.*"), "timm", "pretrained weights")
    cfg = timm.get_pretrained_cfg(spec.model, allow_unregistered=False)
    if cfg is not None and cfg.hf_hub_id:
        names = [cfg.hf_hub_filename] if cfg.hf_hub_filename else ["model.safetensors", "pytorch_model.bin"]
        return [_on_hub(cfg.hf_hub_id, name) for name in names]
    if cfg is not None and cfg.url:
        return [_from_url(cfg.url if isinstance(cfg.url, str) else cfg.url[0])]
    raise WeightsUnavailable(f"timm has no weights for {spec.model}{_hint(spec.model, timm.list_pretrained())}")


def _on_hub(repository: str, name: str) -> Remote:
    hub = os.environ.get("HF_ENDPOINT", _HUB).rstrip("/")
    return Remote(f"{hub}/{repository}/resolve/main/{name}", name)


def _from_url(url: str) -> Remote:
    """A direct address, with the hash that its publisher put into it.

    OpenAI's addresses hold the whole SHA-256 as their last folder; PyTorch, timm and open_clip end names in "-" and
    its first 8 digits or more. (Eight digits without a letter are more likely a date.)
    """
    *_, folder, name = url.split("/")
    if re.fullmatch(r"[0-9a-f]{64}", folder):
        return Remote(url, name, folder)
    found = re.search(r"-([0-9a-f]{8,64})\.\w+$", name)
    return Remote(url, name, found[1] if found and re.search(r"[a-f]", found[1]) else "")


def _known(name: str, names: Sequence[str], where: str, what: str) -> None:
    if name not in names:
        raise WeightsUnavailable(f'{where} knows no {what} "{name}"{_hint(name, names)}')


def _hint(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or list(names[:3])
    return f"; did you mean {' or '.join(close)}?" if close else ""
