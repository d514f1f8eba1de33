"""Stock Twisted: connections in a set, and a loop that writes a line to each of them.

``SUBSCRIBE``, ``PUBLISH`` and what they send look as those of :mod:`bench.peers.line_channels`. The
command line names the reactor.
"""

from twisted.internet.protocol import connectionDone
from twisted.internet.tcp import Server
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

from bench.peers.line_serving import serve

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


if __name__ == "__main__":
    serve(Listener)
