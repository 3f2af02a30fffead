"""Stands in for the daemon under the real unit: does what the daemon and its children do, and what they must not.

Run as `probe.py WRITABLE_BY_ALL CLOSED MOUNTED_LATER`; leaves what it found in the state directory.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import sdnotify

warnings.simplefilter("ignore")
STATE = Path(os.environ["STATE_DIRECTORY"])
WRITABLE, CLOSED, LATER = map(Path, sys.argv[1:4])


def encode() -> str:
    """oneDNN writes machine code for this."""
    import torch

    layer = torch.nn.Conv2d(3, 8, 3).to(torch.bfloat16)
    return str(tuple(layer(torch.randn(2, 3, 32, 32, dtype=torch.bfloat16)).shape))


def cluster() -> str:
    """So does numba for this, and keeps it below NUMBA_CACHE_DIR."""
    import hdbscan
    import numpy as np
    import umap

    points = umap.UMAP(n_neighbors=5, random_state=1).fit_transform(np.random.default_rng(0).random((60, 8), "f4"))
    return str(hdbscan.HDBSCAN(min_cluster_size=3).fit_predict(points).shape)


def decode() -> str:
    import av
    import cv2
    import numpy as np

    return f"{cv2.resize(np.zeros((64, 64, 3), 'u1'), (8, 8)).shape} {av.__version__}"


def store() -> str:
    import faiss
    import lmdb
    import numpy as np

    with lmdb.open(str(STATE / "probe.lmdb"), map_size=1 << 30) as environment, environment.begin(write=True) as writer:
        writer.put(b"a", b"b")
    index = faiss.IndexFlatIP(8)
    index.add(np.ones((5, 8), "f4"))
    return str(index.ntotal)


def listen() -> str:
    """On a unix socket and on loopback."""
    with socket.socket(socket.AF_UNIX) as unix, socket.socket() as loopback:
        unix.bind(str(STATE / "probe.sock"))
        loopback.bind(("127.0.0.1", 0))
        loopback.listen()
        with socket.create_connection(loopback.getsockname(), timeout=5) as client:
            client.sendall(b"x")
            return loopback.accept()[0].recv(1).decode()


def limit_oneself() -> str:
    """As children do: niceness, idle disk priority, limits, a higher chance to be killed when memory is short."""
    import psutil

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)
    Path("/proc/self/oom_score_adj").write_text("500")
    return f"nice {os.nice(10)}, {psutil.virtual_memory().total > 0}"


def watch() -> str:
    """A change on a volume wakes us."""
    from watchdog.events import FileSystemEvent, FileSystemEventHandler
    from watchdog.observers import Observer

    class Seen(FileSystemEventHandler):
        names: list[str]

        def on_any_event(self, event: FileSystemEvent) -> None:
            self.names.append(str(event.src_path))

    handler, folder = Seen(), STATE / "watched"
    handler.names = []
    folder.mkdir()
    observer = Observer()
    observer.schedule(handler, str(folder))
    observer.start()
    (folder / "file").touch()
    end = time.monotonic() + 10
    while not handler.names and time.monotonic() < end:
        time.sleep(0.02)
    observer.stop()
    observer.join()
    return f"woken: {bool(handler.names)}, limit {Path('/proc/sys/fs/inotify/max_user_watches').read_text().strip()}"


def attempt(action: Callable[[], object]) -> str:
    try:
        return f"ok {action()}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def reach(address: str) -> None:
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        sock.sendto(b"x", (address, 9))


def write(path: Path) -> None:
    path.write_text("x")


WORK = (encode, cluster, decode, store, listen, limit_oneself, watch)
FORBIDDEN: dict[str, Callable[[], object]] = {
    "write into a volume that all may write": lambda: write(WRITABLE / "x"),
    "write into /etc": lambda: write(Path("/etc/x")),
    "write into the installation": lambda: write(Path(sys.prefix) / "x"),
    "read what the account may not": (CLOSED / "a.jpg").read_bytes,
    "read the shadow file": lambda: Path("/etc/shadow").read_bytes(),
    "become root": lambda: os.setuid(0),
    "send to another machine": lambda: reach("192.0.2.1"),
    "a raw socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "see the processes of others": lambda: Path("/proc/1/cmdline").read_bytes(),
}


def main() -> None:
    facts = {
        "work": {action.__name__: attempt(action) for action in WORK},
        "forbidden": {name: attempt(action) for name, action in FORBIDDEN.items()},
        "read": attempt((WRITABLE / "a.jpg").read_bytes),
        "watchdog": os.environ.get("WATCHDOG_USEC"),
    }
    notifier = sdnotify.SystemdNotifier()
    notifier.notify("READY=1")
    while not (LATER / "mounted.jpg").exists():
        notifier.notify("WATCHDOG=1")
        time.sleep(0.1)
    (STATE / "probe.new").write_text(json.dumps(facts))
    (STATE / "probe.new").replace(STATE / "probe.json")
    while True:
        notifier.notify("WATCHDOG=1")
        time.sleep(1)


if __name__ == "__main__":
    main()
