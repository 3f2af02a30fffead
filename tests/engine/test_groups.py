"""The grouping loop: idle it rests, whatever it waits for; clustering that fails is put off, and holds nobody up."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.engine.conftest import Running, draw
from tests.engine.pipe import encoder_info, until

from mediad.analysis.settings import ClusterSettings
from mediad.config.settings import Settings
from mediad.ingest.previews import Previews
from mediad.ingest.scan import place
from mediad.media.decoder import Decoder
from mediad.model import Asset, ChangeType, ContentId, EncoderInfo, File, Kind, Stat, Volume, VolumeId
from mediad.store import Store
from mediad.supervisor import Supervisor
from mediad.workers.clusters import ClusterKeeper
from mediad.workers.groups import GroupWorker
from mediad.workers.sequences import SequenceKeeper
from mediad.workers.stopwatch import Stopwatch

VOLUME = VolumeId("00000001")


def commits(running: Running) -> int:
    return int(running.engine.store._env.info()["last_txnid"])


def cost(seconds: float) -> float:
    before = time.process_time()
    time.sleep(seconds)
    return (time.process_time() - before) / seconds


def test_an_idle_daemon_writes_nothing(start: Callable[..., Running], tmp_path: Path) -> None:
    for seed in range(3):
        draw(tmp_path / "volume" / f"{seed}.png", seed)
    running = start(tmp_path / "volume")
    running.sync()
    time.sleep(1)
    before = commits(running)
    time.sleep(5.5)  # longer than the loops' own looks
    assert commits(running) == before


def test_asking_for_clusters_while_there_is_no_encoder_costs_nothing(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    draw(tmp_path / "volume" / "a.png", 1)
    running = start(tmp_path / "volume", encoder="open_clip:/nowhere/model.json:/nowhere/weights.pt")
    running.sync()
    running.engine.recluster()
    assert cost(1.5) < 0.3
    assert running.sync(clusters=True)["metadata"]["total_images"] == 1


class Bench:
    """A grouping loop over a store with embedded assets."""

    def __init__(self, home: Path, store: Store, count: int) -> None:
        self.info: EncoderInfo | None = encoder_info("one")
        self.store = store
        assert self.info is not None
        with store.write() as tx:
            tx.volumes.put(Volume(VOLUME, "volume", "/volume"))
            tx.vectors.add_space(self.info)
            for number in range(count):
                content = ContentId(b"%016d" % number)
                tx.assets.put(Asset(content, Kind.IMAGE, 8, 8, "PNG", "1"))
                tx.files.put(File(f"{number:016x}", VOLUME, b"%d.png" % number, Stat(1, 1, 1, number + 1), content))
                vector = np.random.default_rng(number).normal(size=(1, 4))
                tx.vectors.put(self.info.id, content, (vector / np.linalg.norm(vector)).astype(np.float32))
        stopwatch = Stopwatch()
        settings = ClusterSettings(method="kmeans", reduce="none")
        self.clusters = ClusterKeeper(store, settings, stopwatch, by_name=False, nice=0)
        self.beats: list[float] = []
        decoder = Decoder()
        self.worker = GroupWorker(
            store,
            SequenceKeeper(store, Previews(home / "previews"), decoder, stopwatch, gif_size=32, gif_frames=0),
            self.clusters,
            Settings().schedule,
            serving=lambda: self.info,
            ingest_busy=lambda: False,
            changed=lambda: None,
            beat=lambda _: self.beats.append(time.monotonic()),
        )

    def reclusters(self) -> int:
        with self.store.read() as tx:
            return tx.meta.counter("reclusters")


def run(bench: Bench) -> Supervisor:
    supervisor = Supervisor()
    supervisor.start("groups", bench.worker.run, bench.worker.stop)
    return supervisor


def test_clustering_that_fails_is_put_off_and_a_sync_does_not_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/nonexistent/python")  # no process can be started
    with Store(tmp_path / "store") as store:
        bench = Bench(tmp_path, store, 60)
        supervisor = run(bench)
        try:
            bench.worker.recluster()
            until(lambda: not bench.worker.busy(clusters=True), 10)
            assert cost(1.0) < 0.3
            assert bench.reclusters() == 0
        finally:
            supervisor.stop_all()


def test_a_request_during_clustering_waits_without_cost_and_is_done(tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        bench = Bench(tmp_path, store, 60)
        supervisor = run(bench)
        try:
            bench.worker.recluster()
            until(lambda: bench.worker.clustering)
            bench.worker.recluster()
            before = len(bench.beats)
            until(lambda: bench.reclusters() == 2)
            assert len(bench.beats) - before < 50  # it does not go round and round
        finally:
            supervisor.stop_all()


def test_a_long_look_at_sequences_shows_signs_of_life(tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        bench = Bench(tmp_path, store, 60)
        with store.write() as tx:
            for number in range(60):
                file = tx.files.get(VOLUME, b"%d.png" % number)
                assert file is not None
                detail = place(file)
                detail["path"] = f"folder-{number}/{number}.png"
                tx.journal.append(ChangeType.ADDED, file.id, **detail)
        supervisor = run(bench)
        try:
            until(lambda: not bench.worker.busy(clusters=False))
            assert len(bench.beats) >= 60  # one for each directory: a thousand with animations take minutes
        finally:
            supervisor.stop_all()
