"""The launchd agent: complete, typed, and the same after a round trip."""

from __future__ import annotations

import plistlib
from pathlib import Path
from typing import Any

import pytest

from mediad_service.units import Facts, Service
from mediad_service.units.agent import agent_bytes, agent_dictionary, check_agent
from mediad_service.units.launchd import read_printed

PRINTED = """gui/501/org.mediad.agent = {
\tactive count = 1
\tpath = /Users/a/Library/LaunchAgents/org.mediad.agent.plist
\tstate = running

\tprogram = /usr/bin/python3
\truns = 3
\tpid = 4711
\tlast exit code = 1
\tspawn type = background (5)
\tsubmitted job state = none
\tendpoints = {
\t\t"x" = {
\t\t\tstate = waiting
\t\t}
\t}
}
"""


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(False, Path("/opt/a b/python&3"), tmp_path / "<config>.toml", tmp_path / "state", tmp_path / "c")


def test_the_property_list_reads_back_as_it_was_meant(service: Service) -> None:
    read = plistlib.loads(agent_bytes(service))
    assert read == agent_dictionary(service)
    assert read["ProgramArguments"] == service.command
    assert read["KeepAlive"] == {"SuccessfulExit": False}
    assert (read["ProcessType"], read["LowPriorityIO"], read["Umask"]) == ("Background", True, 0o077)
    assert read["SoftResourceLimits"]["NumberOfFiles"] >= 4096
    assert "UserName" not in read
    assert check_agent(read) == []


def test_a_system_wide_one_names_its_account(service: Service) -> None:
    system = Service(True, service.python, service.config, service.state_dir, service.catalog_dir, "alice")
    assert plistlib.loads(agent_bytes(system))["UserName"] == "alice"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"Label": None}, "Label is missing"),
        ({"ThrottleInterval": True}, "ThrottleInterval must be int, not bool"),
        ({"ProgramArguments": []}, "must hold words"),
        ({"ProgramArguments": ["python", "-m"]}, "absolute path"),
    ],
)
def test_what_launchd_would_refuse_is_found(service: Service, change: dict[str, Any], problem: str) -> None:
    changed = agent_dictionary(service) | change
    agent = {key: value for key, value in changed.items() if value is not None}
    assert problem in "; ".join(check_agent(agent))


def test_what_launchctl_prints_is_understood() -> None:
    facts = Facts("launchd", "user", "x", installed=True)
    read_printed(PRINTED, facts)
    assert (facts.state, facts.pid, facts.restarts, facts.result) == ("running", 4711, 2, "1")
    assert facts.healthy
