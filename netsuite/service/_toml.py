"""TOML files that know on which line each key stands.

:mod:`tomllib` gives a line for what is not TOML, and none for a value that is TOML and makes
no sense. :func:`key_lines` finds it: a scan of the same text for keys and brackets alone.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from netsuite.service._config import PlacedError
from netsuite.service._errors import ConfigError
from netsuite.service._snapshot import FILES

#: The way to a value: keys, and positions in arrays.
Where = tuple[str | int, ...]

_TOKEN = re.compile(
    r'''
      (?P<text> """(?:\\.|[^\\])*?"""(?!")  |  \'\'\'.*?\'\'\'(?!\')
              | "(?:\\.|[^"\\])*"  |  '[^']*' )
    | (?P<comment> \#[^\n]* )
    | (?P<newline> \n )
    | (?P<mark> [\[\]{},=] )
    | (?P<space> [ \t\r]+ )
    | (?P<word> [^\s\[\]{},="'#]+ )
    ''',
    re.VERBOSE | re.DOTALL,
)
_SYNTAX = re.compile(r"(?P<problem>.*) \(at (?:line (?P<line>\d+), column \d+|end of document)\)")


class Table:
    """Settings by key, and where each is written.

    :param values: as :func:`tomllib.loads` makes them.
    :param place: where a path of keys and positions is, for messages.
    """

    def __init__(self, values: Mapping[str, Any], place: Callable[[Where], str]) -> None:
        self.values = values
        self._place = place

    @classmethod
    def plain(cls, values: Mapping[str, Any], source: str) -> "Table":
        """One that was never text; ``source`` is what messages call it."""
        return cls(values, lambda _: source)

    def place(self, *path: str | int) -> str:
        """Where a value is: ``suite.toml, line 7: max-per-client``."""
        keys = [each for each in path if isinstance(each, str)]
        return ": ".join([self._place(path), *keys[-1:]])

    def error(self, message: str, *path: str | int) -> PlacedError:
        """What is wrong with a value, and where it is."""
        return PlacedError(f"{self.place(*path)}: {message}")

    def without(self, *keys: str) -> "Table":
        """The same one, but for some of its keys."""
        kept = {key: value for key, value in self.values.items() if key not in keys}
        return Table(kept, self._place)

    def table(self, key: str) -> "Table":
        """The table under a key; an empty one if there is none.

        :raises ConfigError: if there is something else.
        """
        values = self.values.get(key, {})
        if not isinstance(values, dict):
            raise self.error(f"expected a table: [{key}]", key)
        return Table(values, lambda path: self._place((key, *path)))

    def tables(self, key: str) -> Iterator["Table"]:
        """The tables of the array under a key.

        :raises ConfigError: if there is something else.
        """
        values = self.values.get(key, [])
        if not isinstance(values, list) or not all(isinstance(each, dict) for each in values):
            raise self.error(f"expected tables, each under [[{key}]]", key)
        for index, each in enumerate(values):
            yield self._at(key, index, each)

    def _at(self, key: str, index: int, values: dict[str, Any]) -> "Table":
        return Table(values, lambda path: self._place((key, index, *path)))


def load(path: Path, name: str | None = None) -> Table:
    """The table that a TOML file is.

    :param name: what messages call it; its path by default.
    :raises ConfigError: if it cannot be read or is no TOML: one line, with the line number.
    """
    name = str(path) if name is None else name
    try:
        text = FILES.read(path).decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"cannot read {name}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"{name}, line {line}: expected UTF-8") from None
    return loads(text, name)


def loads(text: str, name: str) -> Table:
    """The table that a TOML text is. See :func:`load`."""
    try:
        values = tomllib.loads(text)
        lines = key_lines(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}, {_syntax_error(str(error), text)}") from None
    except RecursionError:
        raise ConfigError(f"{name}: expected fewer brackets inside brackets") from None
    return Table(values, lambda path: f"{name}, line {_line(lines, path)}")


def _line(lines: Mapping[Where, int], path: Where) -> int:
    """The line of a path, or of the nearest thing around it."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _syntax_error(message: str, text: str) -> str:
    match = _SYNTAX.match(message)
    if match is None:
        return f"line 1: {message}"
    line = match["line"] or text.count("\n") + (not text.endswith("\n"))
    return f"line {line}: {match['problem'][:1].lower()}{match['problem'][1:]}"


def key_lines(text: str) -> dict[Where, int]:
    """The line of each key, table and array element of a valid TOML text.

    A table that is written in several places counts where it first comes up.
    """
    return _Scanner(text).lines


class _Scanner:
    """Reads keys, and skips values: what is in them is :mod:`tomllib`'s business."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Where, int] = {}
        self._tokens = list(_tokens(text))
        self._next = 0
        self._arrays: dict[Where, int] = {}
        table: Where = ()
        while self._skip_blank():
            if self._mark() == "[":
                table = self._header()
            else:
                self._pair(table)

    def _mark(self) -> str:
        """The mark that comes next, or nothing."""
        kind, text, _ = self._tokens[self._next]
        return text if kind == "mark" else ""

    def _kind(self) -> str:
        """The kind of what comes next."""
        return self._tokens[self._next][0]

    def _line(self) -> int:
        """The line of what comes next."""
        return self._tokens[self._next][2]

    def _skip_blank(self) -> bool:
        """Go to the next thing that means something; whether there is one."""
        while self._next < len(self._tokens):
            if self._kind() not in {"space", "newline", "comment"}:
                return True
            self._next += 1
        return False

    def _key(self, end: str) -> list[str]:
        """A key with its dots, up to a mark, which is left behind."""
        raw = ""
        while self._mark() != end:
            raw += self._tokens[self._next][1]
            self._next += 1
        found: Any = tomllib.loads(f"{raw} = 0")
        keys: list[str] = []
        while isinstance(found, dict):
            [(key, found)] = found.items()
            keys.append(key)
        self._next += 1
        return keys

    def _header(self) -> Where:
        """``[table]`` or ``[[table]]``; returns what is in effect after it."""
        line = self._line()
        self._next += 1
        array = self._mark() == "["
        self._next += array
        *parents, last = self._key("]")
        self._next += array
        path: Where = ()
        for key in parents:
            path = self._inside((*path, key), line)
        if not array:
            return self._inside((*path, last), line)
        path = (*path, last)
        self._add(path, line)
        position = self._arrays.get(path, 0)
        self._arrays[path] = position + 1
        return self._add((*path, position), line)

    def _inside(self, path: Where, line: int) -> Where:
        """``path``, or the last element of the array of tables that it is."""
        self._add(path, line)
        return (*path, self._arrays[path] - 1) if path in self._arrays else path

    def _add(self, path: Where, line: int) -> Where:
        self.lines.setdefault(path, line)
        return path

    def _pair(self, table: Where) -> None:
        """``key = value``."""
        line = self._line()
        path = table
        for key in self._key("="):
            path = self._add((*path, key), line)
        self._value(path)

    def _value(self, path: Where) -> None:
        """Skip a value, with a look at what is in its brackets."""
        self._skip_blank()
        if self._mark() == "[":
            self._array(path)
        elif self._mark() == "{":
            self._inline_table(path)
        else:
            self._next += 1
            # A date and its time have a space between them.
            while self._next < len(self._tokens) and self._kind() in {"word", "space"}:
                self._next += 1

    def _array(self, path: Where) -> None:
        self._next += 1
        position = 0
        while self._skip_blank() and self._mark() != "]":
            if self._mark() == ",":
                self._next += 1
            else:
                self._value(self._add((*path, position), self._line()))
                position += 1
        self._next += 1

    def _inline_table(self, path: Where) -> None:
        self._next += 1
        while self._skip_blank() and self._mark() != "}":
            if self._mark() == ",":
                self._next += 1
            else:
                self._pair(path)
        self._next += 1


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    """Kind, text and line of each token."""
    line = 1
    for match in _TOKEN.finditer(text):
        yield str(match.lastgroup), match[0], line
        line += match[0].count("\n")
