"""The encoder process: `python -m mediad.encoders.child`, spoken to over `mediad.channel`.

Requests: `{"op": "info"}`; `{"op": "images", "shape": [n, h, w, 3]}` with one blob of uint8; `{"op": "text", "texts":
[str, ...]}`. Vectors are answered as `{"shape": [n, d], "backend": str, "batch": int}` with one blob of float32.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from mediad.channel import Blob, Handler, Message, child_parser, serve
from mediad.encoder_spec import EncoderSpec, parse
from mediad.encoders.weights import require
from mediad.model import EncoderInfo, InputSpec

_HASH_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Loaded:
    """An encoder at work. `text` is what encodes texts, or why they cannot be."""

    info: EncoderInfo
    images: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    text: Callable[[list[str]], NDArray[np.float32]] | str
    how: Callable[[], tuple[str, int]]
    """The backend and how many pictures to send at a time."""


def load(spec: EncoderSpec, weights_dir: Path, state_dir: Path) -> Loaded:
    """Load the encoder that `spec` names; imports what it needs, which can take many seconds."""
    if spec.family == "descriptor":
        from mediad.encoders import descriptor

        no_text = "the built-in descriptor knows no words: text search needs a CLIP model (`mediad models pull`)"
        return Loaded(descriptor.INFO, descriptor.encode, no_text, lambda: (descriptor.INFO.backend, 64))
    return _load_torch(spec, weights_dir, state_dir)


def _load_torch(spec: EncoderSpec, weights_dir: Path, state_dir: Path) -> Loaded:
    from mediad.encoders import precision

    files = require(spec, weights_dir)
    identity = f"{spec.label}:{_hash(files)}"
    device = precision.device()
    text: Callable[[list[str]], NDArray[np.float32]] | str
    if spec.family == "open_clip":
        from mediad.encoders import clip

        tower, wanted, text = clip.load(spec, files[-1], device)
    else:
        from mediad.encoders import timm_pooled

        tower, wanted = timm_pooled.load(spec, files[-1], device)
        text = f"{spec} knows pictures only: text search needs a CLIP model"
    dimensions = tower.encode(np.zeros((1, wanted.size, wanted.size, 3), np.uint8)).shape[1]
    measured = precision.Measured(tower, identity, state_dir / "precision.json")
    info = EncoderInfo(identity, str(spec), dimensions, callable(text), wanted, measured.backend)
    return Loaded(info, measured.encode, text, lambda: (measured.backend, measured.batch))


def _hash(files: list[Path]) -> str:
    """Names the space: another configuration or checkpoint is another. How it is computed is no part of it."""
    hasher = blake3(max_threads=blake3.AUTO)
    for path in files:
        hasher.update_mmap(path)
    return hasher.hexdigest()[:_HASH_DIGITS]


def handler_of(loaded: Callable[[], Loaded]) -> Handler:
    """What answers the requests of the module's docstring; ValueError on a malformed one.

    The encoder is loaded with the first request, so that what goes wrong then is the answer.
    """

    def handle(message: Message, blobs: list[bytearray]) -> tuple[Message, Sequence[Blob]]:
        encoder = loaded()
        backend, batch = encoder.how()
        if message["op"] == "info":
            return {"info": asdict(encoder.info) | {"backend": backend}, "batch": batch}, ()
        vectors = _vectors(encoder, message, blobs)
        backend, batch = encoder.how()
        return {"shape": list(vectors.shape), "backend": backend, "batch": batch}, [np.ascontiguousarray(vectors).data]

    return handle


def _vectors(encoder: Loaded, message: Message, blobs: list[bytearray]) -> NDArray[np.float32]:
    if message["op"] == "images":
        return encoder.images(_pictures(message["shape"], blobs, encoder.info.input))
    if message["op"] == "text":
        if isinstance(encoder.text, str):
            raise ValueError(encoder.text)
        return encoder.text([str(text) for text in message["texts"]])
    raise ValueError(f"unknown request {message['op']}")


def _pictures(shape: list[int], blobs: list[bytearray], wanted: InputSpec) -> NDArray[np.uint8]:
    if len(shape) != 4 or shape[1:] != [wanted.size, wanted.size, 3]:
        raise ValueError(f"pictures of shape {shape}: this encoder wants (n, {wanted.size}, {wanted.size}, 3)")
    return np.frombuffer(blobs[0], np.uint8).reshape(shape)


def main() -> None:
    parser = child_parser()
    parser.add_argument("--spec", required=True)
    parser.add_argument("--weights-dir", type=Path, required=True)
    parser.add_argument("--state-dir", type=Path, required=True)
    arguments = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"  # no library may start a download here
    spec = parse(arguments.spec)
    loaded = functools.cache(lambda: load(spec, arguments.weights_dir, arguments.state_dir))
    serve(arguments, lambda: handler_of(loaded))


if __name__ == "__main__":
    main()
