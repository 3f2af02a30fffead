"""Figures for Prometheus, read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import psutil
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from mediad.engine import Engine


def render(engine: Engine) -> tuple[bytes, str]:
    """The text and its content type."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(engine))
    return generate_latest(registry), CONTENT_TYPE_LATEST


class _Figures:
    """A collector of prometheus-client over one status."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def describe(self) -> Iterable[Metric]:
        return ()  # or registering would collect once for nothing

    def collect(self) -> Iterator[Metric]:
        status = self._engine.status()
        yield InfoMetricFamily("mediad", "The daemon", {"version": status["version"]})
        for name, count in sorted(status["counters"].items()):
            yield CounterMetricFamily(f"mediad_{name}", f"{name} since the state directory was made", count)
        yield from _gauges(status)
        yield from _volumes(status["volumes"])
        yield _memory()


def _gauges(status: dict[str, Any]) -> Iterator[Metric]:
    figures = {
        "generation": ("Generation of the catalog", status["generation"]),
        "pending_files": ("Files to read and assets to embed", status["pending"]),
        "quarantined_files": ("Files that cannot be decoded", len(status["quarantined"])),
        "failing_files": ("Files whose reading failed and is tried again, as far as listed", len(status["failing"])),
        "files_per_second": ("Files taken in over the last seconds", status["rate"]),
        "failed_loops": ("Loops of the daemon that failed lately", len(status["loops"])),
        "uptime_seconds": ("Time since the start", status["uptime_seconds"]),
    }
    for name, (text, value) in figures.items():
        yield GaugeMetricFamily(f"mediad_{name}", text, value)
    assets = GaugeMetricFamily("mediad_assets", "Files in the catalog", labels=["kind"])
    for kind, count in status["assets"].items():
        assets.add_metric([kind], count)
    errors = GaugeMetricFamily("mediad_errors", "Files and folders that cannot be read now, by error", labels=["errno"])
    for name, count in status["errors"].items():
        errors.add_metric([name], count)
    yield from (assets, errors)


def _volumes(volumes: list[dict[str, Any]]) -> Iterator[Metric]:
    online = GaugeMetricFamily("mediad_volume_online", "1: online, 0: offline or unreadable", labels=["volume"])
    files = GaugeMetricFamily("mediad_volume_files", "Files of it in the catalog", labels=["volume"])
    for volume in volumes:
        online.add_metric([volume["name"]], volume["state"] == "online")
        files.add_metric([volume["name"]], volume["assets"])
    yield from (online, files)


def _memory() -> Metric:
    memory = GaugeMetricFamily("mediad_resident_bytes", "Resident memory", labels=["process"])
    own = psutil.Process()
    memory.add_metric(["daemon"], own.memory_info().rss)
    children = 0
    for child in own.children(recursive=True):
        try:
            children += child.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    memory.add_metric(["children"], children)
    return memory
