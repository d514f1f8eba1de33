"""What ``--help`` shows: options under headings, each with its default."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netsuite.service._settings import Setting

#: Where the explanations begin, in columns.
_COLUMN = 26
#: The narrowest that a screen can be, in columns.
_NARROWEST = 50


@dataclass(frozen=True, slots=True)
class Row:
    """One option: how it is written, and what it does."""

    flag: str
    help: str

    @classmethod
    def of(cls, setting: Setting) -> "Row":
        """A setting's, with its default and what else it may be."""
        value = f"={setting.kind.metavar}" if setting.kind.metavar else ""
        short = f"-{setting.short}, " if setting.short else "    "
        text = setting.help
        if setting.kind.choices:
            text += f" One of: {', '.join(setting.kind.choices)}."
        shown = default_text(setting)
        return cls(f"{short}{setting.flag}{value}", f"{text} [default: {shown}]" if shown else text)


def default_text(setting: Setting) -> str:
    """A setting's default as it would be written on the command line; nothing for none."""
    default: Any = setting.default
    if default in (None, (), False):
        return ""
    if isinstance(default, tuple):
        return " ".join(map(str, default))
    return f"{default:g}" if isinstance(default, float) else str(default)


def help_text(groups: Mapping[str, Sequence[Row]], introduction: str, width: int) -> str:
    """The options under their headings.

    :param width: of the screen, in columns.
    """
    width = max(width, _NARROWEST)
    lines = ["", *textwrap.wrap(introduction, width)] if introduction else []
    for heading, rows in groups.items():
        lines += ["", f"{heading}:"]
        for row in rows:
            lines += _lines(row, width)
    return "\n".join(lines) + "\n"


def _lines(row: Row, width: int) -> Iterable[str]:
    text = textwrap.wrap(" ".join(row.help.split()), width - _COLUMN)
    flag = f"  {row.flag}"
    if len(flag) > _COLUMN - 2:
        yield flag
        flag = ""
    for line in text:
        yield f"{flag:{_COLUMN}}{line}"
        flag = ""
