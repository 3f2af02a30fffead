"""The command line as such: every verb explains itself, and starting it costs little."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from tests.cli.conftest import Command
from typer.testing import CliRunner

import mediad
from mediad_service.cli import VERBS, make_app

LATER = ("map", "report", "export", "dedupe", "reorganize", "undo", "slideshow", "dataset")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    done = CliRunner().invoke(make_app([verb]), [verb, "--help"])
    assert done.exit_code == 0, done.output
    assert "Usage: " in done.output
    assert "--config" in done.output or "COMMAND" in done.output


def test_all_verbs_are_listed_and_those_of_later_are_not_there() -> None:
    runner, app = CliRunner(), make_app()
    listed = runner.invoke(app, ["--help"]).output
    assert all(f" {verb} " in listed for verb in VERBS)
    for verb in LATER:
        assert runner.invoke(app, [verb]).exit_code == 2


def test_version_and_wrong_usage(command: Command) -> None:
    assert command("--version").stdout.decode() == f"mediad {mediad.__version__}\n"
    assert command("nonsense").returncode == 2
    assert command("status", "--nonsense").returncode == 2
    assert b"Usage: mediad" in command().stdout


def test_asking_loads_nothing_heavy(command: Command) -> None:
    code = (
        "import sys; from mediad_service.cli import make_app; import mediad_service.client; make_app(['status']); "
        "heavy = ('torch', 'faiss', 'numpy', 'mediad.engine', 'fastapi', 'PIL', 'httpx'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, env=command.environment)
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize("line", [["config", "schema"], ["config", "path"], ["--help"]])
def test_whoever_reads_may_stop_to(command: Command, line: list[str]) -> None:
    heard, told = os.pipe()
    os.close(heard)
    done = subprocess.run(command.line(*line), stdout=told, stderr=subprocess.PIPE, env=command.environment)
    os.close(told)
    assert (done.returncode, done.stderr) == (141, b"")
