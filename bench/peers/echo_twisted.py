"""Stock Twisted: ``twisted.protocols.wire.Echo`` on the epoll reactor."""

from twisted.application.reactors import installReactor
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import ServerFactory
from twisted.internet.tcp import Server
from twisted.protocols.wire import Echo


class NoDelayEcho(Echo):
    """The stock protocol, without Nagle's delay."""

    transport: Server

    def connectionMade(self) -> None:
        """Send small answers at once."""
        self.transport.setTcpNoDelay(True)


def main() -> None:
    """Listen on a free port of 127.0.0.1, print the port, and echo."""
    installReactor("epoll")
    from twisted.internet import reactor

    factory = ServerFactory()
    factory.protocol = NoDelayEcho
    host = reactor.listenTCP(0, factory, interface="127.0.0.1").getHost()
    assert isinstance(host, IPv4Address)
    print(host.port, flush=True)
    reactor.run()


main()
