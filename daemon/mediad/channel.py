"""Talking to processes of our own: disposable children that decode, encode and cluster.

A message is a small JSON header and any number of binary blobs, framed by lengths, over a socket pair that the child
inherits. A child that dies, hangs or talks nonsense costs one request: `Child.request` kills it and raises; the next
request starts a fresh one. The parent trusts nothing that comes back, so lengths are bounded here and fields are
checked by the callers. (A process pool of the standard library is broken for good by one crash, hence this module.)
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import orjson

Message = dict[str, Any]
Blob = bytes | bytearray | memoryview
Handler = Callable[[Message, list[bytearray]], tuple[Message, Sequence[Blob]]]

_HEAD = struct.Struct("!II")
_MAX_HEADER = 64 << 20
_MAX_BLOB = 1 << 30
_MAX_BLOBS = 100_000
_PR_SET_PDEATHSIG = 1
# The kernel sends a child its death signal when the *thread* that started it ends, so one thread that never ends
# before the process does starts them all.
_SPAWNER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


class ChildError(Exception):
    """A request to a child failed. `reason` is one of "crashed", "timeout", "protocol", "refused"."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def send(sock: socket.socket, message: Message, blobs: Sequence[Blob] = ()) -> None:
    """Write one message. `message` must be JSON; `blobs` are sent as they are."""
    views = [memoryview(blob).cast("B") for blob in blobs]
    header = orjson.dumps(message)
    lengths = struct.pack(f"!{len(views)}Q", *(view.nbytes for view in views))
    sock.sendall(_HEAD.pack(len(header), len(views)) + lengths + header)
    for view in views:
        sock.sendall(view)


def receive(sock: socket.socket) -> tuple[Message, list[bytearray]]:
    """Read one message; EOFError when the other side is gone, ChildError on a frame that breaks the bounds."""
    header_length, count = _HEAD.unpack(_read(sock, _HEAD.size))
    if header_length > _MAX_HEADER or count > _MAX_BLOBS:
        raise ChildError("protocol", f"frame of {header_length} bytes and {count} blobs")
    lengths = struct.unpack(f"!{count}Q", _read(sock, 8 * count))
    if sum(lengths) > _MAX_BLOB:
        raise ChildError("protocol", f"blobs of {sum(lengths)} bytes")
    message = orjson.loads(_read(sock, header_length))
    if not isinstance(message, dict):
        raise ChildError("protocol", "header is no object")
    return message, [_read(sock, length) for length in lengths]


def _read(sock: socket.socket, length: int) -> bytearray:
    data = bytearray(length)
    view = memoryview(data)
    while view.nbytes:
        got = sock.recv_into(view)
        if not got:
            raise EOFError("the other side closed the channel")
        view = view[got:]
    return data


@dataclass(frozen=True)
class Limits:
    """What a child may use: address space in bytes (0: no limit), seconds of processor time, niceness."""

    memory: int = 0
    cpu_seconds: int = 0
    nice: int = 10


class Child:
    """A process that answers one request at a time; started when first asked, restarted after any failure.

    Thread-safe: requests queue on a lock. `deadline` is in seconds of the monotonic clock.
    """

    def __init__(self, module: str, arguments: Sequence[str] = (), limits: Limits | None = None) -> None:
        self._command = [sys.executable, "-P", "-m", module, *arguments]
        self._limits = limits or Limits()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._last_used = time.monotonic()

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @property
    def idle_seconds(self) -> float:
        """Seconds since the last request ended; 0 while one is under way."""
        return 0.0 if self._lock.locked() else time.monotonic() - self._last_used

    def request(
        self, message: Message, blobs: Sequence[Blob] = (), *, deadline: float
    ) -> tuple[Message, list[bytearray]]:
        """Send one request and wait for its answer.

        Raises:
            ChildError: the child crashed, broke the protocol, did not answer in time (it is then gone; the next
                request starts another), or answered that it refuses (reason "refused"; it lives on).
        """
        with self._lock:
            try:
                answer, data = self._exchange(message, blobs, deadline)
            finally:
                self._last_used = time.monotonic()
        if "error" in answer:
            raise ChildError(answer.get("reason", "refused"), str(answer["error"]))
        return answer, data

    def _exchange(self, message: Message, blobs: Sequence[Blob], deadline: float) -> tuple[Message, list[bytearray]]:
        sock = self._started()
        timer = threading.Timer(deadline, self._terminate)  # a trickling child must not reset a socket timeout
        timer.daemon = True
        timer.start()
        try:
            send(sock, message, blobs)
            return receive(sock)
        except (EOFError, OSError, ValueError, ChildError) as error:
            timed_out = not timer.is_alive()
            status = self._discard()
            if timed_out:
                raise ChildError("timeout", f"no answer within {deadline:g} s") from error
            if isinstance(error, ChildError):
                raise
            raise ChildError("crashed", describe_exit(status)) from error
        finally:
            timer.cancel()

    def _started(self) -> socket.socket:
        if self._socket is not None and self.pid is not None:
            return self._socket
        self._discard()
        ours, theirs = socket.socketpair()
        limits = self._limits
        command = [*self._command, f"--fd={theirs.fileno()}", f"--memory={limits.memory}"]
        command += [f"--cpu-seconds={limits.cpu_seconds}", f"--nice={limits.nice}", f"--parent={os.getpid()}"]
        with theirs:
            self._process = _SPAWNER.submit(_start, command, theirs.fileno()).result()
        self._socket = ours
        return ours

    def _terminate(self) -> None:
        process = self._process
        if process is not None:
            process.kill()

    def _discard(self) -> int | None:
        """Kill and reap the process; its exit status (negative: the signal that ended it)."""
        process, sock = self._process, self._socket
        self._process = self._socket = None
        if sock is not None:
            sock.close()
        if process is None:
            return None
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=0.2)  # a crashed child's own status says more than our SIGKILL
        process.kill()
        return process.wait()

    def stop(self) -> None:
        """End the process; a request under way fails with "crashed"."""
        self._terminate()
        with self._lock:
            self._discard()


def _start(command: list[str], fd: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, pass_fds=[fd], stdin=subprocess.DEVNULL)


def describe_exit(status: int | None) -> str:
    """What an exit status of a child means, in words."""
    if status is None:
        return "the child could not be started"
    if status < 0:
        return f"the child was ended by {signal.Signals(-status).name}"
    return f"the child exited with status {status}"


def child_parser() -> argparse.ArgumentParser:
    """The arguments that every child takes; a child's main may add its own before `serve`."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--memory", type=int, default=0)
    parser.add_argument("--cpu-seconds", type=int, default=0)
    parser.add_argument("--nice", type=int, default=0)
    parser.add_argument("--parent", type=int, default=0)
    return parser


def serve(arguments: argparse.Namespace, make_handler: Callable[[], Handler]) -> None:
    """A child's main loop: limit ourselves, then answer requests until the parent is gone.

    `make_handler` is called after the limits are in force, so that heavy imports happen under them. An exception of
    the handler is answered as `{"error": text, "reason": "refused"}`; MemoryError ends the process, because what is
    left of it cannot be trusted.
    """
    _limit(arguments)
    handler = make_handler()
    with socket.socket(fileno=arguments.fd) as sock:
        while True:
            try:
                message, blobs = receive(sock)
            except EOFError:
                return
            try:
                answer, data = handler(message, blobs)
            except MemoryError:
                os._exit(86)
            except Exception as error:  # whatever a decoder raises is the answer
                answer, data = {"error": f"{type(error).__name__}: {error}", "reason": "refused"}, ()
            send(sock, answer, data)


def _limit(arguments: argparse.Namespace) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if arguments.memory:
        resource.setrlimit(resource.RLIMIT_AS, (arguments.memory, arguments.memory))
    if arguments.cpu_seconds:
        resource.setrlimit(resource.RLIMIT_CPU, (arguments.cpu_seconds, arguments.cpu_seconds))
    with contextlib.suppress(OSError):
        os.nice(arguments.nice)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
            file.write("500")  # memory is short: better a child than the daemon
    if arguments.parent and os.getppid() != arguments.parent:
        os._exit(0)  # the parent died before we could ask to die with it
