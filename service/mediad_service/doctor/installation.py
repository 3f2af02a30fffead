"""The Python, the packages that mediad cannot do without, and the extras that open more formats."""

from __future__ import annotations

import importlib.util
import json
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .finding import Finding, Level

LEAST_PYTHON = (3, 11)
MODULES = ("numpy", "lmdb", "faiss", "PIL", "cv2", "av", "torch", "open_clip", "timm", "sklearn", "hdbscan", "umap")
EXTRAS = {"heic": ("pillow_heif", "HEIC and HEIF images"), "raw": ("rawpy", "camera RAW images")}

_PROBE = Path(__file__).with_name("probe.py")  # by its path: it must work where mediad itself cannot be imported
_SECONDS = 180  # a cold disk and a first compilation by numba
_REINSTALL = "install mediad again (pipx reinstall mediad)"


def installation() -> Iterator[Finding]:
    """Findings on Python, packages, the graphics card that torch sees, and extras."""
    yield _python()
    yield from packages(MODULES)
    for extra, (module, opens) in EXTRAS.items():
        yield _extra(extra, module, opens)


def _python() -> Finding:
    text = f"{platform.python_version()} ({sys.executable}) on {platform.system()} {platform.machine()}"
    if sys.version_info < LEAST_PYTHON:
        return Finding("python", Level.PROBLEM, text, "mediad needs Python 3.11 or newer")
    if sys.maxsize < 2**32:
        return Finding("python", Level.PROBLEM, f"{text}, 32 bits", "the store needs a 64-bit Python")
    return Finding("python", Level.OK, text)


def packages(modules: Sequence[str]) -> Iterator[Finding]:
    """What comes of importing `modules` in other processes; one that crashes does not hide those after it."""
    left = list(modules)
    while left:
        reports, status = _probe(left)
        for report in reports:
            if "version" in report or "error" in report:
                left.remove(report["module"])
                yield from _package(report)
        if left:  # it ended at the first of those
            why = f"importing it ended Python with status {status}"
            yield Finding(f"package {left.pop(0)}", Level.PROBLEM, why, _REINSTALL)


def _probe(modules: Sequence[str]) -> tuple[list[dict[str, Any]], int | str]:
    command = [sys.executable, "-P", str(_PROBE), *modules]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        said = error.stdout.decode() if isinstance(error.stdout, bytes) else error.stdout or ""
        return _parsed(said), f"none within {_SECONDS} s"
    return _parsed(done.stdout), done.returncode


def _parsed(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith('{"module"') and line.endswith("}")]


def _package(report: dict[str, Any]) -> Iterator[Finding]:
    name = f"package {report['module']}"
    if "error" in report:
        yield Finding(name, Level.PROBLEM, report["error"], _REINSTALL)
        return
    yield Finding(name, Level.OK, report["version"])
    if report.get("graphics"):
        yield Finding("graphics card", Level.OK, report["graphics"])
    elif "graphics" in report:
        yield Finding("graphics card", Level.OK, "none that torch can compute on: the processor does it")


def _extra(extra: str, module: str, opens: str) -> Finding:
    if importlib.util.find_spec(module):
        return Finding(f"extra {extra}", Level.OK, f"opens {opens}")
    distribution = module.replace("_", "-")
    advice = f"pipx inject mediad {distribution}, or pip install 'mediad[{extra}]'"
    return Finding(f"extra {extra}", Level.NOTE, f"{opens} stay unread", advice)
