"""Settings, where they are read from, and what is wrong with them. Edits and the watch on the file are submodules."""

from .load import load, volume_from, with_directories
from .locations import Locations, ensure, locate, socket_of
from .problems import ConfigError, Problem
from .settings import Settings, VolumeSettings
from .volumes import check_volumes

__all__ = [
    "ConfigError",
    "Locations",
    "Problem",
    "Settings",
    "VolumeSettings",
    "check_volumes",
    "ensure",
    "load",
    "locate",
    "socket_of",
    "volume_from",
    "with_directories",
]
