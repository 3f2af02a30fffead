"""Another encoder is another space: filled beside the old one, from previews, while the old one goes on serving."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tests.daemon import Daemon
from tests.engine.conftest import Running, draw, files_of
from tests.engine.pipe import encoder_info, until

from mediad.ingest.spaces import Spaces
from mediad.model import ContentId
from mediad.store import Store


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


@pytest.mark.long
def test_a_change_of_encoder_ends_though_some_assets_cannot_be_embedded(
    start: Callable[..., Running], tmp_path: Path, mini_clip: str
) -> None:
    here, drive = tmp_path / "here", tmp_path / "drive"
    for seed in range(4):
        draw(here / f"{seed}.png", seed, (600, 450))
        draw(drive / f"{seed}.png", 10 + seed, (600, 450))
    running = start(here, drive)
    running.sync()
    engine = running.engine
    drive.rename(tmp_path / "unplugged")
    running.sync()
    (away,) = (volume["id"] for volume in engine.status()["volumes"] if volume["name"] == "drive")
    with engine.store.read() as tx:
        contents = [file.content_id for file in tx.files if file.volume == away and file.content_id is not None]
    for content_id in contents:
        for preview in (running.catalog_dir / "previews").glob(f"*/{content_id.hex()}*"):
            preview.unlink()
    engine._config_changed(engine.settings.model_copy(update={"encoder": mini_clip}))
    until(lambda: str(engine.status()["encoder"]["spec"]).startswith("open_clip"), 90)
    assert engine.status()["encoder"]["filling"] is None
    assert running.counters()["embeddings"] == 8 + 4
    (tmp_path / "unplugged").rename(drive)
    running.sync()
    until(lambda: running.counters()["embeddings"] == 8 + 8, 90)  # decoded again, since their previews are lost


def test_vectors_of_a_former_encoder_are_kept_for_the_retention(tmp_path: Path) -> None:
    one, other = encoder_info("clip:1"), encoder_info("descriptor:1")
    content = ContentId(bytes(16))
    with Store(tmp_path) as store:
        with store.write() as tx:
            for info in (one, other):
                tx.vectors.add_space(info)
                tx.vectors.put(info.id, content, np.ones((1, 4), np.float32))
            tx.meta.put("serving_encoder", one.id)
        spaces = Spaces(store, lambda spec: pytest.fail(f"{spec} was started"), tmp_path)

        def kept() -> set[str]:
            with store.read() as tx:
                return {info.id for info in tx.vectors.spaces() if tx.vectors.has(info.id, content)}

        for filling in (other, one):  # there and back: nothing is made twice
            spaces.filling = filling
            assert spaces.changing
            assert spaces.complete()
            assert spaces.forget_left(3600) == 0
            assert kept() == {one.id, other.id}
        assert spaces.forget_left(-1) == 1
        assert kept() == {one.id}
        assert spaces.forget_left(-1) == 0
        spaces.filling = replace(one, backend="another")  # the same space, computed otherwise
        assert not spaces.changing


@pytest.mark.long
def test_going_back_to_an_encoder_costs_nothing(start: Callable[..., Running], tmp_path: Path, mini_clip: str) -> None:
    for seed in range(4):
        draw(tmp_path / "volume" / f"{seed}.png", seed, (600, 450))
    running = start(tmp_path / "volume")
    running.sync()
    engine = running.engine
    for setting, prefix, embeddings in ((mini_clip, "open_clip", 8), ("descriptor", "descriptor", 8)):
        engine._config_changed(engine.settings.model_copy(update={"encoder": setting}))
        until(partial(serves, running, prefix), 90)
        assert running.counters()["embeddings"] == embeddings
    assert len(engine.similar(next(iter(files_of(running.sync()).values()))["id"], 3)) == 3


def serves(running: Running, prefix: str) -> bool:
    return str(running.engine.status()["encoder"]["spec"]).startswith(prefix)
