"""Saving again and again, killed at random moments: what was acknowledged is there, whole."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from mediad.vector_index import VectorIndex

_SAVE_FOR_EVER = """
import sys
from pathlib import Path
import numpy as np
import structlog
from mediad.vector_index import VectorIndex

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
index = VectorIndex(Path(sys.argv[1]), "encoder-a", 64, flat_limit=3000)
index.load()
while True:
    generation = index.generation + 1
    fresh = np.random.default_rng(generation).normal(size=(50, 64))
    fresh /= np.linalg.norm(fresh, axis=1, keepdims=True)
    index.add(np.arange(50) + 50 * generation, fresh)
    index.save(generation)
    print(generation, flush=True)
"""


@pytest.mark.long
def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    chance = random.Random(4)
    acknowledged = 0
    for _ in range(25):
        with subprocess.Popen(
            [sys.executable, "-c", _SAVE_FOR_EVER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            acknowledged = int(child.stdout.readline())
            timer = threading.Timer(chance.uniform(0, 0.3), child.kill)
            timer.start()
            for line in child.stdout:
                acknowledged = int(line)
        index = VectorIndex(tmp_path, "encoder-a", 64, flat_limit=3000)
        assert index.load()
        assert index.generation in (acknowledged, acknowledged + 1)
        assert np.array_equal(np.sort(index.ids()), np.arange(50, 50 * (index.generation + 1)))
        last = np.random.default_rng(index.generation).normal(size=(50, 64))
        assert index.search(last, 1)[1][:, 0].tolist() == (np.arange(50) + 50 * index.generation).tolist()
    assert index.kind == "fp16"
    assert not list(tmp_path.glob("*.damaged-*"))
