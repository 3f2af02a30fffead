"""Every key of a TOML text is found where it stands, however it is written."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from mediad.config.positions import locate_keys
from mediad.config.problems import Key

TEXT = '''\
# [not.a.header]
top = 1
"quoted key" = """
[not] = "a header"
ends with quotes""""" # and a comment
'lit.eral' = \'\'\'
x = 1\'\'\'\'
a.b.c = [1, # [x]
  { d = "}", e = [ "]", 2.5 ] },
]
when = 1979-05-27 07:32:00.5

[table] # comment
  key = "a#b\\"c"
[table.sub]
x = -1.5e3
[[list]]
x = 1
[[list]] # second
  x = 2
  [list.inner]
  y = 3
  [[list.deep]]
  [[list.deep]]
  z = 4
[ spaced . out ]
v=true'''


@pytest.mark.parametrize(
    ("key", "line", "column"),
    [
        (("top",), 2, 1),
        (("quoted key",), 3, 1),
        (("lit.eral",), 6, 1),
        (("a",), 8, 1),
        (("a", "b", "c", 0), 8, 10),
        (("a", "b", "c", 1), 9, 3),
        (("a", "b", "c", 1, "d"), 9, 5),
        (("a", "b", "c", 1, "e", 1), 9, 25),
        (("when",), 11, 1),
        (("table",), 13, 1),
        (("table", "key"), 14, 3),
        (("table", "sub", "x"), 16, 1),
        (("list",), 17, 1),
        (("list", 0, "x"), 18, 1),
        (("list", 1), 19, 1),
        (("list", 1, "x"), 20, 3),
        (("list", 1, "inner", "y"), 22, 3),
        (("list", 1, "deep", 1, "z"), 25, 3),
        (("spaced", "out", "v"), 27, 1),
        (("table", "absent"), 13, 1),
        (("list", 1, "absent", 3), 19, 1),
    ],
)
def test_line_and_column(key: Key, line: int, column: int) -> None:
    for text in (TEXT, TEXT.replace("\n", "\r\n")):
        tomllib.loads(text)
        assert locate_keys(text).line_column(key) == (line, column)


def test_nothing_is_known_of_a_key_outside() -> None:
    assert locate_keys(TEXT).line_column(("absent",)) is None


def test_spans_reach_to_the_last_value() -> None:
    positions = locate_keys(TEXT)
    table, last = positions.spans["table",], positions.spans["list", 0]
    assert TEXT[table.start : table.end].endswith('"a#b\\"c"')
    assert TEXT[last.start : last.end] == "[[list]]\nx = 1"


def keys_of(data: Any, above: Key = ()) -> Iterator[Key]:
    if isinstance(data, dict | list):
        for part, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield (*above, part)
            yield from keys_of(value, (*above, part))


letters = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8)
scalars = st.booleans() | st.integers(-9999, 9999) | st.floats(allow_nan=False, allow_infinity=False) | letters
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(letters, inner, max_size=3), max_leaves=12
)


@given(st.dictionaries(letters, values, max_size=5))
def test_exactly_the_keys_that_tomllib_finds_are_found(data: dict[str, Any]) -> None:
    text = tomlkit.dumps(data)
    try:
        parsed = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # the writer's mistake, not a TOML text
    assert set(locate_keys(text).spans) == set(keys_of(parsed))
