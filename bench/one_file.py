"""`python -m bench.one_file`: from the close of a new image to its place in `catalog.json`. Target: p95 1.5 s + settle.

One image at a time is written into the library of a running daemon, with its default settings; the catalog file is
read as any other program would read it, each time that it was replaced. Beyond settle is what is left when the time is
taken away for which a file must keep still (`schedule.settle`; mediad waits less where the system tells of the close).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from bench.common import SMALL, Served, default_settle, mini_clip, percentile, photo, photos, report, scratch


def seconds_to_visible(catalog: Path, new: Path) -> float:
    """From now on, until the catalog names the file. TimeoutError after a minute."""
    closed = time.monotonic()
    name, seen = new.name.encode(), 0
    while time.monotonic() < closed + 60:
        found = catalog.stat().st_mtime_ns
        if found != seen and name in catalog.read_bytes():
            return time.monotonic() - closed
        seen = found
        time.sleep(0.005)
    raise TimeoutError(f"{new} is not in the catalog after a minute")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.one_file", description=__doc__)
    parser.add_argument("--files", type=int, default=30, help="how many, one after the other (default: %(default)s)")
    parser.add_argument("--count", type=int, default=500, help="images there before (default: %(default)s)")
    given = parser.parse_args()
    with scratch() as home:
        library = home / "library"
        photos(library, given.count, SMALL, drawn=50)
        drawn = [photo(home / f"new-{number}.jpg", 10**6 + number, SMALL) for number in range(given.files)]
        with Served(home, [library], mini_clip() or "descriptor") as served:
            served.sync(clusters=True)
            took = []
            for picture in drawn:
                time.sleep(1.0)  # each comes after a quiet time, like a photo that somebody saves
                new = library / picture.name
                new.write_bytes(picture.read_bytes())
                took.append(seconds_to_visible(served.catalog, new))
    settle = default_settle()
    report(
        "one_file",
        files=given.files,
        assets=given.count,
        settle_s=settle,
        visible_s_p50=percentile(took, 0.5),
        visible_s_p95=percentile(took, 0.95),
        beyond_settle_s_p50=percentile(took, 0.5) - settle,
        beyond_settle_s_p95=percentile(took, 0.95) - settle,
    )


if __name__ == "__main__":
    main()
