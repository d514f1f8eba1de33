"""What a server says, as a terminal may show it; and what can be typed at a server."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from netsuite.line._client_commands import ArgumentInfo, CommandInfo, CommandList
from netsuite.line._wire import quote

_ON_OR_OFF = ("yes", "no")


def visible(text: str) -> str:
    r"""Text without anything that a terminal would obey.

    Control characters, and what changes the order or the place of others, become escapes: ESC is
    ``\x1b``. A tab stays.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each == "\t" else _shown(each) for each in text)


def _shown(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def starred(line: str) -> str:
    """A line whose arguments are secret, as it may be seen."""
    name = len(line) - len(line.lstrip()) + len(line.split(None, 1)[0])
    rest = ("*" if not each.isspace() else each for each in line[name:])
    return line[:name] + "".join(rest)


class Candidate(NamedTuple):
    """How a word may go on.

    :ivar text: the whole word.
    :ivar typed: how many characters of it are there already.
    :ivar meaning: for people.
    """

    text: str
    typed: int
    meaning: str


def candidates(commands: CommandList | None, line: str) -> list[Candidate]:
    """How the last word of a line may go on.

    :param commands: the server's; None if it does not say.
    :param line: what is left of the cursor.
    """
    if commands is None:
        return []
    words = line.split()
    if not words or line[-1].isspace():
        words.append("")
    *before, word = words
    if not before:
        return _matching(_names(commands), word)
    command = commands.find(before[0])
    if command is None:
        return []
    if command.name == "HELP":
        return _matching(_names(commands), word) if len(before) == 1 else []
    argument = _argument(command, len(before) - 1)
    if argument is None:
        return []
    choices = argument.choices or (_ON_OR_OFF if argument.type == "bool" else ())
    return _matching(((quote(each), argument.name) for each in choices), word)


def _names(commands: CommandList) -> Iterator[tuple[str, str]]:
    for command in commands:
        yield command.name, command.summary
        for alias in command.aliases:
            yield alias, f"{command.name}: {command.summary}"


def _argument(command: CommandInfo, index: int) -> ArgumentInfo | None:
    arguments = command.arguments
    if index < len(arguments):
        return arguments[index]
    return arguments[-1] if arguments and arguments[-1].repeated else None


def _matching(found: Iterable[tuple[str, str]], word: str) -> list[Candidate]:
    start = word.upper()
    lower = bool(word) and word.islower()
    return [
        Candidate(text.lower() if lower else text, len(word), visible(meaning))
        for text, meaning in found
        if text.isprintable() and text.upper().startswith(start)
    ]
