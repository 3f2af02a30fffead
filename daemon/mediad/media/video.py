"""A video file becomes pictures spread over its length, and facts about it.

Keyframes are decoded alone (a few milliseconds each); only a short video with too few of them is decoded whole.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import av
import numpy as np
from PIL import Image

from mediad.media.previews import least_size
from mediad.media.sidecar import Metadata, camera_name, clean, iso_time, position
from mediad.media.spec import DecodeSpec, Undecodable

# Playlists (HLS, DASH, concat) would open other files and addresses: only what is itself a video is tried.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,asf,flv,live_flv,ogg,mxf,dv,wtv,h264,hevc"
)
_MOST_PACKETS = 2000
_WHOLE_SECONDS = 90.0
_WHOLE_FRAMES = 6000
_PLACE = re.compile(r"([+-]\d{1,3}(?:\.\d+)?)([+-]\d{1,3}(?:\.\d+)?)([+-]\d+(?:\.\d+)?)?", re.ASCII)

Shot = tuple[float, Image.Image]


@dataclass
class Clip:
    """A decoded video: candidate frames in order of time, upright RGB; size as displayed; facts as in `Asset`."""

    shots: list[Shot]
    width: int
    height: int
    format: str
    codec: str
    duration: float | None
    fps: float | None
    metadata: Metadata


def decode(file: BinaryIO, suffix: str, spec: DecodeSpec, candidates: int) -> Clip:
    """Decode about `candidates` frames, spread evenly over the length; at least one.

    Raises:
        Undecodable: no video in it, or no frame of it can be decoded, or its frames are too large.
        Exception: whatever FFmpeg raises for a file that it cannot read.
    """
    with av.open(file, options={"format_whitelist": _CONTAINERS}, metadata_errors="replace") as container:
        stream = _stream(container)
        reader = _Reader(container, stream, spec)
        duration = reader.duration
        shots = reader.shots(candidates)
        if not shots:
            raise Undecodable("no frame of it could be decoded")
        rate = stream.average_rate or stream.guessed_rate
        names = container.format.name.split(",")
        return Clip(
            shots,
            *reader.displayed,
            suffix if suffix in names else names[0],
            stream.codec_context.name,
            round(duration, 3) if duration else None,
            round(float(rate), 3) if rate and 0 < rate < 1000 else None,
            _metadata({**stream.metadata, **container.metadata}),
        )


def _stream(container: Any) -> Any:
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic and stream.codec_context is not None:
            return stream
    raise Undecodable("it has no video stream")


class _Reader:
    """Frames of one stream by time. Times are seconds from the stream's start."""

    def __init__(self, container: Any, stream: Any, spec: DecodeSpec) -> None:
        self._container, self._stream, self._spec = container, stream, spec
        self._codec = stream.codec_context
        self._codec.thread_count = 1
        self._start = float((stream.start_time or 0) * stream.time_base)
        if self._codec.width * self._codec.height > spec.max_pixels:
            raise Undecodable(f"its frames have more pixels than the limit of {spec.max_pixels}")
        self.displayed = (self._codec.width, self._codec.height)
        self.duration = self._duration()

    def _duration(self) -> float | None:
        if self._stream.duration:
            return float(self._stream.duration * self._stream.time_base)
        if self._container.duration:
            return float(self._container.duration / 1_000_000)
        last = max((p.pts + (p.duration or 0) for p in self._container.demux(self._stream) if p.pts), default=0)
        return max(0.0, float(last * self._stream.time_base) - self._start) or None

    def shots(self, count: int) -> list[Shot]:
        found = dict(self._key_shots(count)) if self.duration else {}
        if len(found) < count and (self.duration or 0.0) <= _WHOLE_SECONDS:
            found = dict(self._every_shot(count)) or found
        return sorted(found.items(), key=lambda shot: shot[0])

    def _targets(self, count: int) -> list[float]:
        return [(self.duration or 0.0) * (index + 0.5) / count for index in range(count)]

    def _key_shots(self, count: int) -> Iterator[Shot]:
        """The keyframe before each target; the same one is decoded once."""
        seen: set[float] = set()
        for target in self._targets(count):
            try:
                packet = self._key_packet(target)
                seconds = self._seconds(packet) if packet else math.inf
                if packet is None or seconds in seen:
                    continue
                seen.add(seconds)
                frame = self._decoded_alone(packet)
            except av.FFmpegError:
                continue  # a damaged stretch, or a file that cannot be sought in, costs this frame only
            if frame is not None:
                yield seconds, self._picture(frame)

    def _key_packet(self, target: float) -> Any:
        offset = round((target + self._start) / self._stream.time_base)
        self._container.seek(offset, stream=self._stream)
        for index, packet in enumerate(self._container.demux(self._stream)):
            if packet.is_keyframe and packet.size and _stamp(packet) is not None:
                return packet
            if index > _MOST_PACKETS:
                break
        return None

    def _decoded_alone(self, packet: Any) -> Any:
        """The picture of a keyframe's packet, with the decoder drained so that it does not wait for later frames."""
        self._codec.flush_buffers()
        frames = [*self._codec.decode(packet), *self._codec.decode(None)]
        self._codec.flush_buffers()
        return frames[0] if frames else None

    def _every_shot(self, count: int) -> Iterator[Shot]:
        """The first frame at or after each target, with all frames decoded on the way."""
        self._codec.flush_buffers()
        with contextlib.suppress(av.FFmpegError):  # what cannot be sought in is read from where it stands
            self._container.seek(self._stream.start_time or 0, stream=self._stream)
        targets = self._targets(count)
        for index, frame in enumerate(self._frames()):
            seconds = self._seconds(frame)
            if not targets or index > _WHOLE_FRAMES:
                return
            if seconds >= targets[0] - 1e-3:
                while targets and targets[0] <= seconds + 1e-3:
                    targets.pop(0)
                yield seconds, self._picture(frame)

    def _frames(self) -> Iterator[Any]:
        for packet in self._container.demux(self._stream):
            try:
                yield from self._codec.decode(packet)
            except av.FFmpegError:
                continue

    def _seconds(self, thing: Any) -> float:
        return round(max(0.0, float((_stamp(thing) or 0) * self._stream.time_base) - self._start), 3)

    def _picture(self, frame: Any) -> Image.Image:
        """A frame as upright RGB with square pixels, scaled while it is converted."""
        aspect = float(self._stream.sample_aspect_ratio or 1)
        aspect = aspect if 0.1 < aspect < 10 else 1.0
        full = (max(1, round(frame.width * aspect)), frame.height)
        width, height = least_size(full, self._spec)
        pixels = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="AREA")
        turns = round(frame.rotation / 90) % 4
        self.displayed = full if turns % 2 == 0 else full[::-1]
        return Image.fromarray(np.ascontiguousarray(np.rot90(pixels, turns)))


def _stamp(thing: Any) -> int | None:
    stamp: int | None = thing.dts if thing.pts is None else thing.pts  # AVI has no presentation times
    return stamp


def _metadata(tags: dict[str, str]) -> Metadata:
    """When, where and with what it was taken, as QuickTime, Android and Matroska write it."""
    low = {key.lower(): value for key, value in tags.items()}
    apple = "com.apple.quicktime."
    captured = iso_time(low.get(f"{apple}creationdate", "")) or iso_time(low.get("creation_time", ""))
    place = _PLACE.match(low.get(f"{apple}location.iso6709") or low.get("location", ""))
    make, model = (clean(low.get(f"{apple}{key}") or low.get(key, "")) for key in ("make", "model"))
    return Metadata(
        captured=captured,
        camera=camera_name(make, model),
        gps=position(*(float(number) for number in place.groups() if number)) if place else None,
    )
