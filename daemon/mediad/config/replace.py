"""Replacing the configuration file so that nobody, and no crash, ever sees half of it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from mediad.durable import sync_directory

from .problems import ConfigError, Finding


@contextlib.contextmanager
def locked_for_edit(config: Path) -> Iterator[None]:
    """One edit at a time: the file's folder is made where it is missing, and locked. Raises ConfigError."""
    folder = _target(config).parent
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise _unwritable(config, error) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def replace_text(config: Path, text: str) -> None:
    """Write `text` durably in the place of `config`, with its mode and owner; a link to the file stays a link.

    Raises ConfigError.
    """
    target = _target(config)
    fresh = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        try:
            _write(fresh, text, target)
            fresh.replace(target)
        finally:
            fresh.unlink(missing_ok=True)
        sync_directory(target.parent)
    except OSError as error:
        raise _unwritable(config, error) from None


def _write(fresh: Path, text: str, like: Path) -> None:
    fresh.unlink(missing_ok=True)  # of a process that was killed
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as file:  # noqa: PTH123 - a descriptor
        if like.exists():
            old = like.stat()
            with contextlib.suppress(PermissionError):  # only root may give files away
                os.fchown(file.fileno(), old.st_uid, old.st_gid)
            os.fchmod(file.fileno(), old.st_mode & 0o777)
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def _target(config: Path) -> Path:
    return Path(os.path.realpath(config))


def _unwritable(config: Path, error: OSError) -> ConfigError:
    return ConfigError([Finding((), f"cannot be written: {error.strerror}", "see to its permissions").at(config)])
