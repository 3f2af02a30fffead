"""Is the volume there, is it the right one, can it be read? Only `ONLINE` lets a scan decide that a file is missing."""

# ruff: noqa: PTH118 - names on disk are bytes, which pathlib cannot hold

from __future__ import annotations

import contextlib
import errno
import os
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from mediad.clock import slices
from mediad.model import VolumeState
from mediad.volume import identity
from mediad.volume.identity import Identity, Presence, Sample, Verdict

log = structlog.get_logger()

_ACCEPT = "; if this is meant, remove the volume and add it again"
# Probes that hang in the kernel (a dead NFS server) cannot be ended. One such thread a root is kept, never more.
_hanging: dict[bytes, tuple[threading.Thread, float]] = {}
_hanging_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Health:
    """What a check found. `reason` says in words why it is not online ("" if it is).

    `identity` is what is there now, and empty if that could not be told. Keep it as the volume's identity only when
    `state` is `ONLINE`.
    """

    state: VolumeState
    reason: str = ""
    identity: Identity = field(default_factory=dict)


def check(
    root: str | bytes, known: Identity | None, samples: Sequence[Sample] = (), *, timeout: float = 10.0
) -> Health:
    """Judge the volume at `root`.

    `known` is the identity it had when last online (None or empty: never seen); `samples` are some files known to be
    on it, as (path relative to root, size, mtime_ns). 30 spread over the volume are plenty.

    Never blocks for more than `timeout` seconds, and never raises: whatever the disk does is an answer.
    """
    base = os.fsencode(root)
    waiting = _still_hanging(base)
    if waiting is not None:
        return Health(VolumeState.OFFLINE, f"does not answer (for {waiting:.0f} s now)")
    answers: queue.SimpleQueue[Health] = queue.SimpleQueue()
    probe = threading.Thread(
        target=lambda: answers.put(_judge(base, known or {}, samples)), name="volume-probe", daemon=True
    )
    probe.start()
    for part in slices(timeout):
        with contextlib.suppress(queue.Empty):
            return answers.get(timeout=part)
    with _hanging_lock:
        _hanging[base] = (probe, time.monotonic() - timeout)
    log.warning("volume does not answer", root=os.fsdecode(base), seconds=timeout)
    return Health(VolumeState.OFFLINE, f"does not answer within {timeout:g} s")


def _still_hanging(base: bytes) -> float | None:
    """Seconds for which an earlier probe of this root has been stuck; None if none is."""
    with _hanging_lock:
        probe, since = _hanging.get(base, (None, 0.0))
        if probe is not None and probe.is_alive():
            return time.monotonic() - since
        _hanging.pop(base, None)
        return None


def _judge(base: bytes, known: Identity, samples: Sequence[Sample]) -> Health:
    try:
        now = identity.identify(base)
        return _compare(base, known, now, samples, empty=_look_inside(base))
    except (FileNotFoundError, NotADirectoryError) as error:
        return Health(VolumeState.OFFLINE, "is not there" if error.errno == errno.ENOENT else "is no directory")
    except OSError as error:
        return Health(VolumeState.UNREADABLE, _describe(error))
    except Exception as error:  # a defect of ours must not look like a disk that hangs
        log.exception("volume check failed", root=os.fsdecode(base))
        return Health(VolumeState.UNREADABLE, f"cannot be checked: {type(error).__name__}: {error}")


def _look_inside(base: bytes) -> bool:
    """Whether the directory is empty; raises what listing it or reaching into it raises."""
    os.stat(os.path.join(base, b"."))  # noqa: PTH116 - bytes; needs x, which a listing alone does not
    with os.scandir(base) as entries:
        return next(entries, None) is None


def _compare(base: bytes, known: Identity, now: Identity, samples: Sequence[Sample], *, empty: bool) -> Health:
    verdict = identity.same_volume(known, now, None) if known else Verdict.UNKNOWN
    if verdict is Verdict.SAME or not samples:
        return Health(VolumeState.ONLINE, "", now)  # without known files there is nothing to lose
    present = identity.sample_presence(base, samples)
    verdict = identity.same_volume(known, now, present)
    if verdict is Verdict.SAME:
        return Health(VolumeState.ONLINE, "", now)
    return Health(VolumeState.OFFLINE, _why(known, now, present, verdict, empty=empty), now)


def _why(known: Identity, now: Identity, present: Presence | None, verdict: Verdict, *, empty: bool) -> str:
    if known.get("marker") and now.get("marker"):
        return f"another volume is here (marker {now['marker']!r}, not {known['marker']!r}){_ACCEPT}"
    found = "none of the known files could be looked at" if present is None else _found(present)
    if empty:
        return f"the directory is empty: is the volume mounted? ({found}){_ACCEPT}"
    if verdict is Verdict.DIFFERENT:
        return f"another file system or directory is here ({_name(now)}, not {_name(known)}; {found}){_ACCEPT}"
    return f"cannot be recognised as the known volume ({found}){_ACCEPT}"


def _found(present: Presence) -> str:
    said = f"{present.found:.0%} of known files are here"
    return said if present.found == present.unchanged else f"{said}, {present.unchanged:.0%} with their times"


def _name(one: Identity) -> str:
    where = one.get("source") or "unknown source"
    return f"{one.get('fstype') or 'file system'} on {where}, {one.get('inner') or 'inode ' + str(one.get('inode'))}"


def _describe(error: OSError) -> str:
    name = errno.errorcode.get(error.errno or 0, "OSError")
    return f"{name}: {os.strerror(error.errno or 0)}"
