"""Another encoder is another space: filled beside the old one, from previews, while the old one goes on serving."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.daemon import Daemon
from tests.engine.conftest import draw


@pytest.mark.long
def test_a_change_of_encoder_embeds_anew_without_decoding_and_without_losing_search(
    tmp_path: Path, mini_clip: str
) -> None:
    root = tmp_path / "library"
    pictures = [draw(root / f"{seed}.png", seed, (600, 450)) for seed in range(12)]
    with Daemon(tmp_path / "home", [root]) as daemon:
        daemon.sync()
        before = daemon.counters()
        daemon.write_config(encoder=mini_clip)
        serving = set()

        def changed_over() -> bool:
            assert len(daemon.json("similar", pictures[0], "-n", 5)) == 5
            encoder = daemon.status()["encoder"]
            serving.add(encoder["id"].partition(":")[0])
            return bool(encoder["id"].startswith("open_clip"))

        daemon.until(changed_over, 120)
        assert serving == {"descriptor", "open_clip"}
        after = daemon.counters()
        assert after["decodes"] == before["decodes"]
        assert after["embeddings"] == before["embeddings"] + len(pictures)
        assert len(daemon.json("search", "a picture", "-n", 3)) == 3

        draw(root / "later.png", 99)
        daemon.sync()
        assert daemon.counters()["embeddings"] == after["embeddings"] + 1
