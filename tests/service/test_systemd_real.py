"""The service under a real systemd: what the unit lets through, and a life from installation to removal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Scenario = Callable[..., dict[str, Any]]

pytestmark = [pytest.mark.long, pytest.mark.timeout(550)]


def test_the_unit_lets_the_work_through_and_nothing_else(in_systemd: Scenario) -> None:
    seen = in_systemd("restrictions")
    assert {name: result for name, result in seen["work"].items() if not result.startswith("ok")} == {}
    assert "woken: True" in seen["work"]["watch"]
    assert {name: result for name, result in seen["forbidden"].items() if result.startswith("ok")} == {}
    assert seen["read"].startswith("ok")
    assert (seen["watchdog"], seen["state_mode"]) == ("60000000", "0o700")
    assert seen["stop_seconds"] < 10


def test_a_service_from_installation_to_removal(in_systemd: Scenario) -> None:
    seen = in_systemd("service")
    installed = seen["installed"]
    assert (installed["state"], installed["enabled"], installed["account"]) == ("active", True, "mediad")
    assert installed["exposure"] <= 1.5
    assert seen["installing_again_left_it_running"]
    assert seen["added_in_catalog"]
    assert seen["new_work_after_kill"] == {"decodes": 0, "embeddings": 0}
    assert seen["generations"][1] >= seen["generations"][0]
    assert (len(seen["files_after_kill"]), "added.jpg" in seen["files_after_kill"]) == (7, True)
    assert seen["volume_listing"] == seen["files_after_kill"], "nothing of ours in the volume"
    assert seen["watchdog"] == {"idle_daemon_lived": True, "frozen_daemon_came_back": True}
    assert (seen["stop_seconds"] < 10, seen["result_of_stop"]) == (True, "success")
    assert (seen["uninstalled"]["installed"], seen["uninstalled_again"]["installed"]) == (False, False)
    assert any(installed["state_dir"] in note for note in seen["uninstalled"]["notes"])
    assert (seen["unit_left"], seen["processes_left"], seen["state_left"]) == (False, [], True)


def test_a_users_service_from_installation_to_removal(in_systemd: Scenario) -> None:
    seen = in_systemd("user_service")
    assert (seen["installed"]["state"], seen["installed"]["scope"]) == ("active", "user")
    assert seen["drop_in"], "namespaces work in the sandbox, so all but our own directories are read-only"
    assert seen["pictures"] == 3
    assert (seen["uninstalled"]["installed"], seen["left_in_config"]) == (False, [])
