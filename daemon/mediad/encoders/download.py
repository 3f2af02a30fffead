"""Downloading one file for certain: resumed after a drop, checked before it gets its name, never waiting for ever."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import httpx

from mediad.encoders.pull_process import Progress
from mediad.encoders.weights import WeightsUnavailable

_TIMEOUT = httpx.Timeout(30.0, connect=3.0)
_FRUITLESS_TRIES = 3
_CHUNK = 1 << 20


class NotThere(Exception):
    """The server says that there is no such file."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A file to fetch. `sha256` is what its hash must begin with, as far as that is known ahead ("" if not)."""

    url: str
    name: str
    sha256: str = ""


def fetch(remote: Remote, target: Path, progress: Progress) -> Path:
    """Download `remote` to `target` through `target.part`, which a later call resumes.

    The hash is the one known ahead, else the one that the hub announces (header X-Linked-Etag: the SHA-256 of a
    large file, as huggingface_hub reads it).

    Raises:
        NotThere: the server answers 401, 403 or 404 (the hub answers 401 for a repository that does not exist).
        WeightsUnavailable: no connection, broken off too often, wrong checksum (the part is then removed), or
            another process is downloading it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    with part.open("ab") as file, httpx.Client(timeout=_TIMEOUT, follow_redirects=True) as client:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise WeightsUnavailable(f"another process is downloading {part}: wait for it") from None
        try:
            announced = _all_of_it(client, remote.url, file, progress)
        finally:
            if file.tell() == 0:
                part.unlink()
        file.flush()
        os.fsync(file.fileno())
        _check(part, remote.sha256 or announced, remote.url)
        part.replace(target)
    return target


def _all_of_it(client: httpx.Client, url: str, file: BinaryIO, progress: Progress) -> str:
    """Append to `file` until it is whole; the SHA-256 that the hub announced, "" if none."""
    fruitless = 0
    while True:
        before = file.tell()
        try:
            return _one_try(client, url, file, progress)
        except httpx.ConnectError as error:
            raise WeightsUnavailable(f"no connection to {httpx.URL(url).host}: {error}") from error
        except httpx.ConnectTimeout as error:
            raise WeightsUnavailable(f"no connection to {httpx.URL(url).host} within 3 s") from error
        except httpx.HTTPError as error:
            fruitless = 0 if file.tell() > before else fruitless + 1
            if fruitless >= _FRUITLESS_TRIES:
                raise WeightsUnavailable(f"download of {url} broke off: {error}") from error
            time.sleep(fruitless)


def _one_try(client: httpx.Client, url: str, file: BinaryIO, progress: Progress) -> str:
    have = file.tell()
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with client.stream("GET", url, headers=headers) as response:
        announced = _announced(response)
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            if response.headers.get("Content-Range", f"*/{have}").endswith(f"/{have}"):
                return announced  # we had all of it already
            _start_over(file)
            raise httpx.RemoteProtocolError("the part on disk is longer than the file")
        if response.status_code in {401, 403, 404}:
            raise NotThere(f"{response.status_code} for {url}")
        response.raise_for_status()
        if have and response.status_code != httpx.codes.PARTIAL_CONTENT:
            _start_over(file)  # a server that cannot resume
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        progress(have, total)
        for chunk in response.iter_raw(_CHUNK):
            file.write(chunk)
            have += len(chunk)
            progress(have, total)
    return announced


def _start_over(file: BinaryIO) -> None:
    file.seek(0)
    file.truncate()


def _announced(response: httpx.Response) -> str:
    for answer in (*response.history, response):
        etag = str(answer.headers.get("X-Linked-Etag", "")).strip('W/"')
        if re.fullmatch(r"[0-9a-f]{64}", etag):
            return etag
    return ""


def _check(part: Path, expected: str, url: str) -> None:
    if not expected:
        return
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(expected):
        part.unlink()
        raise WeightsUnavailable(
            f"{url} arrived damaged (SHA-256 {found[:12]}..., expected {expected[:12]}...) and was removed: try again"
        )
