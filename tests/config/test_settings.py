"""The reference file, the models and the schema say the same, and every setting is explained."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel

from mediad import resources
from mediad.config.load import parse
from mediad.config.problems import ConfigError
from mediad.config.schema import schema
from mediad.config.settings import Settings, VolumeSettings, is_loopback

DEFAULTS = resources.shipped("config", "default.toml").read_text()


def uncommented(text: str) -> str:
    """The example volume made real: its lines are commented without a space after the #."""
    return re.sub(r"^#(?=\S)", "", text, flags=re.MULTILINE)


def models() -> Iterator[tuple[str, type[BaseModel]]]:
    yield "", Settings
    yield "volumes", VolumeSettings
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield name, field.annotation


def test_the_reference_file_is_exactly_the_defaults() -> None:
    assert parse(DEFAULTS, Path("default.toml")) == Settings()


def test_the_reference_file_shows_every_setting_once_with_its_default_and_a_reason() -> None:
    data = tomllib.loads(uncommented(DEFAULTS))
    sections = {name for name, _ in models()} - {""}
    for name, model in models():
        shown = data if not name else data[name][0] if name == "volumes" else data[name]
        assert list(shown) == list(model.model_fields), f"[{name}] holds other settings, or in another order"
        for key, value in shown.items():
            if key not in sections and key not in ("path", "name"):
                default = parse(uncommented(DEFAULTS), Path("x")).volumes[0] if name == "volumes" else model()
                assert type(default).model_validate({**default.model_dump(), key: value}) == default, key
    lines = DEFAULTS.splitlines()
    for before, line in pairwise(lines):
        if re.match(r"#?[a-z_]+ = ", line):
            assert before.startswith("# "), f"no reason is given for: {line}"


def test_the_example_volume_is_valid_and_watches_what_it_says() -> None:
    (volume,) = parse(uncommented(DEFAULTS), Path("x")).volumes
    assert (volume.path, volume.name) == (Path.home() / "Pictures", "pictures")


def test_every_setting_is_described_in_the_schema() -> None:
    made = schema()
    jsonschema.Draft202012Validator.check_schema(made)
    described = [made, *made["$defs"].values()]
    assert {table["title"] for table in described} >= {model.__name__ for name, model in models() if name}
    for table in described:
        assert table["additionalProperties"] is False
        for name, setting in table["properties"].items():
            section = made["$defs"].get(setting.get("$ref", "").rpartition("/")[2], {})  # described at its class
            described_by = setting.get("description", section.get("description", ""))
            assert described_by.endswith("."), f"{table['title']}.{name} has no description"


def test_each_limit_of_a_setting_is_in_force() -> None:
    """Of two limits of a kind, as of a type and of its field, the library heeds the last one only."""
    fields = [(name, field) for _, model in models() for name, field in model.model_fields.items()]
    assert len(fields) > 40
    for name, field in fields:
        kinds = [type(limit) for limit in field.metadata if isinstance(limit, Ge | Gt | Le | Lt)]
        assert len(kinds) == len(set(kinds)), name


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        (DEFAULTS, True),
        (uncommented(DEFAULTS), True),
        ("[schedule]\nsweep = '6 h'", True),
        ("[schedule]\nsweep = '6 hours'", False),
        ("[schedule]\nsweep = -1", False),
        ("[schedule]\nsweep = 0", False),
        ("[schedule]\nrecluster_interval = 0.5", False),
        ("[schedule]\nencoder_idle = 0", True),
        ("[[volumes]]\npath = 'relative'", False),
        ("[[volumes]]\nname = 'a'", False),
        ("[previews]\nformat = 'jpg'", False),
        ("[clustering]\nneighbours = 3", False),
        ("[limits]\nnice = 10.5", False),
        ("[http]\nport = 65536", False),
    ],
)
def test_the_schema_and_the_loader_agree(text: str, valid: bool) -> None:
    validator = jsonschema.Draft202012Validator(schema())
    assert validator.is_valid(tomllib.loads(text)) is valid
    if valid:
        parse(text, Path("x"))
    else:
        with pytest.raises(ConfigError):
            parse(text, Path("x"))


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("0.5", 0.5), ("90", 90), ("'30 s'", 30), ("'1.5 min'", 90), ("'6h'", 21600), ("' 30 d '", 2592000)],
)
def test_durations(written: str, seconds: float) -> None:
    assert parse(f"[schedule]\nretention = {written}", Path("x")).schedule.retention == seconds


@pytest.mark.parametrize("written", ["'6 hours'", "'-1 s'", "'h'", "true", "nan", "inf", "-1", "'4000 d'", "[]"])
def test_durations_that_are_none(written: str) -> None:
    with pytest.raises(ConfigError, match=r"\[schedule\] retention: must be"):
        parse(f"[schedule]\nretention = {written}", Path("x"))


@pytest.mark.parametrize(
    "encoder",
    [
        "auto",
        "descriptor",
        "open_clip:ViT-B-32-256/datacomp_s34b_b86k",
        "open_clip:/m/clip.json:/m/clip.pt",
        "timm:resnet50",
    ],
)
def test_encoders(encoder: str) -> None:
    assert parse(f"encoder = '{encoder}'", Path("x")).encoder == encoder


@pytest.mark.parametrize("encoder", ["", "clip", "open-clip:x", "timm", "timm:", "auto:x", "descriptor:1", "resnet50"])
def test_encoders_that_are_none(encoder: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"encoder = '{encoder}'", Path("x"))
    (problem,) = caught.value.problems
    assert (problem.line, problem.key) == (1, "encoder")


def test_volumes_get_distinct_names() -> None:
    paths = ["/a/photos", "/b/photos", "/c/photos", "/"]
    text = "".join(f"[[volumes]]\npath = '{path}'\n" for path in paths) + "[[volumes]]\npath = '/d'\nname = 'photos-2'"
    names = [volume.name for volume in Settings.model_validate(tomllib.loads(text)).volumes]
    assert names == ["photos", "photos-3", "photos-4", "root", "photos-2"]


@pytest.mark.parametrize("pattern", ["!", "[z-a]", "a\\\\"])
def test_a_pattern_that_is_none_is_refused_with_its_place(pattern: str) -> None:
    with pytest.raises(ConfigError, match=r":3: \[\[volumes\]\] #1 exclude: holds .* no pattern"):
        parse(f'[[volumes]]\npath = "/a"\nexclude = ["ok", "{pattern}"]', Path("x"))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_a_host_that_others_reach_needs_a_token(host: str) -> None:
    with pytest.raises(ConfigError, match="token: is needed because host"):
        parse(f"[http]\nhost = '{host}'", Path("x"))
    settings = parse(f"[http]\nhost = '{host}'\ntoken = 'sixteen letters.'", Path("x"))
    assert settings.http.token.get_secret_value() == "sixteen letters."
    assert not parse(f"[http]\nenabled = false\nhost = '{host}'", Path("x")).http.enabled


def test_hosts_that_only_this_machine_reaches() -> None:
    assert all(is_loopback(host) for host in ["127.0.0.1", "127.1.2.3", "::1", "localhost"])


def test_a_token_is_never_shown() -> None:
    settings = parse("[http]\ntoken = 'sixteen letters.'", Path("x"))
    assert "letters" not in f"{settings!r}{settings.model_dump_json()}"
    for wrong in ("'secret'", "7777", "['secret']"):
        with pytest.raises(ConfigError) as caught:
            parse(f"[http]\ntoken = {wrong}", Path("x"))
        assert not re.search("secret'|7777", str(caught.value))


def test_settings_cannot_be_changed() -> None:
    settings: Any = Settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.previews.size = 1


def test_a_file_that_was_not_shipped_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"lacks config/nothing\.toml .* install it again"):
        resources.shipped("config", "nothing.toml")
