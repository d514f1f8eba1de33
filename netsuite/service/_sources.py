"""Where the values of settings come from: flags, variables, files; and who wins.

A source becomes a dict from a setting's name to what it gives (:class:`Given`). Each value
carries the place that it comes from, so that a mistake can be shown where it was made.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from enum import Enum
from math import isfinite
from pathlib import Path
from typing import Any

from twisted.python import usage

from netsuite.service._config import PlacedError, SettingError
from netsuite.service._errors import ConfigError
from netsuite.service._settings import NONE, Setting
from netsuite.service._toml import Table

#: A file name that means no file: the service's log, or a standard stream.
_NO_FILE = Path("-")


class Source(Enum):
    """What may give a setting its value, the strongest first."""

    FLAG = "flag"
    ENVIRONMENT = "environment"
    FILE = "file"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Given:
    """A value, and who says so.

    :ivar place: for messages: ``--rate``, ``NETSUITE_RATE``, ``suite.toml, line 7: rate``.
    """

    value: Any
    source: Source
    place: str = ""


Layer = Mapping[str, Given]


def merge(settings: Iterable[Setting], layers: Sequence[Layer]) -> dict[str, Given]:
    """A value for each setting: the first layer that has one decides, then the default."""
    merged: dict[str, Given] = {}
    for setting in settings:
        found = [layer[setting.name] for layer in layers if setting.name in layer]
        merged[setting.name] = found[0] if found else Given(setting.default, Source.DEFAULT)
    return merged


def parse_at(setting: Setting, text: str, place: str, base: Path) -> Any:
    """The value that a text stands for.

    :param place: where it was found.
    :param base: the directory that file names start from.
    :raises ConfigError: if it stands for none: one line that begins with ``place``.
    """
    try:
        value = setting.parse(text)
    except ValueError as error:
        raise PlacedError(f"{place}: {error}") from None
    if isinstance(value, Path) and value != _NO_FILE:
        value = base / value
    return value


def from_environment(
    settings: Iterable[Setting], environ: Mapping[str, str], base: Path
) -> dict[str, Given]:
    """What the environment's variables give.

    The values of a setting that may be repeated are separated by blanks or commas. An empty
    variable is as good as none.

    :param base: the directory that file names start from.
    :raises ConfigError: for a value that cannot be, with the variable's name.
    """
    found: dict[str, Given] = {}
    for setting in settings:
        text = environ.get(setting.variable, "").strip()
        if not text:
            continue
        place = setting.variable
        texts = re.split(r"[\s,]+", text.strip(",")) if setting.repeatable else [text]
        values = [parse_at(setting, each, place, base) for each in texts]
        value = tuple(values) if setting.repeatable else values[0]
        found[setting.name] = Given(value, Source.ENVIRONMENT, place)
    return found


def from_table(settings: Sequence[Setting], table: Table, base: Path) -> dict[str, Given]:
    """What the keys of a TOML table give.

    :param base: the directory that file names start from.
    :raises ConfigError: for a key that no setting has, or a value that cannot be, with the
        file's name and the line.
    """
    known = {setting.name: setting for setting in settings}
    found: dict[str, Given] = {}
    for key, value in table.values.items():
        if key not in known:
            raise table.error(f"no such setting{suggestion(key, known)}", key)
        found[key] = Given(
            _from_toml(known[key], value, table, base), Source.FILE, table.place(key)
        )
    return found


def suggestion(word: str, known: Iterable[str]) -> str:
    """What to say after a word that is none of those known."""
    close = get_close_matches(word.replace("_", "-").lower(), list(known), 1)
    return f": did you mean {close[0]}?" if close else ""


def _from_toml(setting: Setting, value: object, table: Table, base: Path) -> Any:
    key = setting.name
    if not setting.repeatable:
        return _one(setting, value, base, table.place(key))
    if not isinstance(value, list):
        return (_one(setting, value, base, table.place(key)),)
    return tuple(
        _one(setting, each, base, table.place(key, index)) for index, each in enumerate(value)
    )


def _one(setting: Setting, value: object, base: Path, place: str) -> Any:
    """One value of TOML's types as a value of the setting's kind."""
    types = setting.kind.toml
    if setting.optional and value == NONE:
        return None
    if type(value) not in types:
        raise PlacedError(f"{place}: {_shown(value)}{_type_mistake(setting, value)}")
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return parse_at(setting, value, place, base)
    text = _number_text(value)
    try:
        return parse_at(setting, text, place, base)
    except PlacedError as error:
        raise PlacedError(str(error).replace(repr(text), text, 1)) from None


def _number_text(value: Any) -> str:
    """A number as a person writes it, without an exponent."""
    if isinstance(value, float) and isfinite(value):
        return format(Decimal(repr(value)), "f")
    return str(value)


def _type_mistake(setting: Setting, value: object) -> str:
    """What is wrong with a value of the wrong type, and what was expected."""
    expected = setting.kind.expected
    if isinstance(value, str) and setting.kind.toml != (bool,):
        return f" is not a number: expected {expected}, without quotes"
    return f": expected {expected}"


def _shown(value: object) -> str:
    """A TOML value in a message: short, and as it was written."""
    match value:
        case bool():
            return str(value).lower()
        case dict():
            return "a table"
        case list():
            return "a list"
        case str():
            return repr(value)
        case _:
            return str(value)


def explain(error: ConfigError, given: Mapping[str, Given]) -> usage.UsageError:
    """The same error, with the variable or the line that the value came from."""
    if isinstance(error, PlacedError):
        return error
    elsewhere = {
        name: each
        for name, each in given.items()
        if each.source in {Source.ENVIRONMENT, Source.FILE}
    }
    if isinstance(error, SettingError):
        found = elsewhere.get(error.field.replace("_", "-"))
        if found is not None:
            return PlacedError(f"{found.place} {error.problem}")
    for each in elsewhere.values():  # a file that was read, and does not say it right
        if isinstance(each.value, Path) and str(each.value) in str(error):
            return PlacedError(f"{each.place}: {error}")
    return usage.UsageError(str(error))
