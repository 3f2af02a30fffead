"""`python -m mediad.catalog.schema [--check]` writes `config/catalog.schema.json`, or checks that it is current."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from mediad.catalog.document import SCHEMA_NAME, Catalog

_TARGET = Path(__file__).parents[3] / "config" / SCHEMA_NAME


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the catalog."""
    body = Catalog.model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **body}


@cache
def schema_bytes() -> bytes:
    """The schema as it stands in files: indented, with a newline at the end."""
    return orjson.dumps(schema(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def main(arguments: list[str]) -> int:
    """Write or check the file in the checkout; 1 when it is not current."""
    if arguments not in ([], ["--check"]):
        print("usage: python -m mediad.catalog.schema [--check]", file=sys.stderr)  # noqa: T201 - a command
        return 2
    if not arguments:
        _TARGET.write_bytes(schema_bytes())
        return 0
    if _TARGET.is_file() and _TARGET.read_bytes() == schema_bytes():
        return 0
    print(f"{_TARGET} is not current: run python -m mediad.catalog.schema", file=sys.stderr)  # noqa: T201 - a command
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
