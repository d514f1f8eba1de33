"""What a server says of its commands, read."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from netsuite.line._client_errors import LineWireError

_SHOWN = 60  # characters of a bad list that its error repeats


@dataclass(frozen=True, slots=True)
class ArgumentInfo:
    """One argument of a server's command.

    :ivar type: ``int``, ``str``, ``choice``, ``rest`` (the rest of the line as it is) and others.
    :ivar choices: the words that it can be; None for any.
    """

    name: str
    type: str = "str"
    required: bool = True
    repeated: bool = False
    choices: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class CommandInfo:
    """One command of a server.

    :ivar lines: whether its reply has several lines.
    :ivar literal: whether it takes a byte-counted literal.
    :ivar roles: who may give it; empty for everybody.
    """

    name: str
    aliases: tuple[str, ...] = ()
    summary: str = ""
    arguments: tuple[ArgumentInfo, ...] = ()
    lines: bool = False
    literal: bool = False
    roles: tuple[str, ...] = ()

    @property
    def reply(self) -> Literal["line", "lines"]:
        """As the server says it."""
        return "lines" if self.lines else "line"


@dataclass(frozen=True, slots=True)
class CommandList:
    """The commands of a server, as it has them for this client.

    :ivar app: the application's name.
    """

    app: str
    commands: tuple[CommandInfo, ...]

    def __iter__(self) -> Iterator[CommandInfo]:
        return iter(self.commands)

    def __len__(self) -> int:
        return len(self.commands)

    def find(self, name: str) -> CommandInfo | None:
        """The command of a name, an alias, or a beginning that is no other's; else None."""
        named = [(key, each) for each in self for key in (each.name, *each.aliases)]
        for key, each in named:
            if key == name:
                return each
        upper = name.upper()
        for key, each in named:
            if key.upper() == upper:
                return each
        meant = {each.name: each for key, each in named if key.upper().startswith(upper)}
        return next(iter(meant.values())) if len(meant) == 1 and name else None


def command_list(text: str) -> CommandList:
    """What ``COMMANDS`` answers.

    :raises LineWireError: for anything else.
    """
    try:
        found = json.loads(text)
        commands = tuple(_command(each) for each in _listed(found["commands"]))
        return CommandList(_text(found["app"]), commands)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        shown = ascii(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
        why = f"{type(error).__name__}: {error}"[:_SHOWN]
        raise LineWireError(
            f"the server's reply to COMMANDS is no list of commands: {shown} ({why})"
        ) from None


def _command(found: dict[str, Any]) -> CommandInfo:
    if found["reply"] not in {"line", "lines"}:
        raise ValueError(f"reply {found['reply']!r}")
    return CommandInfo(
        name=_text(found["name"]),
        aliases=_texts(found.get("aliases", [])),
        summary=_text(found.get("summary", "")),
        arguments=tuple(_argument(each) for each in _listed(found.get("arguments", []))),
        lines=found["reply"] == "lines",
        literal=bool(found.get("literal")),
        roles=_texts(found.get("roles", [])),
    )


def _argument(found: dict[str, Any]) -> ArgumentInfo:
    choices = found.get("choices")
    return ArgumentInfo(
        name=_text(found["name"]),
        type=_text(found.get("type", "str")),
        required=bool(found.get("required", True)),
        repeated=bool(found.get("repeated")),
        choices=None if choices is None else _texts(choices),
    )


def _listed(found: Any) -> list[Any]:
    if not isinstance(found, list):
        raise TypeError(f"expected a list, not {type(found).__name__}")
    return found


def _text(found: Any) -> str:
    if not isinstance(found, str):
        raise TypeError(f"expected text, not {type(found).__name__}")
    return found


def _texts(found: Any) -> tuple[str, ...]:
    return tuple(_text(each) for each in _listed(found))
