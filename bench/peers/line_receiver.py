"""Stock Twisted: a ``LineReceiver`` with commands in a dictionary, on a reactor of one's choice."""

from twisted.internet.tcp import Server
from twisted.protocols.basic import LineReceiver

from bench.peers.line_answers import answer
from bench.peers.line_serving import serve


class Sums(LineReceiver):
    """Answers each line."""

    transport: Server

    def connectionMade(self) -> None:
        """Send small answers at once."""
        self.transport.setTcpNoDelay(True)

    def lineReceived(self, line: bytes) -> None:
        """Answer."""
        self.sendLine(answer(line))


if __name__ == "__main__":
    serve(Sums)
