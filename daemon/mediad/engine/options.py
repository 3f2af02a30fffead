"""From settings to the options of the parts that do not know settings."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from mediad.analysis.settings import ClusterSettings
from mediad.config.locations import Locations
from mediad.config.settings import Settings
from mediad.encoders.client import Encoder
from mediad.media.decoder import Decoder, DecodeSpec
from mediad.model import InputSpec


def decode_spec(settings: Settings) -> Callable[[InputSpec | None], DecodeSpec]:
    """How to decode, for an encoder's input."""
    previews = settings.previews

    def spec(encoder_input: InputSpec | None) -> DecodeSpec:
        return DecodeSpec(
            input=encoder_input,
            preview_size=previews.size,
            preview_format=previews.format,
            preview_quality=previews.quality,
            keyframes=previews.keyframes,
            gif=previews.gif,
            gif_size=previews.gif_size,
            gif_frames=previews.gif_frames,
            max_pixels=settings.limits.max_pixels_mp * 1_000_000,
        )

    return spec


def make_decoder(settings: Settings) -> Decoder:
    limits = settings.limits
    return Decoder(
        memory_bytes=limits.decoder_memory_mb * 1_000_000,
        image_deadline=limits.image_deadline,
        video_deadline=limits.video_deadline,
        nice=limits.nice,
    )


def make_encoder(locations: Locations, settings: Settings) -> Callable[[str], Encoder]:
    """How to make the encoder of a spec."""
    limits = settings.limits
    memory = limits.encoder_memory_mb * 1_000_000
    return lambda spec: Encoder(spec, locations.weights, locations.state, nice=limits.nice, memory_bytes=memory)


def readers(settings: Settings) -> int:
    """How many files are decoded at once."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return settings.limits.decoders or usable


def cluster_settings(settings: Settings) -> ClusterSettings:
    chosen = settings.clustering
    return ClusterSettings(
        method=chosen.method,
        reduce=chosen.reduce,
        neighbors=chosen.neighbors,
        components=chosen.components,
        min_cluster_size=chosen.min_cluster_size,
        clusters=chosen.clusters or None,
    )


def store_directory(state: Path) -> Path:
    return state / "store"
