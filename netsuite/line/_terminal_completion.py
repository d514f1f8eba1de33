"""What Tab does: names of commands, choices of arguments, or a word of help."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from netsuite.line._arguments import Parameter
from netsuite.line._commands import Command
from netsuite.line._session import Session
from netsuite.line._wire import quote
from netsuite.line.app import LineApp

_LISTED = 50  # lines at most

_WORDS = re.compile(r"[^ \t]+")


@dataclass(frozen=True, slots=True)
class Completion:
    """What is put in where one is, or what is shown instead."""

    insert: str = ""
    lines: tuple[str, ...] = ()


class Completer:
    """Knows what may come next on a line of an application.

    :param session: gives the session whose commands they are: what it may not give is not shown.
    """

    def __init__(self, app: LineApp, session: Callable[[], Session]) -> None:
        self._app = app
        self._session = session
        self._looked_at = "", False

    def complete(self, before: str) -> Completion:
        """What Tab does behind ``before``."""
        if '"' in before:
            return Completion()
        words = _WORDS.findall(before)
        last = words.pop() if words and not before[-1:].isspace() else ""
        if not words:
            return self._name(last)
        command = self._find(words[0])
        if command is None:
            return Completion()
        if command.name == "HELP" and len(words) == 1:
            return self._name(last)
        choices = self._choices(command, len(words) - 1)
        if choices:
            return _of(last, choices, choices)
        usage = f"{command.usage}  {command.summary}".rstrip()
        return Completion(lines=(usage,))

    def secret_part(self, line: str) -> int | None:
        """Where the part of a line begins that nobody is to see or to keep, if it has one."""
        match = _WORDS.search(line)
        if match is None or match.end() == len(line):
            return None
        return match.end() if self._is_secret(match[0]) else None

    def _is_secret(self, word: str) -> bool:
        """Whether what follows a word may be a secret: also if it could be another command."""
        if self._looked_at[0] != word:
            self._looked_at = word, any(each.secret for each in self._meant(word))
        return self._looked_at[1]

    def _find(self, word: str) -> Command | None:
        found = self._meant(word)
        return found[0] if len(found) == 1 else None

    def _meant(self, word: str) -> list[Command]:
        """The commands that a word names, or begins to name."""
        key = self._key(word)
        begun: list[Command] = []
        for command in self._app.commands:
            names = [self._key(each) for each in (command.name, *command.aliases)]
            if key in names:
                return [command]
            if any(each.startswith(key) for each in names):
                begun.append(command)
        return begun

    def _key(self, name: str) -> str:
        return name if self._app.commands.exact else name.upper()

    def _name(self, last: str) -> Completion:
        key = self._key(last)
        shown: dict[str, str] = {}
        width = 0
        for command in self._app.visible(self._session()):
            names = (command.name, *command.aliases)
            begun = [each for each in names if self._key(each).startswith(key)]
            if begun:
                shown[begun[0]] = command.summary
                width = max(width, len(command.usage))
        lines = [f"{name:{width}}  {summary}".rstrip() for name, summary in shown.items()]
        lower = last.islower() and not self._app.commands.exact
        return _of(last, [each.lower() if lower else each for each in shown], lines)

    def _choices(self, command: Command, at: int) -> tuple[str, ...]:
        parameter = _parameter_at(command.signature.parameters, at)
        if parameter is None or parameter.choices is None:
            return ()
        return tuple(map(quote, parameter.choices))


def _parameter_at(parameters: tuple[Parameter, ...], at: int) -> Parameter | None:
    if at < len(parameters):
        return parameters[at]
    return parameters[-1] if parameters and parameters[-1].repeated else None


def _of(last: str, candidates: Iterable[str], lines: Iterable[str]) -> Completion:
    """What is left of the only candidate, or what all have in common, or the list of them."""
    fitting = [each for each in candidates if each.lower().startswith(last.lower())]
    if len(fitting) == 1:
        return Completion(insert=f"{fitting[0][len(last) :]} ")
    common = _common([each.lower() for each in fitting])
    if common > len(last):
        return Completion(insert=fitting[0][len(last) : common])
    listed = list(lines) if fitting else []
    more = len(listed) - _LISTED
    if more > 0:
        listed[_LISTED:] = [f"... and {more} more"]
    return Completion(lines=tuple(listed))


def _common(words: list[str]) -> int:
    """How many characters words have in common at their beginning."""
    first, last = min(words, default=""), max(words, default="")
    return next((at for at, each in enumerate(first) if each != last[at]), len(first))
