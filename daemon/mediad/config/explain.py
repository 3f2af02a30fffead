"""What pydantic found wrong, in words for a person with the file open in an editor."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from .problems import Finding, Key, did_you_mean
from .settings import Settings, VolumeSettings

_TYPES = {
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "model_type": "must be a table",
}
_BARE = {"int_type": r"-?\d+", "float_type": r"-?\d+(\.\d+)?", "bool_type": "true|false"}


def explain(error: ValidationError, model: type[BaseModel]) -> list[Finding]:
    """Everything in `error`, which `model` raised."""
    return [_explain_one(details, model) for details in error.errors(include_url=False)]


def _explain_one(details: ErrorDetails, model: type[BaseModel]) -> Finding:
    key, kind, value = details["loc"], details["type"], details["input"]
    if kind == "extra_forbidden":
        return Finding(key, "unknown setting", _suggest_key(key, model))
    if kind == "missing":
        return Finding(key, "is missing")
    if kind == "value_error":
        return Finding(key, str(details["ctx"]["error"]))
    if kind == "literal_error":
        allowed = re.findall("'([^']*)'", details["ctx"]["expected"])
        meant = did_you_mean(value, allowed) if isinstance(value, str) else None
        return Finding(key, f"must be {_either(allowed)}, not {_shown(value)}", meant)
    if kind in _TYPES:
        got = "" if _is_secret(key, model) else f", not {_shown(value)}"
        return Finding(key, _TYPES[kind] + got, _suggest_form(key, kind, value))
    return Finding(key, details["msg"].replace("Input should be", "must be"))


def _either(allowed: list[str]) -> str:
    quoted = [f'"{word}"' for word in allowed]
    return " or ".join(filter(None, (", ".join(quoted[:-1]), quoted[-1])))


def _shown(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"' if len(value) <= 40 else f'"{value[:40]}..."'
        case list():
            return "a list"
        case dict():
            return "a table"
        case _:
            return str(value)


def _suggest_form(key: Key, kind: str, value: Any) -> str | None:
    """How to write what was probably meant, where the type is wrong."""
    if isinstance(value, str) and re.fullmatch(_BARE.get(kind, "(?!)"), value):
        return f"write {value} without quotes"
    if key[0] == "volumes" and kind in ("tuple_type", "model_type") and len(key) <= 2:
        return "write [[volumes]], with two pairs of brackets, on a line of its own and path = ... below it"
    if kind == "model_type":
        return f"write [{key[-1]}] on a line of its own and its settings below it"
    if kind == "tuple_type" and isinstance(value, str):
        return f'write ["{value}"]'
    return None


def _suggest_key(key: Key, model: type[BaseModel]) -> str | None:
    """Where an unknown setting belongs, or which known one was meant."""
    name = str(key[-1])
    homes = [home for home, names in _homes() if name in names]
    if homes and model is Settings:
        return f"it belongs {' or '.join(homes)}"
    return did_you_mean(name, _table_at(key[:-1], model).model_fields)


def _homes() -> Iterator[tuple[str, set[str]]]:
    tables = {name: table for name in Settings.model_fields if (table := _table_in(Settings, name))}
    yield "at the top of the file, before the first [table]", set(Settings.model_fields) - set(tables)
    for name, table in tables.items():
        yield f"below [[{name}]]" if table is VolumeSettings else f"below [{name}]", set(table.model_fields)


def _table_at(key: Key, model: type[BaseModel]) -> type[BaseModel]:
    for part in key:
        model = _table_in(model, str(part)) or model  # a position in a list stays in the table that it lists
    return model


def _table_in(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    """The type of the table `name` of `model`, or of the tables where it is a list of them."""
    field = model.model_fields.get(name)
    if field is None:
        return None
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def _is_secret(key: Key, model: type[BaseModel]) -> bool:
    field = _table_at(key[:-1], model).model_fields.get(str(key[-1]))
    return field is not None and field.annotation is SecretStr
