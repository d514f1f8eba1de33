"""What the peers of the line benchmark do by hand that :mod:`bench.peers.line_app` declares.

Words, a command by its name, whole numbers that are checked, an error as the reply to anything
else.
"""

from collections.abc import Callable


def add(words: list[bytes]) -> bytes:
    """Add two numbers.

    :raises ValueError: if that is not what the words are.
    """
    if len(words) != 2:
        raise ValueError("expected ADD a b")
    return b"%d" % (int(words[0]) + int(words[1]))


COMMANDS: dict[bytes, Callable[[list[bytes]], bytes]] = {b"ADD": add}


def answer(line: bytes) -> bytes:
    """Carry out the command in a line; returns the reply, without a line end."""
    words = line.split()
    command = COMMANDS.get(words[0].upper()) if words else None
    if command is None:
        return b"ERR unknown-command"
    try:
        return command(words[1:])
    except ValueError as error:
        return b"ERR bad-argument " + str(error).encode()
