"""`python -m bench.idle [--count N]`: what mediad costs while nothing happens. Target: 120 MB, 0.3 % of a core.

A library of small images is indexed, clustered and searched, so that everything that could stay loaded was loaded; then
the children are let go, and for a minute nothing is asked. Resident memory counts shared pages in every process (as
the target does), "pss" divides them. Wake-ups are voluntary context switches of all threads.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import psutil
from bench.common import SMALL, Served, mini_clip, photos, report, scratch, until


def switches(processes: list[psutil.Process]) -> int:
    """Voluntary context switches of all threads of these processes so far."""
    count = 0
    for process in processes:
        for status in Path(f"/proc/{process.pid}/task").glob("*/status"):
            lines = status.read_text().splitlines()
            count += next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))
    return count


def ran(processes: list[psutil.Process]) -> float:
    """Seconds of processor time of all threads so far, exact: the kernel's ticks are too coarse for so little."""
    files = (file for process in processes for file in Path(f"/proc/{process.pid}/task").glob("*/schedstat"))
    return sum(int(file.read_text().split()[0]) for file in files) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.idle", description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="images in the library (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to look (default: %(default)s)")
    parser.add_argument("--descriptor", action="store_true", help="not the small CLIP model but the built-in encoder")
    given = parser.parse_args()
    encoder = None if given.descriptor else mini_clip()
    with scratch() as home:
        photos(home / "library", given.count, (SMALL[0] // 2, SMALL[1] // 2))
        idling = {"encoder_idle": "5 s", "decoder_idle": "5 s"}
        with Served(home, [home / "library"], encoder or "descriptor", **idling) as served:
            measure(served, given.seconds, given.count)


def measure(served: Served, seconds: float, count: int) -> None:
    served.sync(clusters=True)
    first = served.facts.entries("clusters") or served.facts.entries("unclustered")
    served.facts.similar(first[0]["files"][0]["id"] if "files" in first[0] else first[0]["id"], 5)
    until(lambda: len(served.processes()) == 1, 60)
    until(lambda: served.facts.status()["state"] == "idle", 60)
    served.facts.close()
    time.sleep(5)  # what was asked last may still be put away
    processes = served.processes()
    cpu, woken, started = ran(processes), switches(processes), time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - started
    processes = served.processes()
    report(
        "idle",
        assets=count,
        seconds=passed,
        processes=len(processes),
        rss_mb=sum(process.memory_info().rss for process in processes) / 1e6,
        pss_mb=sum(process.memory_full_info().pss for process in processes) / 1e6,
        core_share_percent=100 * (ran(processes) - cpu) / passed,
        wakeups_per_second=(switches(processes) - woken) / passed,
        threads=sum(process.num_threads() for process in processes),
    )


if __name__ == "__main__":
    main()
