"""`mediad once`: the same engine, once over one folder, then it ends."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from mediad.config import Locations, Settings, with_directories
from mediad_service.cli.run import start_engine
from mediad_service.cli.session import FINDING, USAGE, AsJson, Session, fail, on_terminal, verb
from mediad_service.cli.show import duration, many, print_facts, print_json, print_table

if TYPE_CHECKING:
    from mediad.engine import Engine

_LOOK = 0.25
_NOTE = "once.json"  # in its state directory: which folder it is of, and how it was clustered
_STDOUT = Path("-")


@verb
def once(
    session: Session,
    directory: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The folder to take in.")],
    *,
    output: Annotated[Path | None, typer.Option(help='Write the catalog here too; "-" is standard output.')] = None,
    force: Annotated[bool, typer.Option("--force", help="Forget what an earlier run found, and start anew.")] = False,
    min_cluster_size: Annotated[int | None, typer.Option(min=2, help="Fewer alike files are no cluster.")] = None,
    neighbors: Annotated[int | None, typer.Option(min=2, max=1000, help="Fewer make finer clusters.")] = None,
    encoder: Annotated[str | None, typer.Option(help="What makes the vectors; by default as in the settings.")] = None,
    as_json: AsJson = False,
) -> None:
    """Take in one folder, make its catalog, and exit. A second run does only what has changed since.

    What is known of the folder is kept in the state directory, apart from the daemon's: the catalog and its previews
    are there, and the summary names them. A copy written with --output refers to the previews there. Exit 1 if files
    could not be taken in (they are named), 3 if another run has the folder.
    """
    from mediad_service.cli.logs import configure
    from mediad_service.cli.relocate import check_writable, write_catalog

    if output not in (None, _STDOUT):
        check_writable(output)
    session.locations = locations = places_for(session, directory)
    settings = _chosen(session, directory, {"min_cluster_size": min_cluster_size, "neighbors": neighbors}, encoder)
    configure("info" if session.verbose else "error")
    engine = start_engine(session, settings, None, anew=force)
    summary = {"directory": str(directory)} | _take_in(engine, locations.state / _NOTE, show=not session.quiet)
    if output is not None:
        write_catalog(locations.catalog / "catalog.json", None if output == _STDOUT else output)
    if as_json and output != _STDOUT:
        print_json(summary)
    elif output != _STDOUT:
        _show(summary, output)
    raise typer.Exit(0 if _complete(summary) else FINDING)


def _complete(summary: dict[str, Any]) -> bool:
    """Whether everything in the folder is in the catalog."""
    away = any(volume["state"] != "online" for volume in summary["volumes"])
    return not (away or summary["quarantined"] or summary["failing"] or summary["pending"])


def places_for(session: Session, directory: Path) -> Locations:
    """The folder's own state directory, named by its real path, below the state directory.

    The catalog is in it unless an option says otherwise; what the environment says is the daemon's catalog.
    """
    name = blake2b(str(directory.resolve()).encode(errors="surrogateescape"), digest_size=8).hexdigest()
    state = session.locations.state / "once" / name
    catalog = session.locations.catalog if session.catalog_dir else state / "catalog"
    return replace(session.locations, state=state, catalog=catalog)


def _chosen(session: Session, directory: Path, clustering: dict[str, int | None], encoder: str | None) -> Settings:
    """The settings of the file for this folder alone, with what the options say. Everything clusters at the end."""
    given = {name: value for name, value in clustering.items() if value is not None}
    settings = with_directories(session.settings(), [directory], session.locations)
    changes: dict[str, Any] = {
        "clustering": settings.clustering.model_copy(update=given),
        "schedule": settings.schedule.model_copy(update={"recluster_min_files": 1, "recluster_changes": 1e-9}),
    }
    if encoder is not None:
        from mediad.encoders import parse

        try:
            changes["encoder"] = str(parse(encoder))
        except ValueError as error:
            fail(str(error), USAGE)
    return settings.model_copy(update=changes)


def _take_in(engine: Engine, note: Path, *, show: bool) -> dict[str, Any]:
    """Run the engine until nothing is left to do; what came of it."""
    started = time.monotonic()
    clustering = orjson.dumps(engine.settings.clustering.model_dump(mode="json"))
    others = note.exists() and note.read_bytes() != clustering
    before = engine.status()["counters"]
    try:
        engine.start()
        _wait(engine, show=show, recluster=others)
        status = engine.status()
    finally:
        engine.stop()
    note.write_bytes(clustering)
    counters = {name: count - before.get(name, 0) for name, count in status["counters"].items()}
    known = ("generation", "catalog", "assets", "pending", "quarantined", "failing", "volumes", "encoder")
    totals = _totals(engine.locations.catalog / "catalog.json")
    seconds = round(time.monotonic() - started, 2)
    return {name: status[name] for name in known} | totals | {"counters": counters, "seconds": seconds}


def _wait(engine: Engine, *, show: bool, recluster: bool) -> None:
    """Until the catalog is in step with the disk, with live progress on a terminal."""
    failures: list[BaseException] = []

    def work() -> None:
        try:
            if recluster:
                engine.sync()
                engine.recluster()
            engine.sync(clusters=True)
        except Exception as error:  # it is raised again in the main thread
            failures.append(error)

    thread = threading.Thread(target=work, name="once")
    thread.start()
    with ExitStack() as stack:
        display = None
        if show and on_terminal():
            from rich.console import Console

            from mediad_service.cli.live import Display

            display = stack.enter_context(Display(Console(stderr=True)))
        while thread.is_alive():
            thread.join(_LOOK)
            if display is not None:
                display.update(engine.status())
    for failure in failures:
        raise failure


def _totals(catalog: Path) -> dict[str, Any]:
    metadata = orjson.loads(catalog.read_bytes())["metadata"]
    return {
        "clusters": metadata["total_clusters"],
        "sequences": metadata["total_sequences"],
        "unclustered": metadata["unclustered_count"],
    }


def _show(summary: dict[str, Any], output: Path | None) -> None:
    images, videos = summary["assets"]["images"], summary["assets"]["videos"]
    print_facts(
        [
            ("assets", f"{many(images, 'image')}, {many(videos, 'video')}"),
            ("clusters", summary["clusters"]),
            ("sequences", summary["sequences"]),
            ("unclustered", summary["unclustered"]),
            ("decoded", summary["counters"].get("decodes", 0)),
            ("embedded", summary["counters"].get("embeddings", 0)),
            ("took", duration(summary["seconds"])),
            ("catalog", summary["catalog"]),
            ("copy", output),
        ]
    )
    for kind in ("quarantined", "failing"):
        print_table((kind, "reason"), ((entry["path"], entry["reason"]) for entry in summary[kind]), kind=kind)
