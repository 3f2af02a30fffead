"""Where the files shipped with mediad are: default settings, the catalog's schema, unit and agent templates."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent
_ROOTS = (
    _PACKAGE / "_shipped",  # in a wheel
    _PACKAGE.parents[1],  # in a checkout: the package is <root>/daemon/mediad
)


def shipped(*parts: str) -> Path:
    """The path of a shipped file or folder, for example `shipped("config", "default.toml")`.

    Raises FileNotFoundError, saying what to do, where the installation lacks it.
    """
    for root in _ROOTS:
        path = root.joinpath(*parts)
        if path.exists():
            return path
    name = "/".join(parts)
    raise FileNotFoundError(f"this installation of mediad lacks {name} (looked in {_ROOTS[0]}): install it again")
