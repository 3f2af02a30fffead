"""The machine: processor, memory."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path

import psutil

from .finding import Finding, Level

_FAST = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")
_LEAST_MEMORY = 2 << 30  # torch with open_clip alone is 1 GB resident


def machine() -> Iterator[Finding]:
    """Findings on the processor and the memory."""
    features = processor_features()
    text = f"{os.cpu_count()} cores, {platform.machine()}" + (f", {' '.join(features)}" if features else "")
    slow = platform.machine() == "x86_64" and bool(features) and "avx2" not in features
    advice = "embedding will be slow without AVX2" if slow else None
    yield Finding("processor", Level.NOTE if slow else Level.OK, text, advice)
    memory = psutil.virtual_memory()
    text = f"{memory.total / 1e9:.1f} GB, {memory.available / 1e9:.1f} GB free"
    if memory.total < _LEAST_MEMORY:
        yield Finding("memory", Level.NOTE, text, 'encoder = "descriptor" needs the least')
    else:
        yield Finding("memory", Level.OK, text)


def processor_features(cpuinfo: Path = Path("/proc/cpuinfo")) -> list[str]:
    """Those instruction sets of this processor that make embedding fast; none where the system does not tell."""
    if not cpuinfo.exists():
        return []
    for line in cpuinfo.read_text().splitlines():
        if line.lower().startswith(("flags", "features")):
            flags = set(line.split(":", 1)[1].split())
            return [feature for feature in _FAST if feature in flags]
    return []
