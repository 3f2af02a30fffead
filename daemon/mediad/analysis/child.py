"""The clustering process: `python -m mediad.analysis.child`, over `mediad.channel`.

Requests:
    `{"op": "cluster", "shape": [n, d], ...settings}` and n x d float32 -> `{}` and n int32 labels.
    `{"op": "names", "paths": [...], "least": int}` -> `{}` and an int32 label a path.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mediad.analysis.settings import ClusterSettings
from mediad.channel import Blob, Handler, Message, child_parser, serve


def handle(message: Message, blobs: list[bytearray]) -> tuple[Message, Sequence[Blob]]:
    """Answer one request.

    Raises:
        ValueError: an operation that does not exist, or input that cannot be clustered.
    """
    match message["op"]:
        case "cluster":
            from mediad.analysis.clusters import cluster  # heavy: a job by name does without

            embeddings = np.frombuffer(blobs[0], np.float32).reshape(message["shape"])
            labels = cluster(embeddings, ClusterSettings.from_message(message))
        case "names":
            from mediad.analysis.by_name import group_by_name

            labels = group_by_name(message["paths"], message["least"])
        case unknown:
            raise ValueError(f"the clustering process knows no operation {unknown!r}")
    return {}, [labels.tobytes()]


def make_handler() -> Handler:
    """What `channel.serve` asks for; nothing is loaded before the first request says what it needs."""
    return handle


if __name__ == "__main__":
    serve(child_parser().parse_args(), make_handler)
