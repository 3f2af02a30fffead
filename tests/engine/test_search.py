"""Search agrees with the store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.engine.conftest import Running, draw

from mediad.ingest.job import Job
from mediad.model import ContentId


def test_what_was_forgotten_while_it_was_encoded_takes_nobodys_place(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    pictures = [draw(tmp_path / "volume" / f"{seed}.png", seed) for seed in range(4)]
    running = start(tmp_path / "volume")
    running.sync()
    engine = running.engine
    assert len(engine.similar(str(pictures[0]), 3)) == 3
    serving = engine._spaces.serving
    assert serving is not None
    with engine.store.read() as tx:
        vector = tx.vectors.get(serving.id, next(iter(tx.vectors.ids(serving.id))))
    assert vector is not None
    engine._recorded([Job(content_id=ContentId(bytes(16)), encoder=serving, vectors=vector.reshape(1, -1))])
    assert [len(engine.similar(str(path), 3)) for path in pictures] == [3, 3, 3, 3]
