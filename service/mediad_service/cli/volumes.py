"""`mediad volumes`: what is watched, and editing it in the configuration file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from mediad.config import ConfigError, locate, volume_from
from mediad_service.cli.session import USAGE, AsJson, Session, fail, verb
from mediad_service.cli.show import print_json, print_table
from mediad_service.client import FactsError, Found

app = typer.Typer(help="List, add and remove the volumes that are watched.", no_args_is_help=True)


def _names(incomplete: str) -> list[str]:
    """Completion: names of volumes in the configuration file."""
    from mediad.config import load

    try:
        settings = load(locate().config, missing_ok=True)
    except ConfigError:
        return []
    return [volume.name for volume in settings.volumes if volume.name.startswith(incomplete)]


@app.command("list")
@verb
def list_volumes(session: Session, *, as_json: AsJson = False) -> None:
    """List the volumes: those in the configuration file, and those that the daemon knows."""
    volumes = _merged(session)
    if as_json:
        print_json(volumes)
        return
    columns = ("name", "state", "#files", "last scan", "path", "")
    print_table(columns, (_row(one) for one in volumes), empty="no volumes yet: mediad volumes add DIRECTORY")


@app.command()
@verb
def add(
    session: Session,
    path: Annotated[Path, typer.Argument(help="The folder to watch. It may be away now.")],
    *,
    name: Annotated[str, typer.Option(help="What you call it; by default the last part of its path.")] = "",
    include: Annotated[list[str] | None, typer.Option(help="Take only files that match; may be repeated.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Leave out what matches; may be repeated.")] = None,
    hidden: Annotated[bool, typer.Option("--hidden", help="Take names that start with a dot too.")] = False,
    follow_symlinks: Annotated[bool, typer.Option("--follow-symlinks", help="Follow symbolic links.")] = False,
    flat: Annotated[bool, typer.Option("--flat", help="Do not look into the folders inside.")] = False,
    as_json: AsJson = False,
) -> None:
    """Add a volume to the configuration file; a running daemon is told to read it."""
    from mediad.config.edit import add_volume

    chosen: dict[str, object] = {"name": name, "include": include, "exclude": exclude, "hidden": hidden}
    chosen |= {"follow_symlinks": follow_symlinks, "recursive": False if flat else None}
    given = {key: value for key, value in chosen.items() if value}
    if flat:
        given["recursive"] = False
    volume = volume_from({"path": path, **given})
    if os.path.exists(volume.path) and not os.path.isdir(volume.path):  # noqa: PTH110, PTH112 - Path's may raise
        fail(f"{volume.path} is a file, not a folder: add the folder that it is in", USAGE)
    settings = add_volume(session.locations.config, volume, locations=session.locations)
    added = next(one for one in settings.volumes if one.path == volume.path)
    _done(session, {"added": added.name, "path": str(added.path)}, as_json=as_json)


@app.command()
@verb
def remove(
    session: Session,
    volume: Annotated[str, typer.Argument(help="Its name or path.", autocompletion=_names)],
    *,
    as_json: AsJson = False,
) -> None:
    """Remove a volume from the configuration file. Its files stay as they are; the catalog forgets them."""
    from mediad.config.edit import remove_volume

    removed = remove_volume(session.locations.config, volume, locations=session.locations)
    _done(session, {"removed": removed.name, "path": str(removed.path)}, as_json=as_json)


def _done(session: Session, what: dict[str, Any], *, as_json: bool) -> None:
    """Tell a running daemon to read its configuration, and the person what was done."""
    told = _tell_daemon(session)
    document = {**what, "config": str(session.locations.config), "daemon_told": told}
    if as_json:
        print_json(document)
        return
    verb_, name = next(iter(what.items()))
    then = "the running daemon was told to read it" if told else "it counts from the next start of the daemon"
    print_table((), [(f"{verb_} {name} ({what['path']}); {then}",)])


def _tell_daemon(session: Session) -> bool:
    try:
        with session.connect() as facts:
            facts.reload()
            return facts.running
    except FactsError:
        return False  # nothing has ever run here


def _merged(session: Session) -> Found:
    """The volumes of the store with those of the file that the store does not know yet."""
    configured = {str(volume.path): volume for volume in session.settings_or_defaults.volumes}
    try:
        with session.connect() as facts:
            known: Found = facts.status()["volumes"]
    except FactsError:
        known = []
    paths = {volume["path"] for volume in known}
    fresh: Found = [
        {"id": None, "name": volume.name, "path": path, "state": "new", "reason": None, "assets": 0, "last_scan": None}
        for path, volume in configured.items()
        if path not in paths
    ]
    return [volume | {"configured": volume["path"] in configured} for volume in known + fresh]


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    last = str(one["last_scan"] or "").partition(".")[0].replace("T", " ")
    return one["name"], one["state"], one["assets"], last, one["path"], one["reason"]
