"""`python -m tests.faults.nursery SOCKET`: engines without faces, each a process of its own, that are ready at once.

It imports everything once. For each connection it forks a process, which runs one engine until it is told to stop or
is killed: JSON lines in, JSON lines out. The first line says which engine; a planted bug is planted in that process.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import jsonschema  # noqa: F401 - the audit asks for it
import numpy as np
import structlog
from tests.faults.host import known
from tests.faults.planted import plant, reading

import mediad.engine.search  # noqa: F401 - it brings FAISS
from mediad.config.load import load
from mediad.config.locations import locate
from mediad.config.problems import ConfigError
from mediad.config.watch import ConfigFile
from mediad.engine import Engine
from mediad.model import ContentId
from mediad.workers import vanished
from mediad_service.audit import audit

_PATIENCE = 60.0
vanished._MOVE_GRACE = 2.0  # what waits for a file that cannot be read need not wait for half a minute here


class Host:
    """One engine that follows its configuration file, and what may be asked of it."""

    def __init__(self, state: Path, config: Path) -> None:
        self._config = config
        self._locations = locate(config, state, environ={"HOME": str(state)})
        self.engine = Engine(self._locations, self._load(), ConfigFile(config, self._load))

    def _load(self) -> Any:
        return load(self._config, locations=self._locations)

    def answer(self, asked: dict[str, Any]) -> Any:
        match asked["do"]:
            case "check":
                return self._check()
            case "reload":
                return self._reload()
            case "reading":
                return bool(reading)
            case unknown:
                raise ValueError(unknown)

    def _check(self) -> dict[str, Any]:
        """In step with the disk: what an audit finds then, and whether search agrees with the store."""
        engine = self.engine
        generation = engine.sync(timeout=_PATIENCE)
        report = audit(engine.locations.catalog, engine.settings)
        return {
            "generation": generation,
            "status": engine.status(),
            "divergences": [str(one) for one in report.divergences],
            "astray": list(astray(engine)),
        }

    def _reload(self) -> dict[str, Any]:
        """Until the file as it is now is in force, or is known to be wrong."""
        wanted: Any
        try:
            wanted = self._load()
        except ConfigError as error:
            wanted = [str(problem) for problem in error.problems]
        self.engine.reload()
        deadline = time.monotonic() + _PATIENCE
        while wanted not in (self.engine.settings, self.engine.config_problems):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not in force: {wanted}")
            time.sleep(0.01)
        return {"problems": self.engine.config_problems}


def astray(engine: Engine) -> Iterator[str]:
    """What search says otherwise than the vectors in the store do: each asset is nearest to itself, then the others."""
    files = {content: file_id for file_id, content in known(engine.locations.catalog / "catalog.json").values()}
    space = engine.status()["encoder"]["id"]
    with engine.store.read() as tx:
        vectors = {content: tx.vectors.get(space, ContentId(bytes.fromhex(content))) for content in files}
    for content, vector in vectors.items():
        if vector is None:
            yield f"{content} has no vector"
            continue
        found = {one["file"]["content_id"]: one["score"] for one in engine.similar(files[content], len(files))}
        right = {other: float(np.dot(vector, v)) for other, v in vectors.items() if v is not None and other != content}
        if found.keys() != right.keys() or any(abs(found[other] - right[other]) > 0.01 for other in right):
            yield f"like {content} are {found}, not {right}"


def _live(channel: TextIO) -> None:
    """The life of one engine."""
    asked = json.loads(channel.readline())
    log = Path(asked["log"]).open("a", buffering=1)  # noqa: SIM115 - for as long as we live
    os.dup2(log.fileno(), 2)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(log))
    _say(channel, {"pid": os.getpid()})
    plant(asked["planted"])
    host = Host(Path(asked["state"]), Path(asked["config"]))
    try:
        host.engine.start()
        _say(channel, {"ready": True})
        for line in channel:
            request = json.loads(line)
            if request["do"] == "stop":
                break
            try:
                _say(channel, host.answer(request))
            except Exception as error:
                _say(channel, {"error": repr(error)})
    finally:
        host.engine.stop()
    _say(channel, {"stopped": True})


def _say(channel: TextIO, answer: Any) -> None:
    channel.write(json.dumps(answer) + "\n")
    channel.flush()


def main() -> None:
    """Until the first connection of all, which only holds it open, ends."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(sys.argv[1])
        listening.listen()
        print("ready", flush=True)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks for their exit statuses
        while True:
            connection, _ = listening.accept()
            if os.fork():
                connection.close()
                continue
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listening.close()
            with connection.makefile("rw") as channel:
                _live(channel)
            return


if __name__ == "__main__":
    main()
