from __future__ import annotations

import fcntl
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
from tests.encoders.conftest import Hub

from mediad.encoders import AUTO, Pull, WeightsUnavailable, parse, resolve
from mediad.encoders.download import NotThere, Remote, fetch
from mediad.encoders.pull import pull
from mediad.encoders.sources import remotes

CONTENT = np.random.default_rng(0).bytes(3_000_000)
AUTO_PATH = "/laion/CLIP-ViT-B-32-256x256-DataComp-s34B-b86K/resolve/main/open_clip_model.safetensors"


def ignore(done: int, total: int | None) -> None: ...


def test_resumes_after_a_drop_within_one_call(hub: Hub, tmp_path: Path) -> None:
    hub.put("/file", CONTENT)
    hub.drop_after = 1_200_000
    seen: list[tuple[int, int | None]] = []
    path = fetch(Remote(f"{hub.url}/file", "file"), tmp_path / "file", lambda *at: seen.append(at))
    assert path.read_bytes() == CONTENT
    (_, first), (_, second) = hub.requests
    assert first is None
    assert second is not None
    assert 0 < int(second.removeprefix("bytes=").rstrip("-")) <= 1_200_000
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert sorted(seen) == seen, "progress never goes back"
    assert list(tmp_path.iterdir()) == [path], "no part is left"


def test_resumes_what_an_earlier_process_left(hub: Hub, tmp_path: Path) -> None:
    hub.put("/file", CONTENT)
    (tmp_path / "file.part").write_bytes(CONTENT[:1_000_000])
    assert fetch(Remote(f"{hub.url}/file", "file"), tmp_path / "file", ignore).read_bytes() == CONTENT
    assert hub.requests == [("/file", "bytes=1000000-")]


@pytest.mark.parametrize("part", [CONTENT, CONTENT + b"too long"], ids=["whole", "longer"])
def test_a_part_that_is_whole_or_longer_ends_well(part: bytes, hub: Hub, tmp_path: Path) -> None:
    hub.put("/file", CONTENT)
    (tmp_path / "file.part").write_bytes(part)
    assert fetch(Remote(f"{hub.url}/file", "file"), tmp_path / "file", ignore).read_bytes() == CONTENT


def test_starts_over_where_the_server_cannot_resume(hub: Hub, tmp_path: Path) -> None:
    hub.put("/file", CONTENT)
    hub.ranges = False
    (tmp_path / "file.part").write_bytes(b"x" * 1000)
    assert fetch(Remote(f"{hub.url}/file", "file"), tmp_path / "file", ignore).read_bytes() == CONTENT


@pytest.mark.parametrize("known", ["", "00000000"], ids=["announced by the hub", "known ahead"])
def test_wrong_checksum_is_refused_and_removed(known: str, hub: Hub, tmp_path: Path) -> None:
    hub.put("/file", CONTENT)
    if not known:
        hub.announce["/file"] = "0" * 64
    with pytest.raises(WeightsUnavailable, match="damaged"):
        fetch(Remote(f"{hub.url}/file", "file", known), tmp_path / "file", ignore)
    assert list(tmp_path.iterdir()) == []


def test_one_download_at_a_time(hub: Hub, tmp_path: Path) -> None:
    hub.put("/file", CONTENT)
    with (tmp_path / "file.part").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(WeightsUnavailable, match="another process"):
            fetch(Remote(f"{hub.url}/file", "file"), tmp_path / "file", ignore)
    assert hub.requests == []


def test_what_is_not_there_leaves_nothing(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(NotThere):
        fetch(Remote(f"{hub.url}/gone", "file"), tmp_path / "file", ignore)
    assert list(tmp_path.iterdir()) == []


@contextmanager
def black_hole() -> Iterator[int]:
    """A port that accepts no connection and refuses none: its queue is full."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = server.getsockname()[1]
        for _ in range(2):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        yield port


def test_unreachable_host_fails_soon_and_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    remotes(parse(AUTO))  # the registry is imported before the clock runs
    with black_hole() as port:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
        start = time.monotonic()
        with pytest.raises(WeightsUnavailable) as caught:
            pull(parse(AUTO), tmp_path, ignore)
    assert time.monotonic() - start < 5
    for hint in ("no connection to 127.0.0.1", str(tmp_path / "open_clip"), 'encoder = "descriptor"'):
        assert hint in str(caught.value)


def test_pull_makes_auto_the_real_encoder(hub: Hub, tmp_path: Path) -> None:
    """The whole way in its own process: registry, redirect, drop, resume, checksum, place."""
    hub.put(AUTO_PATH, CONTENT)
    hub.drop_after = 2_000_000
    seen: list[tuple[int, int | None]] = []
    path = Pull("auto", tmp_path).wait(lambda *at: seen.append(at))
    assert path.read_bytes() == CONTENT
    assert len(hub.requests) == 2
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert resolve("auto", tmp_path).spec == AUTO


def test_second_choice_of_file_is_tried(hub: Hub, tmp_path: Path) -> None:
    hub.put("/timm/resnet50.a1_in1k/resolve/main/pytorch_model.bin", CONTENT)
    assert pull(parse("timm:resnet50"), tmp_path, ignore) == tmp_path / "timm" / "resnet50" / "pytorch_model.bin"
    asked = len(hub.requests)
    assert pull(parse("timm:resnet50"), tmp_path, ignore).exists()
    assert len(hub.requests) == asked, "what is there is not fetched again"


@pytest.mark.parametrize(
    ("spec", "advice"),
    [
        ("timm:resnet5O", "did you mean resnet50"),
        ("timm:resnet50.nonsense", "did you mean resnet50."),
        ("open_clip:ViT-B32/openai", "did you mean ViT-B-32"),
        ("open_clip:ViT-B-32/laion2b_s34b", "did you mean laion2b_s34b_b79k"),
        ("descriptor", "no weights to download"),
    ],
)
def test_unknown_names_get_near_ones(spec: str, advice: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable) as caught:
        pull(parse(spec), tmp_path, ignore)
    assert advice in str(caught.value)


def test_addresses_carry_their_checksums() -> None:
    (vgg,) = remotes(parse("open_clip:RN50/yfcc15m"))[:1]
    assert vgg.url.startswith("http")
    first, second = remotes(parse(AUTO))
    assert (first.name, second.name) == ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
