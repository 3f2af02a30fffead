"""Which of several exact copies we would keep."""

from __future__ import annotations

import re

_COPY = re.compile(r"(?i)\bcopy\b|\bkopie\b|\bcopie\b|\bcopia\b|\(\d+\)$|~\d*$")


def keeper_order(path: str, modified: float) -> tuple[bool, float, int, str]:
    """A key that sorts the copy to keep first.

    A name that does not say "copy" or "(1)" comes first, then the older file, then the shorter path, then the path
    itself, so that the choice is the same each time. `modified` is in any one unit of time.
    """
    stem = path.rpartition("/")[2].rpartition(".")[0] or path.rpartition("/")[2]
    return bool(_COPY.search(stem)), modified, len(path), path
