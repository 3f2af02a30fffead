"""The daemon's side of fetching weights: a process that does it, its progress, its end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import orjson

from mediad.encoders.weights import WeightsUnavailable

Progress = Callable[[int, int | None], None]
"""Called with bytes done and bytes in all (None while unknown)."""


class Pull:
    """One download under way, for the daemon's background retry and for `mediad models pull`."""

    def __init__(self, spec: str, weights_dir: Path) -> None:
        """Start it. `spec` is an encoder setting ("auto" for the default encoder)."""
        command = [sys.executable, "-P", "-m", "mediad.encoders.pull", spec, f"--weights-dir={weights_dir}"]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)

    def wait(self, progress: Progress) -> Path:
        """Wait for the end, calling `progress(bytes done, bytes in all or None)` a few times a second.

        Raises:
            WeightsUnavailable: with what to do instead.
        """
        process = self._process
        assert process.stdout is not None
        last: dict[str, object] = {}
        with process:
            for line in process.stdout:
                last = orjson.loads(line)
                if isinstance(done := last.get("done"), int):
                    total = last.get("total")
                    progress(done, total if isinstance(total, int) else None)
        if "path" in last:
            return Path(str(last["path"]))
        raise WeightsUnavailable(str(last.get("error", f"the download was ended (status {process.returncode})")))

    def stop(self) -> None:
        """End it; what has arrived is kept for the next time. `wait` then raises WeightsUnavailable."""
        self._process.terminate()
