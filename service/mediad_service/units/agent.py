"""launchd's description of the service: a property list, made from the template in `launchd/` with plistlib."""

from __future__ import annotations

import plistlib
from typing import Any

from mediad.resources import shipped

from .service import Service, UnitError

LABEL = "org.mediad.agent"
_TYPES: dict[str, type] = {
    "Label": str,
    "ProgramArguments": list,
    "RunAtLoad": bool,
    "KeepAlive": dict,
    "ThrottleInterval": int,
    "ExitTimeOut": int,
    "ProcessType": str,
    "LowPriorityIO": bool,
    "Umask": int,
    "SoftResourceLimits": dict,
    "StandardErrorPath": str,
    "WorkingDirectory": str,
}
"""What every agent of ours must say, see launchd.plist(5)."""


def agent_dictionary(service: Service) -> dict[str, Any]:
    """The agent as launchd reads it. A system-wide one (a daemon, to launchd) has a `UserName` too."""
    agent: dict[str, Any] = plistlib.loads(shipped("launchd", f"{LABEL}.plist").read_bytes())
    agent["ProgramArguments"] = service.command
    agent["StandardErrorPath"] = str(service.state_dir / "mediad.log")
    agent["WorkingDirectory"] = str(service.state_dir)
    if service.system:
        agent["UserName"] = service.account
    return agent


def agent_bytes(service: Service) -> bytes:
    """The agent's property list as XML, proved to say what was meant. Raises UnitError."""
    agent = agent_dictionary(service)
    data = plistlib.dumps(agent)
    read = plistlib.loads(data)
    problems = check_agent(read)
    if read != agent or problems:
        raise UnitError(f"the agent's property list is wrong: {'; '.join(problems) or 'it reads back differently'}")
    return data


def check_agent(agent: dict[str, Any]) -> list[str]:
    """What is wrong with an agent: keys that are missing or of another type, a program that is no absolute path."""
    problems = [f"{key} is missing" for key in _TYPES if key not in agent]
    problems += [
        f"{key} must be {kind.__name__}, not {type(agent[key]).__name__}"
        for key, kind in _TYPES.items()
        if key in agent and type(agent[key]) is not kind
    ]
    arguments = agent.get("ProgramArguments")
    if isinstance(arguments, list) and not (arguments and all(isinstance(word, str) for word in arguments)):
        problems.append("ProgramArguments must hold words")
    elif isinstance(arguments, list) and not str(arguments[0]).startswith("/"):
        problems.append("ProgramArguments must start with an absolute path")
    return problems
