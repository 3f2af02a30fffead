"""The kernel's limits on inotify, and what to tell the user who meets one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_PROC_SYS = Path("/proc/sys")
_LEAST_INSTANCES = 512


def advice(error: OSError, needed: int) -> str:
    """What to do about `error` of inotify, when `needed` watches are wanted in all: one sentence naming one setting."""
    if error.errno == errno.ENOSPC:
        name = _tighter("fs.inotify.max_user_watches", "user.max_inotify_watches")
        return f"the limit of inotify watches is reached: sysctl -w {name}={_enough(_value(name), needed)}"
    if _out_of_descriptors():
        return "this process may open no more files: raise its limit (LimitNOFILE= in the unit, or ulimit -n)"
    name = _tighter("fs.inotify.max_user_instances", "user.max_inotify_instances")
    return f"the limit of inotify instances is reached: sysctl -w {name}={max(_LEAST_INSTANCES, 2 * _value(name))}"


def _tighter(everywhere: str, in_namespace: str) -> str:
    """A container (a user namespace) may have a limit of its own below that of the machine."""
    return in_namespace if 0 < _value(in_namespace) < _value(everywhere) else everywhere


def _value(name: str) -> int:
    try:
        return int(_PROC_SYS.joinpath(*name.split(".")).read_text())
    except (OSError, ValueError):
        return 0


def _enough(limit: int, needed: int) -> int:
    """The next power of two that leaves room: half again as many as needed, and at least twice the present limit."""
    return 1 << (max(limit * 2, needed * 3 // 2, 1 << 13) - 1).bit_length()


def _out_of_descriptors() -> bool:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return error.errno == errno.EMFILE
    return False
