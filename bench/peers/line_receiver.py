"""Stock Twisted: a ``LineReceiver`` with commands in a dictionary, on a reactor of one's choice.

It does what :mod:`bench.peers.line_app` does: words, a command by its name, whole numbers that are
checked, an error as the reply to anything else.
"""

import sys
from collections.abc import Callable

from twisted.application.reactors import installReactor
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import ServerFactory
from twisted.internet.tcp import Server
from twisted.protocols.basic import LineReceiver


def add(words: list[bytes]) -> bytes:
    """Add two numbers.

    :raises ValueError: if that is not what the words are.
    """
    if len(words) != 2:
        raise ValueError("expected ADD a b")
    return b"%d" % (int(words[0]) + int(words[1]))


COMMANDS: dict[bytes, Callable[[list[bytes]], bytes]] = {b"ADD": add}


def answer(line: bytes) -> bytes:
    """Carry out the command in a line; returns the reply."""
    words = line.split()
    command = COMMANDS.get(words[0].upper()) if words else None
    if command is None:
        return b"ERR unknown-command"
    try:
        return command(words[1:])
    except ValueError as error:
        return b"ERR bad-argument " + str(error).encode()


class Sums(LineReceiver):
    """Answers each line."""

    transport: Server

    def connectionMade(self) -> None:
        """Send small answers at once."""
        self.transport.setTcpNoDelay(True)

    def lineReceived(self, line: bytes) -> None:
        """Answer."""
        self.sendLine(answer(line))


def main() -> None:
    """Listen on a free port of 127.0.0.1, print the port, and answer."""
    installReactor(sys.argv[1])
    from twisted.internet import reactor

    factory = ServerFactory()
    factory.protocol = Sums
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    host = port.getHost()
    assert isinstance(host, IPv4Address)
    print(host.port, flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
