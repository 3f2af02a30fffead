"""Imports what mediad uses, one JSON line a module: started by `installation`, because an import may crash."""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from importlib import metadata
from typing import Any


def _graphics() -> str:
    """The device that torch would compute on."""
    import torch

    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name(0)}, {torch.cuda.get_device_properties(0).total_memory >> 20} MiB"
    return "Apple GPU (MPS)" if torch.backends.mps.is_available() else ""


def _installed(name: str) -> str:
    """The version of a package whose module does not tell it."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _report(name: str) -> dict[str, Any]:
    try:
        module = importlib.import_module(name)
    except Exception as error:  # whatever keeps it from being imported is the answer
        return {"module": name, "error": f"{type(error).__name__}: {error}"}
    answer = {"module": name, "version": str(getattr(module, "__version__", "") or _installed(name))}
    return answer | ({"graphics": _graphics()} if name == "torch" else {})


def main() -> None:
    warnings.simplefilter("ignore")
    for name in sys.argv[1:]:
        sys.stdout.write(json.dumps({"module": name}) + "\n")  # who was being imported, should this be the last line
        sys.stdout.flush()
        sys.stdout.write(json.dumps(_report(name)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
