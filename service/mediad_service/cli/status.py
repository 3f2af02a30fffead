"""`mediad status`: what the daemon does, and has trouble with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mediad_service.cli.session import AsJson, Session, verb
from mediad_service.cli.show import duration, many, pace, print_facts, print_json, print_table

_NAMED = 20  # files in trouble that are listed for people; the rest is counted


@verb
def status(session: Session, *, as_json: AsJson = False) -> None:
    """Say what is known and under way, and what has failed.

    Without a running daemon the state is "stopped" and the rest is what its store says.
    """
    with session.connect() as facts:
        known = facts.status()
    if as_json:
        print_json(known)
        return
    print_facts(_facts(known))
    columns = ("volume", "state", "#files", "path", "")
    print_table(columns, (_volume(volume) for volume in known["volumes"]), kind="volume")
    for kind, entries in (("quarantined", known["quarantined"]), ("failing", known["failing"])):
        print_table((kind, "reason"), ((entry["path"], entry["reason"]) for entry in entries[:_NAMED]), kind=kind)
        if len(entries) > _NAMED:
            print_facts([("", f"... and {len(entries) - _NAMED} more: see --json")])


def _facts(known: dict[str, Any]) -> Iterator[tuple[str, object]]:
    yield "state", _state(known)
    yield "generation", known["generation"]
    yield "assets", f"{many(known['assets']['images'], 'image')}, {many(known['assets']['videos'], 'video')}"
    yield "pending", _pending(known)
    yield "encoder", _encoder(known["encoder"])
    yield "", known["encoder"].get("problem")
    yield "catalog", known["catalog"]
    yield "page", known["page"]
    yield "config", known["config"]["file"]
    for problem in known["config"]["problems"]:
        yield "", problem
    for table in known["config"]["next_start"]:
        yield "", f"[{table}] was changed: that is in force at the next start"
    for loop, why in known.get("loops", {}).items():
        yield "failed", f"{loop}: {why}"


def _state(known: dict[str, Any]) -> str:
    pid, since = known.get("pid"), known.get("uptime_seconds")
    return str(known["state"]) + (f" (process {pid}, for {duration(since or 0)})" if pid else "")


def _pending(known: dict[str, Any]) -> str:
    """How much is to be done, and how fast it goes: "120 (20 files/s, 6 s left)"."""
    told = pace(known)
    return f"{known['pending']:,}" + (f" ({told})" if known["pending"] and told else "")


def _encoder(encoder: dict[str, Any]) -> str:
    if encoder["spec"] is None:
        return f"none yet (wanted: {encoder['setting']})"
    return f"{encoder['spec']} ({encoder['backend']}, {'text and images' if encoder['text'] else 'images only'})"


def _volume(volume: dict[str, Any]) -> tuple[object, ...]:
    trouble = [volume["reason"], volume.get("watch_reason")]
    unreadable = volume.get("unreadable") or []
    if unreadable:
        trouble.append(f"{many(len(unreadable), 'name')} unreadable: {unreadable[0]['path']}")
    unsettled = volume.get("unsettled") or []
    if unsettled:
        trouble.append(f"{many(len(unsettled), 'file')} always being written: {unsettled[0]['path']}")
    told = "; ".join(str(one) for one in trouble if one)
    return volume["name"], volume["state"], volume["assets"], volume["path"], told
