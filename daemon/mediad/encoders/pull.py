"""Fetching weights ahead, in a process of its own: the registries that know their addresses import torch.

Run as `python -m mediad.encoders.pull SPEC --weights-dir DIR`; it prints JSON lines: `{"done": int, "total": int|null}`
and at the end `{"path": str}` or `{"error": str}`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import orjson

from mediad.encoder_spec import AUTO, EncoderSpec, parse
from mediad.encoders.pull_process import Progress
from mediad.encoders.weights import WeightsUnavailable, checkpoint, directory, offline_advice

_PRINT_EVERY = 0.25


def pull(spec: EncoderSpec, weights_dir: Path, progress: Progress) -> Path:
    """Fetch the checkpoint of `spec` unless it is there. Blocks; imports torch: not for the daemon.

    Raises:
        WeightsUnavailable: with what to do instead.
    """
    from mediad.encoders.download import NotThere, fetch
    from mediad.encoders.sources import remotes

    if spec.family not in {"open_clip", "timm"} or spec.config is not None:
        raise WeightsUnavailable(f"{spec} has no weights to download")
    there = checkpoint(spec, weights_dir)
    if there is not None:
        return there
    for remote in remotes(spec):
        try:
            return fetch(remote, directory(spec, weights_dir) / remote.name, progress)
        except NotThere as error:
            missing = error
        except (WeightsUnavailable, OSError) as error:
            raise WeightsUnavailable(f"{error}; {offline_advice(spec, weights_dir)}") from error
    raise WeightsUnavailable(f"no weights to be had: {missing}; {offline_advice(spec, weights_dir)}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="mediad.encoders.pull")
    parser.add_argument("spec")
    parser.add_argument("--weights-dir", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        spec = parse(AUTO if arguments.spec == "auto" else arguments.spec)
        last = {"path": str(pull(spec, arguments.weights_dir, _printer()))}
    except (WeightsUnavailable, ValueError) as error:
        last = {"error": str(error)}
    _print(last)


def _printer() -> Progress:
    printed = 0.0

    def progress(done: int, total: int | None) -> None:
        nonlocal printed
        now = time.monotonic()
        if now - printed >= _PRINT_EVERY or done == total:
            printed = now
            _print({"done": done, "total": total})

    return progress


def _print(message: object) -> None:
    try:
        sys.stdout.buffer.write(orjson.dumps(message) + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os._exit(1)  # who asked for it is gone


if __name__ == "__main__":
    main()
