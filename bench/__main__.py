"""`python -m bench`: every benchmark, one after the other, one JSON line each."""

from __future__ import annotations

import subprocess
import sys

BENCHMARKS = ("first_index", "restart", "one_file", "text_query", "recall", "catalog", "idle")


def main() -> int:
    failed = [name for name in BENCHMARKS if subprocess.run([sys.executable, "-m", f"bench.{name}"]).returncode]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
