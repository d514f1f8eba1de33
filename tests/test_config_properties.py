"""TOML lines, quantities and printed settings, for whatever there may be."""

import string
import tomllib
from collections.abc import Callable, Iterator
from datetime import date, datetime
from math import isfinite
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsuite.service import ConfigError, DaemonConfig, Setting
from netsuite.service._check import toml_value
from netsuite.service._daemon_settings import DAEMON_SETTINGS
from netsuite.service._quantities import (
    parse_boolean,
    parse_byte_rate,
    parse_number,
    parse_seconds,
    parse_whole,
)
from netsuite.service._sources import from_environment, from_table
from netsuite.service._toml import Table, key_lines, loads

pytestmark = pytest.mark.once

_TEXTS = st.text("\"'#[]{}=,.\\a \n", max_size=8) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=8
)
_BARE = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=4)
_KEYS = _BARE | _TEXTS
_SCALARS = st.booleans() | st.integers() | st.floats() | _TEXTS | st.dates() | st.datetimes()
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(_KEYS, inner, max_size=3)
        | st.lists(st.dictionaries(_KEYS, inner, min_size=1, max_size=3), min_size=1, max_size=2)
    ),
    max_leaves=12,
)
#: Comments, blank lines, and the ends of lines.
_NOISE = st.sampled_from(["", "\n", "# = [x] {y} \"'\n", " \t\n", "\r\n"])


def strings(text: str) -> Iterator[str]:
    """A text in each of TOML's kinds of quotes that it can be in."""
    yield toml_value(text)
    if text.isprintable() and "'" not in text:
        yield f"'{text}'"
    if text.isprintable() and "'''" not in text:
        yield f"'''\n{text}'''"
    if '"""' not in text:
        inner = toml_value(text)[1:-1].replace(r"\"", '"').replace(r"\n", "\n")
        yield f'"""\n{inner}"""'


class Writer:
    """Writes tables in any of TOML's ways, and notes on which line each thing came."""

    def __init__(self, draw: Any) -> None:
        self._draw = draw
        self.text = ""
        self.lines: dict[tuple[str | int, ...], int] = {}

    def note(self, *path: str | int) -> None:
        self.lines.setdefault(path, self.text.count("\n") + 1)

    def noise(self) -> None:
        self.text += self._draw(_NOISE)

    def key(self, key: str) -> str:
        is_bare = key and all(each in string.ascii_letters + string.digits + "-_" for each in key)
        if is_bare and self._draw(st.booleans()):
            return key
        if "'" not in key and key.isprintable() and self._draw(st.booleans()):
            return f"'{key}'"
        return toml_value(key)

    def scalar(self, value: Any) -> str:
        if isinstance(value, float):
            return repr(value)
        if isinstance(value, str):
            return str(self._draw(st.sampled_from(list(strings(value)))))
        if isinstance(value, datetime):
            return value.isoformat(self._draw(st.sampled_from("T ")))
        return value.isoformat() if isinstance(value, date) else toml_value(value)

    def value(self, value: Any, path: tuple[str | int, ...]) -> None:
        if isinstance(value, list):
            self.text += "["
            for index, each in enumerate(value):
                self.noise()
                self.note(*path, index)
                self.value(each, (*path, index))
                self.noise()
                self.text += ","
            self.noise()
            self.text += "]"
        elif isinstance(value, dict):
            self.text += "{"
            for number, (key, each) in enumerate(value.items()):
                self.text += ", " if number else " "
                self.note(*path, key)
                self.text += f"{self.key(key)} = "
                self.value(each, (*path, key))
            self.text += "}"
        else:
            self.text += self.scalar(value)

    def table(self, values: dict[str, Any], path: tuple[str | int, ...], header: str) -> None:
        later: dict[str, Any] = {}
        for key, value in values.items():
            is_table = isinstance(value, dict)
            is_array = (
                isinstance(value, list) and value and all(isinstance(each, dict) for each in value)
            )
            if (is_table or is_array) and self._draw(st.booleans()):
                later[key] = value
                continue
            self.noise()
            self.note(*path, key)
            self.text += f"{self.key(key)} ="
            self.value(value, (*path, key))
            self.text += "\n"
        for key, value in later.items():
            name = f"{header}{' . ' if header else ''}{self.key(key)}"
            for index, each in enumerate(value if isinstance(value, list) else [value]):
                self.noise()
                inner = (*path, key, index) if isinstance(value, list) else (*path, key)
                self.note(*path, key)
                self.note(*inner)
                self.text += f"[[{name}]]\n" if isinstance(value, list) else f"[ {name} ]\n"
                self.table(each, inner, name)


def paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, inner in items:
        yield (*path, key)
        yield from paths(inner, (*path, key))


@settings(max_examples=300)
@given(st.data(), st.dictionaries(_KEYS, _VALUES, max_size=5))
def test_every_key_that_tomllib_finds_has_the_line_where_it_stands(
    data: st.DataObject, values: dict[str, Any]
) -> None:
    writer = Writer(data.draw)
    writer.table(values, (), "")
    found = tomllib.loads(writer.text)
    lines = key_lines(writer.text)
    assert set(lines) == set(paths(found)), writer.text
    assert lines == writer.lines, writer.text


def complaint(function: Callable[..., Any], *arguments: Any) -> str:
    """What a function says against its arguments; nothing if it likes them."""
    try:
        function(*arguments)
    except (ConfigError, ValueError) as error:
        return str(error)
    return ""


@given(st.text())
def test_no_text_crashes_the_reader(text: str) -> None:
    said = complaint(loads, text, "f.toml")
    assert not said or said.startswith("f.toml, line "), text


@given(_TEXTS | st.integers(-(10**12), 10**12) | st.booleans())
def test_a_printed_value_is_the_same_again(value: Any) -> None:
    assert tomllib.loads(f"x = {toml_value(value)}") == {"x": value}
    assert tomllib.loads(f"x = {toml_value((value, value))}") == {"x": [value, value]}


@given(st.floats(0, 1e15))
def test_printed_seconds_are_the_same_again(value: float) -> None:
    assert tomllib.loads(f"x = {toml_value(value)}") == {"x": value}


@given(st.text())
def test_no_text_is_an_odd_quantity(text: str) -> None:
    for parse in (parse_seconds, parse_byte_rate, parse_number, parse_whole, parse_boolean):
        said = complaint(parse, text)
        if said:
            assert "expected" in said
            assert repr(text) in said
        else:
            assert isfinite(parse(text))
            assert parse(text) >= 0


@given(st.sampled_from(DAEMON_SETTINGS), st.text())
def test_no_variable_crashes_a_service(setting: Setting, text: str) -> None:
    def configure() -> None:
        found = from_environment([setting], {setting.variable: text}, Path("/"))
        DaemonConfig(**{name.replace("-", "_"): each.value for name, each in found.items()})

    said = complaint(configure)
    assert not said or "expected" in said


@given(st.sampled_from(DAEMON_SETTINGS), _VALUES)
def test_no_value_of_a_file_crashes_a_service(setting: Setting, value: Any) -> None:
    def configure() -> None:
        table = Table.plain({setting.name: value}, "settings")
        found = from_table([setting], table, Path("/"))
        DaemonConfig(**{name.replace("-", "_"): each.value for name, each in found.items()})

    said = complaint(configure)
    assert not said or "expected" in said
