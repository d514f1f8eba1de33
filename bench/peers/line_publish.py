"""Stock Twisted: connections in a set, and a loop that writes a line to each of them.

``SUBSCRIBE``, ``PUBLISH`` and what they send look as those of :mod:`bench.peers.line_channels`. The
command line names the reactor.
"""

import sys

from twisted.application.reactors import installReactor
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import ServerFactory, connectionDone
from twisted.internet.tcp import Server
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

SUBSCRIBERS: set["Listener"] = set()


class Listener(LineReceiver):
    """One who may listen, and may publish."""

    transport: Server

    def connectionMade(self) -> None:
        """Send small answers at once."""
        self.transport.setTcpNoDelay(True)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Listen no more."""
        SUBSCRIBERS.discard(self)

    def lineReceived(self, line: bytes) -> None:
        """Subscribe or publish."""
        command, _, rest = line.partition(b" ")
        if command == b"SUBSCRIBE":
            SUBSCRIBERS.add(self)
            self.sendLine(b"OK")
        elif command == b"PUBLISH":
            message = b"* MESSAGE " + rest + b"\r\n"
            for each in SUBSCRIBERS:
                each.transport.write(message)
            self.sendLine(b"%d" % len(SUBSCRIBERS))
        else:
            self.sendLine(b"ERR unknown-command")


def main() -> None:
    """Listen on a free port of 127.0.0.1, print the port, and publish."""
    installReactor(sys.argv[1])
    from twisted.internet import reactor

    factory = ServerFactory()
    factory.protocol = Listener
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    host = port.getHost()
    assert isinstance(host, IPv4Address)
    print(host.port, flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
