"""`python host.py STATE VOLUME [SETTINGS]`: the engine as a process without faces; a JSON line in, a JSON line out.

It starts in half the time of the whole daemon, so that a fault can be tried at many moments. What it answers it has
acknowledged, and a tracer sees the answer in its place between the writes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import structlog

from mediad.config.locations import locate
from mediad.config.settings import Settings
from mediad.engine import Engine

FAST: dict[str, Any] = {
    "encoder": "descriptor",
    "schedule": {"settle": 0.1},
    "clustering": {"method": "kmeans", "reduce": "none", "min_cluster_size": 2},
    "catalog": {"min_interval": 0.05},
    "limits": {"decoders": 2},
    "http": {"enabled": False},
}
"""Settings under which a session is over soon."""


def make_engine(state: Path, volume: Path, more: dict[str, Any] | None = None) -> Engine:
    """An engine on one volume, with FAST settings and `more`."""
    tables = {key: {**value, **(more or {}).get(key, {})} for key, value in FAST.items() if isinstance(value, dict)}
    chosen = {**FAST, **tables, "volumes": ({"path": volume},)}
    return Engine(locate(state_dir=state, environ={"HOME": str(state)}), Settings.model_validate(chosen))


def known(catalog: Path) -> dict[str, list[str]]:
    """What a catalog holds: path -> [id, content id]."""
    document = json.loads(catalog.read_bytes())
    groups = [entry["files"] for entry in (*document["sequences"], *document["clusters"])]
    files = [file for files in (*groups, document["unclustered"]) for file in files]
    files += [video["metadata"] for video in document["videos"]]
    return {file["filepath"]: [file["id"], file["content_id"]] for file in files}


def _answer(engine: Engine, asked: dict[str, Any]) -> Any:
    match asked["do"]:
        case "sync":
            generation = engine.sync(clusters=asked.get("clusters", False), timeout=60)
            files = known(engine.locations.catalog / "catalog.json")
            return {"generation": generation, "files": files, "counters": engine.status()["counters"]}
        case "recluster":
            engine.recluster()
            return {}
        case "status":
            return engine.status()
        case unknown:
            raise ValueError(unknown)


def main() -> None:
    """Until "stop"."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    state, volume = map(Path, sys.argv[1:3])
    engine = make_engine(state, volume, json.loads(sys.argv[3]) if len(sys.argv) > 3 else None)
    try:
        engine.start()
        print(json.dumps({"ready": True}), flush=True)
        for line in sys.stdin:
            asked = json.loads(line)
            if asked["do"] == "stop":
                break
            print(json.dumps(_answer(engine, asked)), flush=True)
    finally:
        engine.stop()
    print(json.dumps({"stopped": True}), flush=True)


if __name__ == "__main__":
    main()
