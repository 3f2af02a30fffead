"""`mediad config`, `volumes` and `models` where no daemon runs."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests.cli.conftest import CONFIG, Command


def test_check_says_all_that_is_wrong_and_where(command: Command) -> None:
    command.config.write_text('[[volumes]]\npath = "relative"\n[previews]\nsize = 1\nqualty = 3\n')
    done = command("config", "check")
    assert done.returncode == 1
    lines = done.stdout.decode().splitlines()
    assert [line.split(":")[1] for line in lines] == ["2", "4", "5"]
    assert 'did you mean "quality"?' in lines[2]
    report = json.loads(command.inside("config", "check", "--json", code=1).stdout)
    assert not report["good"]
    assert [problem["line"] for problem in report["problems"]] == [2, 4, 5]
    command.config.write_text(CONFIG)
    assert json.loads(command.inside("config", "check", "--json").stdout) == {
        "good": True,
        "file": str(command.config),
        "problems": [],
        "notes": [],
    }


@pytest.mark.parametrize(
    ("encoder", "code", "told"),
    [
        ("open_clip:ViT-B-32", 1, "open_clip:MODEL/PRETRAINED"),
        ("open_clip:~nosuchuser/a.json:", 1, "names no checkpoint file"),
        ("open_clip:/nope.json:/nope.pt", 0, "/nope.json and /nope.pt"),
        ("open_clip:~nosuchuser/a.json:/nope.pt", 0, "~nosuchuser/a.json and /nope.pt"),
        ("open_clip:ViT-B-33/openai", 0, "did you mean ViT-B-32"),
        ("timm:resnet50", 0, "mediad models pull timm:resnet50"),
    ],
)
def test_check_says_what_cannot_be_of_an_encoder(command: Command, encoder: str, code: int, told: str) -> None:
    command.config.write_text(f'encoder = "{encoder}"\n')
    done = command.inside("config", "check", code=code)
    assert told in done.stdout
    assert ("is good" in done.stdout) == (code == 0)
    report = json.loads(command.inside("config", "check", "--json", code=code).stdout)
    assert (report["good"], len(report["problems"]), len(report["notes"])) == (code == 0, code, 1 - code)


def test_check_loads_nothing_heavy(command: Command) -> None:
    command.config.write_text('encoder = "open_clip:ViT-B-33/openai"\n')
    check = "from mediad_service.cli import make_app; make_app(['config'])(['config', 'check'], standalone_mode=False)"
    code = f"import sys; {check}; print([name for name in ('torch', 'open_clip', 'timm') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, env=command.environment)
    assert done.stdout.endswith("\n[]\n"), done.stderr


def test_a_file_is_no_volume_and_what_is_away_may_be_one(command: Command, tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"film")
    before = command.config.read_text()
    done = command("volumes", "add", tmp_path / "film.mp4")
    assert done.returncode == 2
    assert b"film.mp4 is a file" in done.stderr
    assert command.config.read_text() == before
    command.inside("volumes", "add", tmp_path / "away")


def test_a_refused_volume_is_named_by_its_path(command: Command, tmp_path: Path) -> None:
    command.inside("volumes", "add", tmp_path / "photos")
    done = command("volumes", "add", tmp_path / "photos/sub")
    assert done.returncode == 2
    assert f"{tmp_path}/photos/sub" in done.stderr.decode()
    assert f"{command.config}:" not in done.stderr.decode()


def test_show_prints_a_file_that_says_the_same(command: Command, tmp_path: Path) -> None:
    command.config.write_text(f'[http]\ntoken = "sixteen letters!"\n[[volumes]]\npath = "{tmp_path}/photos"\n')
    shown = tomllib.loads(command.inside("config", "show").stdout)
    assert shown == json.loads(command.inside("config", "show", "--json").stdout)
    assert shown["volumes"][0]["name"] == "photos"
    assert "sixteen" not in str(shown["http"]["token"])


def test_path_and_schema(command: Command) -> None:
    assert command.inside("config", "path").stdout == f"{command.config}\n"
    assert '"title": "mediad configuration"' in command.inside("config", "schema").stdout


def test_places_may_be_named_before_the_verb_or_after_it(command: Command, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    for line in (["--config", other, "config", "path"], ["config", "path", "--config", other]):
        assert command(*line).stdout.decode() == f"{other}\n"


def test_volumes_make_the_file_and_keep_its_comments(command: Command, tmp_path: Path) -> None:
    command.config.unlink()
    (tmp_path / "photos").mkdir()
    assert command.json("volumes", "add", tmp_path / "photos", "--flat")["daemon_told"] is False
    command.config.write_text(f"# mine\n{command.config.read_text()}")
    (listed,) = command.json("volumes", "list")
    assert (listed["name"], listed["state"], listed["configured"]) == ("photos", "new", True)
    assert tomllib.loads(command.config.read_text())["volumes"] == [
        {"path": str(tmp_path / "photos"), "recursive": False}
    ]
    command.inside("volumes", "remove", "photo", code=2)
    command.inside("volumes", "remove", "photos")
    assert command.config.read_text().startswith("# mine\n")
    assert command.json("volumes", "list") == []


def test_names_of_volumes_are_completed(command: Command, tmp_path: Path) -> None:
    command.config.write_text(f'[[volumes]]\npath = "{tmp_path}/photos"\n[[volumes]]\npath = "{tmp_path}/films"\n')
    line = {"_MEDIAD_COMPLETE": "complete_bash", "COMP_WORDS": "mediad volumes remove ph", "COMP_CWORD": "3"}
    assert command(env=line).stdout.decode().split() == ["photos"]


def test_models_say_what_is_here_and_what_lacks(command: Command) -> None:
    report = json.loads(command.inside("models", "list", "--json").stdout)
    assert (report["setting"], report["present"], report["installed"]) == ("descriptor", True, [])
    nothing = command("models", "pull")
    assert nothing.returncode == 1
    assert b"no weights to download" in nothing.stderr
    command.inside("models", "pull", "opn_clip:x", code=2)
    command.config.write_text('encoder = "timm:resnet50"\n')
    assert "mediad models pull timm:resnet50" in command.inside("models", "list").stdout


def test_without_anything_known_it_says_how_to_begin(command: Command) -> None:
    for line in (["status"], ["sync"]):
        done = command(*line)
        assert (done.returncode, done.stdout) == (1, b"")
        assert b"mediad run" in done.stderr
