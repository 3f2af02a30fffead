"""`python -m mediad.store.check DIRECTORY` reads every page of a store; it may die of what it meets, by design."""

from __future__ import annotations

import sys
from pathlib import Path

import lmdb


def main(directory: str) -> None:
    with lmdb.open(directory, readonly=True, lock=False, max_dbs=64) as env, Path("/dev/null").open("wb") as nothing:
        env.copyfd(nothing.fileno(), compact=True)  # walks every tree, that of the free pages too


if __name__ == "__main__":
    main(sys.argv[1])
