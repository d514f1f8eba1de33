"""Stock Twisted: a ``LineReceiver`` with commands in a dictionary, on a reactor of one's choice."""

import sys

from twisted.application.reactors import installReactor
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import ServerFactory
from twisted.internet.tcp import Server
from twisted.protocols.basic import LineReceiver

from bench.peers.line_answers import answer


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
