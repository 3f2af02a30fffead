"""What the kernel can do to a watcher: mounts over it, a queue that runs over, limits. Each in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")

WATCH = """
import json, os, subprocess, sys, threading, time
from mediad.volume import Rules
from mediad.watcher import Watcher
root, hints, news = sys.argv[1], [], threading.Condition()
def hint(volume, reldir, recursive):
    with news: hints.append((reldir.decode(), recursive)); news.notify()
    watcher.report_cost(volume, 0.0, True)
def say(*values): print("=" + json.dumps(values))
def covered(reldir):
    return any(at == reldir or (deep and (not at or reldir.startswith(at + "/"))) for at, deep in hints)
def expect(reldir):
    with news: assert news.wait_for(lambda: covered(reldir), 20), (reldir, hints)
    time.sleep(0.4)
    with news: hints.clear()
watcher = Watcher(hint, check_seconds=0.2, poll_min=1.0)
watcher.add("v", root, Rules()); expect("")
"""


def start(command: list[str], script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*command, sys.executable, "-c", WATCH + script, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(process: subprocess.Popen[str], *, say: str = "") -> str:
    out, err = process.communicate(say, timeout=120)
    assert process.returncode == 0, out + err
    return out


def answers(out: str) -> list[list[Any]]:
    """What the script said with `say`; the log stands between."""
    return [json.loads(line[1:]) for line in out.splitlines() if line.startswith("=")]


def allowed(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=20).returncode == 0
    except OSError:
        return False


@pytest.mark.long
def test_mounts_over_and_below_the_root(root: Path, tmp_path: Path) -> None:
    command = ["unshare", "-m", "--propagation", "private"] if os.getuid() == 0 else ["unshare", "-rm"]
    if not allowed(*command, "true"):
        pytest.skip("needs a mount namespace (unshare -m)")
    (root / "in" / "side").mkdir(parents=True)
    script = """
def run(*command): subprocess.run(command, check=True)
def touch(name): open(os.path.join(root, name), "w").close()
for at in ("in", ""):
    path = os.path.join(root, at)
    for _ in range(2):
        run("mount", "-t", "tmpfs", "x", path); expect(at)
        os.mkdir(path + "/new"); expect(os.path.join(at, "new"))
        touch(path + "/new/1.jpg"); expect(os.path.join(at, "new"))
        run("umount", path); expect(at)
        touch("in/side/%s.jpg" % time.monotonic()); expect("in/side")
watcher.stop()
"""
    finish(start(command, script, root))


@pytest.mark.long
def test_a_queue_that_runs_over(root: Path) -> None:
    """20,000 files and a directory made while the process is stopped."""
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    (root / "a").mkdir()
    script = """
print("ready", flush=True); sys.stdin.readline()
expect("new"); before = watcher.overflows
open(root + "/new/later.jpg", "w").close(); expect("new")
say(before, watcher.overflows); watcher.stop()
"""
    process = start([], script, root)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGSTOP)
    try:
        for number in range(max(20_000, limit)):
            os.close(os.open(root / "a" / f"{number}.jpg", os.O_CREAT | os.O_WRONLY))
        (root / "new").mkdir()
    finally:
        process.send_signal(signal.SIGCONT)
    assert answers(finish(process, say="\n")) == [[1, 1]]


@pytest.mark.long
def test_a_limit_of_watches_leaves_the_rest_polled(root: Path) -> None:
    """50 watches in a user namespace, for 81 directories: live where it can, one message, and live when raised."""
    if not allowed("unshare", "-Ur", "sh", "-c", "echo 50 > /proc/sys/user/max_inotify_watches"):
        pytest.skip("needs a user namespace (unshare -U) with limits of its own")
    for number in range(40):
        (root / f"{number:02}" / "in").mkdir(parents=True)
    script = """
time.sleep(0.5)
say(watcher.mode("v"), watcher.reason("v"))
polled = watcher._volumes["v"].poll.targets
live = next(f"{n:02}/in" for n in range(40) if f"{n:02}/in".encode() not in polled)
dead = min(polled).decode()
with news: hints.clear()
start = time.monotonic()
open(f"{root}/{live}/1.jpg", "w").close(); expect(live); say(time.monotonic() - start)
open(f"{root}/{dead}/1.jpg", "w").close(); expect(dead)
os.makedirs(root + "/new/in"); expect("new/in")
say(len(polled), watcher.mode("v"))
open("/proc/sys/user/max_inotify_watches", "w").write("1000")
watcher._volumes["v"].source._retry_at = 0.0
deadline = time.monotonic() + 20
while watcher.mode("v") != "live" and time.monotonic() < deadline: time.sleep(0.05)
say(watcher.mode("v"), watcher.reason("v"))
watcher.stop()
"""
    command = ["unshare", "-Ur", "sh", "-c", 'echo 50 > /proc/sys/user/max_inotify_watches; exec "$@"', "sh"]
    out = finish(start(command, script, root))
    (mode, reason), (seconds,), (polled, still), last = answers(out)
    assert mode == still == "mixed"
    assert reason.endswith("sysctl -w user.max_inotify_watches=8192")
    assert seconds < 2
    assert polled == 81 - 50
    assert last == ["live", ""]
    assert out.count("sysctl -w") == 2  # the reason, and one message in the log


@pytest.mark.long
def test_no_inotify_instance_at_all_means_polling(root: Path) -> None:
    if not allowed("unshare", "-Ur", "sh", "-c", "echo 0 > /proc/sys/user/max_inotify_instances"):
        pytest.skip("needs a user namespace (unshare -U) with limits of its own")
    script = """
say(watcher.mode("v"), watcher.reason("v"))
open(root + "/x.jpg", "w").close(); expect("")
watcher.stop()
"""
    command = ["unshare", "-Ur", "sh", "-c", 'echo 0 > /proc/sys/user/max_inotify_instances; exec "$@"', "sh"]
    ((mode, reason),) = answers(finish(start(command, script, root)))
    assert mode == "polled"
    assert "the limit of inotify instances is reached: sysctl -w" in reason


@pytest.mark.long
def test_idle_costs_nothing_to_speak_of(root: Path) -> None:
    for number in range(500):
        (root / f"{number}").mkdir()
    script = """
before = time.process_time(); time.sleep(5); say(time.process_time() - before); watcher.stop()
"""
    ((seconds,),) = answers(finish(start([], script, root)))
    assert seconds < 0.05
