"""The pipeline under faults: nothing is lost, nothing waits for ever, nobody is blamed for another's fault."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from PIL import Image
from tests.engine.conftest import draw
from tests.engine.pipe import OTHER, VOLUME, Pipe, encode, encoder_info, running, until

from mediad.encoders.client import EncoderError
from mediad.ingest.moves import named
from mediad.ingest.scan import absent, compare, mark_missing
from mediad.model import Volume
from mediad.store import Store
from mediad.store.work import WorkItem
from mediad.workers.vanished import Vanished


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Pipe]:
    root = tmp_path / "volume"
    root.mkdir()
    with Store(tmp_path / "store") as store:
        with store.write() as tx:
            tx.volumes.put(Volume(VOLUME, "volume", str(root)))
        yield Pipe(store, {VOLUME: root}, tmp_path)


def work(pipe: Pipe) -> dict[bytes, WorkItem]:
    with pipe.store.read() as tx:
        return {item.key: item for item in tx.work.after(b"")}


def test_unread_files_of_a_volume_that_is_away_stop_nothing(pipe: Pipe) -> None:
    root = pipe.roots[VOLUME]
    for seed in range(5):
        draw(root / f"{seed}.png", seed)
    pipe.away.add(VOLUME)
    with running(pipe):
        pipe.scan()
        answered: list[Any] = []
        asker = threading.Thread(target=lambda: answered.extend([pipe.pipeline.pending(), pipe.pipeline.busy()]))
        asker.daemon = True
        asker.start()
        asker.join(5)
        assert answered == [(5, 0), False]
        before = time.process_time()
        time.sleep(1)
        assert time.process_time() - before < 0.3
        pipe.away.clear()
        pipe.pipeline.wake()
        until(lambda: pipe.counter("decodes") == 5)


def test_what_is_due_later_costs_nothing_until_then(pipe: Pipe) -> None:
    with pipe.store.write() as tx:
        for number in range(20_000):
            tx.work.put(WorkItem(bytes.fromhex(VOLUME) + bytes(8) + b"%06d" % number, time.time() + 600, 3, "EIO"))
    with running(pipe):
        time.sleep(0.5)
        before = time.process_time()
        time.sleep(2)
        assert time.process_time() - before < 0.3


def test_a_clock_set_back_does_not_put_off_what_waits(pipe: Pipe) -> None:
    draw(pipe.roots[VOLUME] / "a.png", 1)
    pipe.scan()
    (key,) = work(pipe)
    with pipe.store.write() as tx:
        tx.work.put(WorkItem(key, time.time() + 365 * 86400, 1, "busy"))  # as written before the clock was set back
    with running(pipe):
        until(lambda: pipe.counter("decodes") == 1)


def test_an_entry_without_a_file_is_dropped(pipe: Pipe) -> None:
    with pipe.store.write() as tx:
        tx.work.put(WorkItem(bytes.fromhex(VOLUME) + bytes(8) + b"nothing.png"))
    with running(pipe):
        pipe.until_idle(10)
        assert pipe.pipeline.pending() == (0, 0)


def test_a_failing_encoder_stops_nothing_and_is_tried_again(pipe: Pipe) -> None:
    root = pipe.roots[VOLUME]
    for seed in range(100):  # more than fit into the queue in front of it
        draw(root / f"{seed}.png", seed)
    broken = True

    def fail(info: Any, inputs: Any) -> Any:
        if broken:
            raise EncoderError("it was killed")
        return encode(info, inputs)

    pipe.encode = fail
    with running(pipe):
        pipe.scan()
        until(lambda: pipe.counter("decodes") == 100)
        until(lambda: pipe.pipeline.pending()[1] == 100)
        broken = False
        until(lambda: pipe.counter("embeddings") == 100)
        pipe.until_idle()
        assert (pipe.counter("decodes"), pipe.pipeline.pending()) == (100, (0, 0))


@pytest.mark.long
def test_an_encoder_that_is_broken_for_good_lets_a_sync_end(pipe: Pipe) -> None:
    draw(pipe.roots[VOLUME] / "a.png", 1)
    calls: list[float] = []

    def fail(*_: Any) -> Any:
        calls.append(time.monotonic())
        raise EncoderError("its weights are damaged")

    pipe.encode = fail
    with running(pipe):
        pipe.scan()
        until(lambda: pipe.counter("decodes") == 1)
        pipe.until_idle(15)
        assert pipe.pipeline.pending() == (0, 1)
        assert len(calls) <= 5


def test_one_picture_that_the_encoder_cannot_take_keeps_no_other_back(pipe: Pipe) -> None:
    root = pipe.roots[VOLUME]
    for seed in range(8):
        draw(root / f"{seed}.png", seed)
    Image.new("RGB", (64, 48)).save(root / "black.png")

    def choosy(info: Any, inputs: Any) -> Any:
        if any(not one.any() for one in inputs):
            raise EncoderError("a vector of length 0")
        return encode(info, inputs)

    pipe.encode = choosy
    with running(pipe):
        pipe.scan()
        until(lambda: pipe.counter("embeddings") == 8, 20)


def test_vectors_are_kept_as_those_of_the_encoder_that_made_them(pipe: Pipe) -> None:
    one, two = encoder_info("one"), encoder_info("two")
    asked: list[str] = []
    gate = threading.Event()

    def slow(info: Any, inputs: Any) -> Any:
        gate.wait(20)
        asked.append(info.id)
        return encode(info, inputs)

    pipe.encode = slow
    draw(pipe.roots[VOLUME] / "a.png", 1)
    with running(pipe):
        pipe.scan()
        until(lambda: pipe.counter("decodes") == 1)
        pipe.encoder = two  # the setting changed while a batch was under way
        gate.set()
        until(lambda: pipe.counter("embeddings") == 1)
    with pipe.store.read() as tx:
        kept = [info for info in (one, two) for _ in tx.vectors.ids(info.id)]
    assert [info.id for info in kept] == asked


def test_a_change_while_a_file_is_being_taken_in_is_not_lost(pipe: Pipe) -> None:
    path = draw(pipe.roots[VOLUME] / "a.png", 1)
    with running(pipe):
        pipe.scan()
        pipe.until_idle()
        draw(path, 2)
        with pipe.read_but_not_recorded(1):
            draw(path, 3)
            pipe.scan()
        pipe.until_idle()
        assert pipe.files()["a.png"].stat.mtime_ns == path.stat().st_mtime_ns
        assert pipe.counter("decodes") == 3


def test_a_file_deleted_while_it_is_taken_in_does_not_come_back(pipe: Pipe) -> None:
    root = pipe.roots[VOLUME]
    path = draw(root / "a.png", 1)
    with running(pipe):
        pipe.scan()
        pipe.until_idle()
        draw(path, 2)
        with pipe.read_but_not_recorded(1):
            path.unlink()
            with pipe.store.write() as tx:
                assert mark_missing(tx, absent(os.fsencode(root), list(tx.files), lambda _: False)) == 1
        pipe.until_idle()
    assert pipe.files()["a.png"].missing
    assert pipe.journal()[-1][0] == "missing"


def test_a_file_that_was_new_and_is_gone_again_leaves_an_orphan_for_the_retention(pipe: Pipe) -> None:
    root = pipe.roots[VOLUME]
    path = draw(root / "a.png", 1)
    with running(pipe):
        with pipe.read_but_not_recorded(1):
            path.unlink()
            with pipe.store.write() as tx:
                mark_missing(tx, absent(os.fsencode(root), list(tx.files), lambda _: False))
        pipe.until_idle()
    with pipe.store.read() as tx:
        assert (tx.assets.count(), len(tx.assets.orphans(time.time() - 60))) == (1, 0)
        assert len(tx.assets.orphans(time.time() + 60)) == 1
    assert (pipe.files(), pipe.journal()) == ({}, [])


def test_copies_of_what_is_on_an_unplugged_drive_are_no_move(pipe: Pipe, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    pipe.roots[OTHER] = other
    with pipe.store.write() as tx:
        tx.volumes.put(Volume(OTHER, "other", str(other)))
    drive = pipe.roots[VOLUME]
    path = draw(drive / "a.png", 1)
    with running(pipe):
        pipe.scan()
        pipe.until_idle()
        shutil.copy2(path, other / "a.png")
        pipe.unproven.add(VOLUME)  # it was unplugged a moment ago, and its loop has not noticed yet
        path.unlink()
        pipe.scan(OTHER)
        pipe.until_idle()
    with pipe.store.read() as tx:
        files = list(tx.files)
    assert sorted(file.volume for file in files) == [VOLUME, OTHER]
    assert [kind for kind, _ in pipe.journal()] == ["added", "added"]


def test_what_was_read_while_another_drive_stood_in_the_place_is_not_recorded(pipe: Pipe) -> None:
    draw(pipe.roots[VOLUME] / "a.png", 1)
    pipe.unproven.add(VOLUME)
    with running(pipe):
        pipe.scan()
        pipe.until_idle()
        assert (pipe.files()["a.png"].content_id, pipe.journal(), pipe.counter("decodes")) == (None, [], 0)
        assert [ended.why for ended in pipe.ended] == ["its volume went away while it was read"]
        pipe.unproven.clear()
        pipe.scan()
        pipe.until_idle()
    assert pipe.journal() == [("added", "a.png")]
    assert (pipe.counter("decodes"), pipe.counter("embeddings")) == (1, 1)


def test_a_rename_and_a_new_file_in_the_old_place_lose_neither(pipe: Pipe) -> None:
    root = pipe.roots[VOLUME]
    path = draw(root / "b.png", 1)
    with running(pipe):
        pipe.scan()
        pipe.until_idle()
        first = pipe.files()["b.png"].id
        path.rename(root / "a.png")  # read first, because it sorts first
        draw(path, 2)
        pipe.scan()
        pipe.until_idle()
        files = pipe.files()
        assert files["a.png"].id == first
        assert files["b.png"].content_id not in (None, files["a.png"].content_id)
        assert files["b.png"].id != first
        assert pipe.counter("decodes") == 2
    assert [kind for kind, _ in pipe.journal()] == ["added", "moved", "added"]


def test_what_was_told_to_be_missing_is_told_to_be_restored_wherever_it_turns_up(pipe: Pipe) -> None:
    root = pipe.roots[VOLUME]
    path = draw(root / "a.png", 1)
    with running(pipe):
        pipe.scan()
        pipe.until_idle()
        before = pipe.files()["a.png"].id
        path.rename(root / "aside.part")
        with pipe.store.write() as tx:
            mark_missing(tx, list(tx.files))
        (root / "aside.part").rename(root / "b.png")
        pipe.scan()
        pipe.until_idle()
    assert {name: file.id for name, file in pipe.files().items()} == {"b.png": before}
    assert pipe.journal() == [("added", "a.png"), ("missing", "a.png"), ("restored", "b.png")]


def test_what_is_recorded_as_moved_to_a_place_that_it_has_left_already_is_missing(pipe: Pipe) -> None:
    root = pipe.roots[VOLUME]
    path = draw(root / "a.png", 1)
    vanished = Vanished(
        pipe.store,
        VOLUME,
        os.fsencode(root),
        follow=False,
        excluded=lambda _: False,
        healthy=lambda: True,
        unsettled=set,
        expecting=lambda: False,
    )
    with running(pipe):
        pipe.scan()
        pipe.until_idle()
        path.rename(root / "b.png")
        with pipe.read_but_not_recorded(1):
            (root / "b.png").unlink()
            vanished.add([pipe.files()["b.png"]], full=False)  # a scan knows it by the id of a new file
        pipe.until_idle()
    assert pipe.journal()[-1] == ("moved", "b.png")
    until(lambda: vanished.decide() or not vanished.undecided)
    assert pipe.files()["b.png"].missing
    assert pipe.journal()[-1] == ("missing", "b.png")


def test_what_was_missing_came_back_and_went_again_while_it_was_read_stays_missing(pipe: Pipe) -> None:
    root = pipe.roots[VOLUME]
    path = draw(root / "a.png", 1)
    with running(pipe):
        pipe.scan()
        pipe.until_idle()
        path.unlink()
        with pipe.store.write() as tx:
            mark_missing(tx, list(tx.files))
        draw(path, 2)
        with pipe.read_but_not_recorded(1):
            path.unlink()
            with pipe.store.write() as tx:
                assert mark_missing(tx, compare(tx, VOLUME, b"", [], []).gone) == 0
        pipe.until_idle()
    assert pipe.files()["a.png"].missing
    assert [kind for kind, _ in pipe.journal()] == ["added", "missing"]


def test_hard_links_are_copies_and_stay_when_one_of_them_goes(pipe: Pipe) -> None:
    root = pipe.roots[VOLUME]
    path = draw(root / "a.png", 1)
    with running(pipe):
        pipe.scan()
        pipe.until_idle()
        os.link(path, root / "b.png")
        pipe.scan()
        pipe.until_idle()
        assert {kind for kind, _ in pipe.journal()} == {"added"}
        assert len(pipe.files()) == 2
        before = {name: file.id for name, file in pipe.files().items()}
        path.rename(root / "c.png")
        pipe.scan()
        pipe.until_idle()
        assert {name: file.id for name, file in pipe.files().items()} == {
            "b.png": before["b.png"],
            "c.png": before["a.png"],
        }
        assert pipe.counter("decodes") == 1


def test_a_name_in_another_case_is_a_rename_where_the_file_system_ignores_case(tmp_path: Path) -> None:
    path = draw(tmp_path / "A.png", 1)
    assert named(os.fsencode(path))
    assert not named(os.fsencode(tmp_path / "a.png"))
    assert named(b"/nowhere/a.png")


def test_a_full_disk_for_previews_quarantines_nobody(pipe: Pipe) -> None:
    draw(pipe.roots[VOLUME] / "a.png", 1)
    blocker = pipe.home / "previews"
    blocker.write_bytes(b"")  # in place of the directory: no preview can be written
    with running(pipe):
        for tries in range(1, 4):
            pipe.scan()
            until(partial(ended, pipe, tries))
            with pipe.store.write() as tx:  # do not wait for the next try
                for item in list(tx.work.after(b"")):
                    tx.work.put(replace(item, not_before=0.0))
            pipe.pipeline.wake()
        blocker.unlink()
        until(lambda: pipe.counter("decodes") == 1)
    with pipe.store.read() as tx:
        assert not list(tx.attempts.quarantined())


def test_stopping_in_the_middle_of_decoding_counts_as_no_attempt(pipe: Pipe) -> None:
    for seed in range(3):
        draw(pipe.roots[VOLUME] / f"{seed}.png", seed, (2400, 1800))
    pipe.scan()
    for _ in range(2):
        with running(pipe):
            until(lambda: 1 in attempts(pipe))
            started = time.monotonic()
        assert time.monotonic() - started < 3
        assert not any(attempts(pipe))
        pipe.renew()
    with running(pipe):
        until(lambda: pipe.counter("decodes") == 3)


def ended(pipe: Pipe, tries: int) -> bool:
    return len(pipe.ended) >= tries


def attempts(pipe: Pipe) -> list[int]:
    with pipe.store.read() as tx:
        return [orjson.loads(value)["count"] for _, value in tx.raw.items("attempts")]


def test_a_file_that_cannot_be_recorded_keeps_no_other_back(pipe: Pipe, tmp_path: Path) -> None:
    other = tmp_path / "other"
    pipe.roots[OTHER] = other
    original = draw(other / "a.png", 100)
    with running(pipe):
        pipe.scan(OTHER)
        pipe.until_idle()
        pipe.defect = OTHER  # whoever asks where that volume is, as only the recording of a copy does
        shutil.copy(original, pipe.roots[VOLUME] / "copy.png")
        for seed in range(4):
            draw(pipe.roots[VOLUME] / f"{seed}.png", seed)
        pipe.scan()
        until(lambda: pipe.counter("decodes") == 5)
        pipe.until_idle()
        (left,) = work(pipe).values()
        assert (left.key[12:], left.tries) == (b"copy.png", 1)
