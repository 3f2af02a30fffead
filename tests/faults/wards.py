"""The tests' side of `nursery`: engines that are started, asked, stopped and killed."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.faults.unprivileged import respecting_modes

_PATIENCE = 120.0
_LOG = 4000


class Ward:
    """One engine, and where what it logs can be read."""

    def __init__(self, nursery: Path, log: Path, **which: str) -> None:
        self._log = log
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_PATIENCE)
            connection.connect(str(nursery))
            self._channel = connection.makefile("rw")
        self._say({"log": str(log), **which})
        self._process = os.pidfd_open(self._read()["pid"])

    def ready(self) -> None:
        """Wait until it was started."""
        self._read()

    def ask(self, do: str) -> Any:
        self._say({"do": do})
        return self._read()

    def _say(self, said: Any) -> None:
        with suppress(BrokenPipeError):  # it died; there will be no answer, which says so
            self._channel.write(json.dumps(said) + "\n")
            self._channel.flush()

    def _read(self) -> Any:
        line = self._channel.readline()
        assert line.endswith("\n"), f"it died:\n{self._tail()}"
        answer = json.loads(line)
        assert not (isinstance(answer, dict) and "error" in answer), f"{answer['error']}\n{self._tail()}"
        return answer

    def _tail(self) -> str:
        return self._log.read_text()[-_LOG:] if self._log.exists() else ""

    def stop(self) -> None:
        self.ask("stop")
        self._end()

    def kill(self) -> None:
        """kill -9."""
        with suppress(ProcessLookupError):  # it died by itself
            signal.pidfd_send_signal(self._process, signal.SIGKILL)
        self._end()

    def _end(self) -> None:
        """Until it is gone."""
        assert select.select([self._process], [], [], _PATIENCE)[0], "it does not end"
        os.close(self._process)
        with suppress(BrokenPipeError):
            self._channel.close()


@contextmanager
def nursery(home: Path) -> Iterator[Path]:
    """The socket of a process from which engines are forked; permissions hold for them as for anybody."""
    path = home / "nursery"
    command = [*respecting_modes(), sys.executable, "-m", "tests.faults.nursery", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield path
        finally:
            process.kill()
