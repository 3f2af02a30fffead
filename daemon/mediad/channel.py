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

from mediad.clock import slices

Message = dict[str, Any]
Blob = bytes | bytearray | memoryview
Handler = Callable[[Message, list[bytearray]], tuple[Message, Sequence[Blob]]]

_HEAD = struct.Struct("!II")
_MAX_HEADER = 64 << 20
_MAX_BLOB = 1 << 30
_MAX_BLOBS = 100_000
_PIECE = 256 << 10
_PR_SET_PDEATHSIG = 1
_OUT_OF_MEMORY = 86  # exit status
_LAST_WAIT = 2.0
# The kernel sends a child its death signal when the *thread* that started it ends, so one thread that never ends
# before the process does starts them all.
_SPAWNER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")
_undead: list[subprocess.Popen[bytes]] = []  # killed, but not dead yet; only the spawner's thread touches it


class ChildError(Exception):
    """A request to a child failed.

    `reason` is one of "crashed", "timeout", "protocol", "refused", and where it says nothing of what was asked,
    "stopped" (by us) and "unavailable" (it could not be started).
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason

    @property
    def ours(self) -> bool:
        """Whether it says nothing of what was asked."""
        return self.reason in ("stopped", "unavailable")


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
    """Memory is taken as bytes arrive: what a frame only claims to hold costs none."""
    data = bytearray()
    while len(data) < length:
        piece = sock.recv(min(length - len(data), _PIECE))
        if not piece:
            raise EOFError("the other side closed the channel")
        data += piece
    return data


@dataclass(frozen=True)
class Limits:
    """What a child may use: address space in bytes (0: no limit), seconds of processor time, niceness."""

    memory: int = 0
    cpu_seconds: int = 0
    nice: int = 10


class _Deadline:
    """Kills a process when its time is over. A trickling child cannot reset it, as it does a socket's timeout."""

    def __init__(self, process: subprocess.Popen[bytes], sock: socket.socket, seconds: float) -> None:
        self._process, self._socket = process, sock
        self._lock = threading.Lock()
        self._expired = False
        self._ended = threading.Event()
        threading.Thread(target=self._watch, args=(seconds,), name="deadline", daemon=True).start()

    def _watch(self, seconds: float) -> None:
        if any(self._ended.wait(part) for part in slices(seconds)):  # the child stood still while we did
            return
        with self._lock:
            if not self._ended.is_set():  # or it would kill in the middle of the next request
                self._expired = True
                _end(self._process, self._socket)

    def end(self) -> bool:
        """No more killing from now on; whether it was too late for that."""
        with self._lock:
            self._ended.set()
            return self._expired


class Child:
    """A process that answers one request at a time; started when first asked, restarted after any failure.

    Thread-safe: requests queue on a lock. `deadline` is in seconds, those left out in which we were stopped ourselves.
    """

    def __init__(self, module: str, arguments: Sequence[str] = (), limits: Limits | None = None) -> None:
        self._command = [sys.executable, "-P", "-m", module, *arguments]
        self._limits = limits or Limits()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._last_used = time.monotonic()
        self._stopping = False

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
                request starts another), answered that it refuses (reason "refused"; it lives on), was stopped, or
                could not be started.
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
        sock, process = self._started()
        limit = _Deadline(process, sock, deadline)
        try:
            send(sock, message, blobs)
            answer = receive(sock)
        except (EOFError, OSError, ValueError, MemoryError, ChildError) as error:
            timed_out, status = limit.end(), self._discard()
            if self._stopping:
                raise ChildError("stopped", "the child was stopped") from error
            if timed_out:
                raise ChildError("timeout", f"no answer within {deadline:g} s") from error
            if isinstance(error, ChildError):
                raise
            if isinstance(error, MemoryError):
                raise ChildError("protocol", "its answer is larger than the memory that is left") from error
            raise ChildError("crashed", describe_exit(status)) from error
        except BaseException:  # half a message may be in the socket: nobody could make sense of what follows it
            limit.end()
            self._discard()
            raise
        if limit.end():
            self._discard()  # it answered at the last moment and was killed all the same
        return answer

    def _started(self) -> tuple[socket.socket, subprocess.Popen[bytes]]:
        if self._socket is not None and self._process is not None and self._process.poll() is None:
            return self._socket, self._process
        self._discard()
        try:
            self._socket, theirs = socket.socketpair()
            with theirs:
                self._process = _SPAWNER.submit(_start, self._command_for(theirs.fileno()), theirs.fileno()).result()
        except OSError as error:  # no memory, no processes, no descriptors left, or our own program is gone
            self._discard()
            raise ChildError("unavailable", f"the child could not be started: {error}") from error
        if self._stopping:  # `stop` found no process to end
            self._process.kill()
            self._discard()
            raise ChildError("stopped", "the child was stopped")
        return self._socket, self._process

    def _command_for(self, fd: int) -> list[str]:
        limits = self._limits
        own = [f"--fd={fd}", f"--memory={limits.memory}", f"--cpu-seconds={limits.cpu_seconds}"]
        return [*self._command, *own, f"--nice={limits.nice}", f"--parent={os.getpid()}"]

    def _terminate(self) -> None:
        process, sock = self._process, self._socket
        if process is not None and sock is not None:
            _end(process, sock)

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
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=_LAST_WAIT)
        _SPAWNER.submit(_undead.append, process)  # it hangs in the kernel, on a drive that does not answer
        return None

    def stop(self) -> None:
        """End the process; a request under way fails with "stopped"."""
        self._stopping = True
        self._terminate()
        with self._lock:
            self._discard()
            self._stopping = False


def _end(process: subprocess.Popen[bytes], sock: socket.socket) -> None:
    """Kill a child; who waits for its answer waits no more, even if it hangs in the kernel and so cannot die yet."""
    process.kill()
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _start(command: list[str], fd: int) -> subprocess.Popen[bytes]:
    _undead[:] = [process for process in _undead if process.poll() is None]
    return subprocess.Popen(command, pass_fds=[fd], stdin=subprocess.DEVNULL)


def describe_exit(status: int | None) -> str:
    """What an exit status of a child means, in words."""
    if status is None:
        return "the child could not be started or ended"
    if status == _OUT_OF_MEMORY:
        return "it takes more memory than a child may have"
    if status < 0:
        name = next((known.name for known in signal.Signals if known == -status), f"signal {-status}")
        return f"the child was ended by {name}"
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
                os._exit(_OUT_OF_MEMORY)
            except Exception as error:  # whatever a decoder raises is the answer
                answer, data = {"error": f"{type(error).__name__}: {error}", "reason": "refused"}, ()
            send(sock, answer, data)


def _limit(arguments: argparse.Namespace) -> None:
    for ours in (signal.SIGINT, signal.SIGTERM):  # service managers and terminals tell the whole group
        signal.signal(ours, signal.SIG_IGN)  # the parent ends us, or goes
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
