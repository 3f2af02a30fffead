"""Writing paths into systemd units, see systemd.syntax(7), systemd.unit(5) "Specifiers" and systemd.service(5)."""

from __future__ import annotations

from .service import UnitError


def escaped(value: str) -> str:
    """`value` as one word of a setting that takes words: quoted, with `%`, backslashes and quotes escaped."""
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in value):
        raise UnitError(f"a service cannot use the path {value!r}: it holds a control character")
    plain = value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{plain}"' if any(character in plain for character in " '\"\\;#") else plain


def command_line(words: list[str]) -> str:
    """`words` for ExecStart=. The colon keeps systemd from replacing what looks like `$VARIABLE`.

    Raises UnitError for a program that systemd will not start because of its name.
    """
    if set(words[0]) & set("\"'\\"):
        raise UnitError(f"systemd starts no program whose path holds quotes or backslashes: {words[0]}")
    return ":" + " ".join(escaped(word) for word in words)
