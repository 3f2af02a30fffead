"""The JSON Schema of the configuration file, for editors that check and complete TOML."""

from __future__ import annotations

from typing import Any

from .settings import Settings


def schema() -> dict[str, Any]:
    """The schema (draft 2020-12), with the description and default of every setting. Defaults are in seconds."""
    made = Settings.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **made,
        "title": "mediad configuration",
    }
