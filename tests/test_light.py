"""The daemon is light: what is heavy lives in children, and they are gone when there is nothing to do."""

from __future__ import annotations

import re
import time
from pathlib import Path

import psutil
from tests.daemon import Daemon
from tests.engine.conftest import draw

HEAVY = ("torch", "cv2", "umap", "hdbscan", "sklearn", "scipy", "PIL", "av", "numba", "open_clip", "timm")
_PACKAGE = re.compile(rf"/site-packages/({'|'.join(HEAVY)})/|/lib({'torch|opencv'})")


def loaded(pid: int) -> set[str]:
    """Heavy packages of which a process has a shared object mapped; all of them have some."""
    found = _PACKAGE.findall(Path(f"/proc/{pid}/maps").read_text())
    return {package or library for package, library in found}


def family(pid: int) -> list[psutil.Process]:
    daemon = psutil.Process(pid)
    return [daemon, *daemon.children(recursive=True)]


def test_a_daemon_that_has_done_everything_is_small_and_alone(tmp_path: Path) -> None:
    root = tmp_path / "library"
    for seed in range(40):
        draw(root / f"{seed}.jpg", seed, (300, 200))
    daemon = Daemon(tmp_path / "home", [root])
    daemon.home.mkdir()
    daemon.write_config()
    idling = 'settle = 0.3\nencoder_idle = "1 s"\ndecoder_idle = "1 s"'
    daemon.config.write_text(daemon.config.read_text().replace("settle = 0.3", idling))
    with daemon:
        daemon.sync("--clusters")
        assert daemon.json("similar", root / "1.jpg", "-n", 3)
        assert daemon.json("search", "--image", root / "2.jpg", "-n", 3)
        pid = daemon.status()["pid"]
        assert loaded(pid) == set()
        daemon.until(lambda: len(family(pid)) == 1, 30)
        assert psutil.Process(pid).memory_info().rss < 120_000_000
        before = sum(psutil.Process(pid).cpu_times()[:2])
        time.sleep(10)  # what is measured is that nothing happens
        assert sum(psutil.Process(pid).cpu_times()[:2]) - before < 0.1
        assert loaded(pid) == set()


def test_the_oracle_knows_a_heavy_process() -> None:
    import PIL.Image  # noqa: F401 - it is what is looked for

    assert "PIL" in loaded(psutil.Process().pid)
