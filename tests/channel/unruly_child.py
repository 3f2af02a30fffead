"""A child that does what it is told, the worst included: `python -m unruly_child`."""

from __future__ import annotations

import os
import signal
import struct
import sys
import time
from typing import Any

from mediad.channel import Handler, child_parser, serve

FRAMES = {
    "garbage": b"\xff" * 4096,
    "long header": struct.pack("!II", 1 << 31, 0),
    "many blobs": struct.pack("!II", 2, 1 << 30),
    "huge blobs": struct.pack("!II", 2, 2) + struct.pack("!2Q", 1 << 62, 1 << 62) + b"{}",
    "no json": struct.pack("!II", 4, 0) + b"nope",
    "no object": struct.pack("!II", 2, 0) + b"[]",
    "half": struct.pack("!II", 100, 0) + b'{"half',
}


def make_handler() -> Handler:
    fd = arguments.fd

    def handle(message: dict[str, Any], blobs: list[bytearray]) -> tuple[dict[str, Any], list[bytearray]]:
        match message["do"]:
            case "frame":
                os.write(fd, FRAMES[message["frame"]])
                if message["frame"] == "half":
                    os._exit(0)
                time.sleep(60)
            case "die":
                os.kill(os.getpid(), message["signal"])
                time.sleep(60)
            case "exit":
                os._exit(message["status"])
            case "sleep":
                time.sleep(message["seconds"])
            case "trickle":
                while True:
                    os.write(fd, b"\0")
                    time.sleep(0.05)
            case "allocate":
                hoard = [bytearray(64 << 20) for _ in range(1000)]
                del hoard
            case "raise":
                raise ValueError(message["text"])
            case "limits":
                return {"nice": os.nice(0), "ignored": _ignored()}, []
        return {"pid": os.getpid(), "said": message.get("text")}, blobs

    return handle


def _ignored() -> list[str]:
    return [one.name for one in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(one) is signal.SIG_IGN]


if __name__ == "__main__":
    parser = child_parser()
    arguments = parser.parse_args()
    serve(arguments, make_handler)
    sys.exit(0)
