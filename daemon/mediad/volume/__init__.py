"""Volumes: what is mounted, whether it is the volume we know, whether it is well, and what lies in its directories."""

from mediad.volume.health import Health, check
from mediad.volume.identity import Identity, Presence, Sample, Verdict, identify, same_volume, sample_presence
from mediad.volume.mounts import Mount, is_remote, mount_of
from mediad.volume.rules import Rules
from mediad.volume.walk import Listing, list_directory

__all__ = [
    "Health",
    "Identity",
    "Listing",
    "Mount",
    "Presence",
    "Rules",
    "Sample",
    "Verdict",
    "check",
    "identify",
    "is_remote",
    "list_directory",
    "mount_of",
    "same_volume",
    "sample_presence",
]
