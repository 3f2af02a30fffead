"""Where an encoder's weights are on this disk, and what to use when they are not there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mediad.encoder_spec import AUTO, EncoderSpec, parse

_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".npz")
"""Checkpoint files as open_clip and timm read them, in the order in which they are preferred."""


class WeightsUnavailable(Exception):
    """The weights of an encoder are not on this disk, or could not be had; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """What an encoder setting means now: `fallback` with its `reason` when "auto" had to be the descriptor."""

    spec: str
    fallback: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Installed:
    """Weights in the weights directory: the setting that uses them, their file, its size in bytes."""

    spec: str
    path: Path
    size: int


def resolve(setting: str, weights_dir: Path) -> Resolved:
    """Say which encoder to use for a setting, from what is on disk; nothing is downloaded.

    Raises:
        ValueError: the setting is malformed.
        WeightsUnavailable: the setting names an encoder whose files are not there.
    """
    spec = parse(setting)
    if spec.family != "auto":
        require(spec, weights_dir)
        return Resolved(str(spec))
    if weights_present(parse(AUTO), weights_dir):
        return Resolved(AUTO)
    reason = (
        f"the weights of {AUTO} are not on this machine, so the built-in descriptor is used: "
        f"similarity works, text search does not. `mediad models pull` fetches them"
    )
    return Resolved("descriptor", fallback=True, reason=reason)


def weights_present(spec: EncoderSpec, weights_dir: Path) -> bool:
    """Whether everything that `spec` needs is on disk. Looks at names only, so it is quick."""
    return all(path is not None and path.is_file() for path in _needed(spec, weights_dir))


def require(spec: EncoderSpec, weights_dir: Path) -> list[Path]:
    """The files of `spec`, configuration first, checkpoint last (none for the descriptor).

    Raises:
        WeightsUnavailable: one is not there.
    """
    if not weights_present(spec, weights_dir):
        missing = [str(path) for path in (spec.config, spec.checkpoint) if path and not path.is_file()]
        if missing:
            raise WeightsUnavailable(
                f"{' and '.join(missing)} of encoder {spec} not found: correct the path, or {_ELSE}"
            )
        raise WeightsUnavailable(
            f"the weights of {spec} are not on this machine: `mediad models pull {spec}` fetches them; "
            f"{offline_advice(spec, weights_dir)}"
        )
    return [path for path in _needed(spec, weights_dir) if path is not None]


_ELSE = 'choose encoder = "descriptor", which needs none'


def offline_advice(spec: EncoderSpec, weights_dir: Path) -> str:
    """What a person without a network can do."""
    where = directory(spec, weights_dir)
    return f"offline, put the checkpoint file (*.safetensors, *.bin, *.pt, *.pth) into {where}, or {_ELSE}"


def directory(spec: EncoderSpec, weights_dir: Path) -> Path:
    """The folder that holds the one checkpoint file of a named model."""
    return weights_dir.joinpath(spec.family, *spec.model.split("/"), *([spec.pretrained] if spec.pretrained else []))


def checkpoint(spec: EncoderSpec, weights_dir: Path) -> Path | None:
    """The checkpoint file of a named model, where there is one."""
    folder = directory(spec, weights_dir)
    found = sorted(_checkpoints(folder), key=lambda path: (_SUFFIXES.index(path.suffix), path.name))
    return found[0] if found else None


def installed(weights_dir: Path) -> list[Installed]:
    """All weights in the weights directory, in order of their settings."""
    rows = []
    for family in ("open_clip", "timm"):
        for folder in sorted(path for path in (weights_dir / family).glob("**/") if any(_checkpoints(path))):
            spec = f"{family}:{folder.relative_to(weights_dir / family).as_posix()}"
            path = checkpoint(parse(spec), weights_dir)
            if path is not None:
                rows.append(Installed(spec, path, path.stat().st_size))
    return rows


def _checkpoints(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob("*") if path.suffix in _SUFFIXES and path.is_file())


def _needed(spec: EncoderSpec, weights_dir: Path) -> list[Path | None]:
    if spec.family == "descriptor":
        return []
    if spec.config is not None:
        return [spec.config, spec.checkpoint]
    return [checkpoint(spec, weights_dir)]
