"""What is shown to people: nothing that a file's name holds can harm a terminal or break a line."""

from __future__ import annotations

import pytest

from mediad_service.cli.show import duration, plain, size


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 日本", "plain é 日本"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("two\nlines\t", "two\\x0alines\\x09"),
        ("byte \udcff", "byte \\xff"),
        ("half \ud83d", "half \\ud83d"),
        ("both \udcff \ud83d", "both \\udcff \\ud83d"),
        ("turned \u202egpj.exe", "turned \\u202egpj.exe"),
        (12, "12"),
    ],
)
def test_plain(text: object, shown: str) -> None:
    assert plain(text) == shown


def test_sizes_and_times() -> None:
    assert [size(count) for count in (0, 999, 1_000, 45_600, 12_000_000, 3e13)] == [
        *("0 B", "999 B", "1.0 kB", "46 kB", "12 MB", "30.0 TB"),
    ]
    assert [duration(seconds) for seconds in (0.4, 59.6, 61, 7_500)] == ["0 s", "1 min", "1 min", "2 h 5 min"]
