"""Small real models with random weights, a hub on loopback that misbehaves on request, and pictures."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import orjson
import pytest
from numpy.typing import NDArray

from mediad.encoders import Encoder

TINY_CLIP = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}
TINY_TIMM = "test_vit"
Warm = Callable[[str], Encoder]


@pytest.fixture(scope="session")
def warm(request: pytest.FixtureRequest, weights_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    """Each encoder once, by name, after it has seen enough pictures to have chosen how to compute."""
    plain = {"descriptor": "descriptor", "timm": f"timm:{TINY_TIMM}"}
    made: dict[str, Encoder] = {}

    def start(name: str) -> Encoder:
        if name not in made:
            spec = plain.get(name) or str(request.getfixturevalue(name))
            made[name] = Encoder(spec, weights_dir, tmp_path_factory.mktemp("state"), nice=0)
            made[name].encode_images(pictures(16, made[name].info().input.size))
        return made[name]

    yield start
    for encoder in made.values():
        encoder.stop()


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The setting of an open_clip model made here: a vision transformer of two layers."""
    import open_clip
    import torch

    folder = tmp_path_factory.mktemp("tiny-clip")
    config, checkpoint = folder / "tiny-made-by-test.json", folder / "tiny.pt"
    config.write_bytes(orjson.dumps(TINY_CLIP))
    open_clip.add_model_config(config)
    torch.manual_seed(0)
    torch.save(open_clip.create_model("tiny-made-by-test").state_dict(), checkpoint)
    return f"open_clip:{config}:{checkpoint}"


@pytest.fixture(scope="session")
def weights_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights directory with random weights of the smallest timm model, as a person would place a file offline."""
    import timm
    import torch
    from safetensors.torch import save_file

    root = tmp_path_factory.mktemp("weights")
    folder = root / "timm" / TINY_TIMM
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    save_file(timm.create_model(TINY_TIMM, pretrained=False).state_dict(), folder / "model.safetensors")
    return root


def pictures(count: int, size: int, seed: int = 0) -> NDArray[np.uint8]:
    """Unlike pictures: blurred noise of random colours and scales, with a bright disc somewhere."""
    random = np.random.default_rng(seed)
    made = np.empty((count, size, size, 3), np.uint8)
    rows, columns = np.mgrid[:size, :size]
    for picture in made:
        scale = 2 ** int(random.integers(1, 5))
        coarse = random.integers(0, 256, (size // scale + 1, size // scale + 1, 3), np.uint8)
        picture[:] = coarse.repeat(scale, 0).repeat(scale, 1)[:size, :size]
        y, x, radius = random.integers(size // 4, size // 2, 3)
        picture[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = random.integers(0, 256, 3)
    return made


@dataclass
class Hub:
    """Files by path, and how to serve them. `requests` is what was asked: path and Range header."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    announce: dict[str, str] = field(default_factory=dict)
    drop_after: int | None = None
    ranges: bool = True
    requests: list[tuple[str, str | None]] = field(default_factory=list)

    def put(self, path: str, content: bytes) -> None:
        self.files[path] = content
        self.announce[path] = hashlib.sha256(content).hexdigest()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A server that stands for the hub, with its redirect to the storage, named by HF_ENDPOINT."""
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, storage = self.path.partition("?")
            content = state.files.get(path)
            if content is None:
                self.send_error(404)
            elif not storage:
                self._redirect(path)
            else:
                state.requests.append((path, self.headers.get("Range")))
                self._serve(content)

        def _redirect(self, path: str) -> None:
            self.send_response(302)
            self.send_header("Location", f"{path}?storage")
            self.send_header("X-Linked-Etag", f'"{state.announce[path]}"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _serve(self, content: bytes) -> None:
            wanted = self.headers.get("Range") if state.ranges else None
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
            if wanted and start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            end = len(content) if state.drop_after is None else start + state.drop_after
            state.drop_after = None
            self.wfile.write(content[start:end])
            if end < len(content):
                self.close_connection = True

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", state.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield state
    server.shutdown()
    server.server_close()
    thread.join()
