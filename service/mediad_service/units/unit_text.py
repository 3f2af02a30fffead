"""The text of systemd units, from the templates in `systemd/`."""

from __future__ import annotations

import grp
import re
import sys
from pathlib import Path

import mediad
from mediad.resources import shipped

from .quoting import command_line, escaped
from .service import Service

FACTS_SECTION = "X-mediad"
"""systemd passes over sections whose name starts with X-; `status` reads ours again."""

_HIDDEN = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - the folders that PrivateTmp= hides
_GRAPHICS = ("char-nvidia*", "char-drm", "char-kfd")  # CUDA; ROCm needs the last two


def unit_text(service: Service) -> str:
    """The unit of `service`, for the whole system or for a user."""
    values = {"EXEC_START": command_line(service.command), "FACTS": _facts(service)}
    if not service.system:
        return _fill("mediad-user.service.in", values)
    values |= {
        "IDENTITY": _identity(service),
        "PATHS": _lines("BindReadOnlyPaths=", _hidden_paths()) + _lines("ReadWritePaths=", _outside(service)),
        "DEVICES": _devices(service.gpu),
        "NETWORK": "" if service.network else "IPAddressDeny=any\nIPAddressAllow=localhost",
    }
    return _fill("mediad.service.in", values)


def namespaces_text(service: Service) -> str:
    """The drop-in of a user's service that makes all but its own directories and the caches read-only."""
    paths = ["%C", *(str(path) for path in _HIDDEN), *(escaped(str(path)) for path in service.directories)]
    return _fill("mediad-user-namespaces.conf.in", {"PATHS": f"ReadWritePaths={' '.join(paths)}"})


def _fill(template: str, values: dict[str, str]) -> str:
    text = shipped("systemd", template).read_text()
    filled = re.sub(r"@([A-Z_]+)@", lambda match: values[match[1]].rstrip("\n"), text)
    return re.sub(r"\n{3,}", "\n\n", filled).rstrip("\n") + "\n"


def _facts(service: Service) -> str:
    return "\n".join(
        (
            f"[{FACTS_SECTION}]",
            f"Config={service.config}",
            f"StateDir={service.state_dir}",
            f"CatalogDir={service.catalog_dir}",
        )
    )


def _identity(service: Service) -> str:
    """Who the daemon is. Capabilities count for nothing on others' files in a user namespace: one or the other."""
    lines = [f"User={service.account}"]
    if service.read_all:
        capability = "CAP_DAC_READ_SEARCH"
        lines += ["# Reads files whatever their permissions, as a backup does; nothing else of root's powers."]
        lines += [f"CapabilityBoundingSet={capability}", f"AmbientCapabilities={capability}"]
    else:
        lines += ["CapabilityBoundingSet=", "PrivateUsers=yes"]
    return "\n".join(lines)


def _devices(gpu: bool) -> str:
    if not gpu:
        return "PrivateDevices=yes"
    groups = {group.gr_name for group in grp.getgrall()} & {"render", "video"}
    return _lines("SupplementaryGroups=", sorted(groups)) + _lines("DeviceAllow=", [f"{name} rw" for name in _GRAPHICS])


def _hidden_paths() -> list[str]:
    """What the daemon's Python needs and PrivateTmp= would hide: only an installation in a temporary folder has any."""
    package = Path(mediad.__file__ or sys.prefix)
    needed = {Path(sys.prefix), Path(sys.base_prefix), package.parents[2]}
    return sorted(escaped(str(path)) for path in needed if any(path.is_relative_to(hidden) for hidden in _HIDDEN))


def _outside(service: Service) -> list[str]:
    """Directories of ours that systemd does not make writable by itself."""
    managed = (Path("/var/lib/mediad"), Path("/var/cache/mediad"))
    return [
        escaped(str(path))
        for path in service.directories
        if not any(path.is_relative_to(directory) for directory in managed)
    ]


def _lines(setting: str, values: list[str]) -> str:
    return "".join(f"{setting}{value}\n" for value in values)
