"""Stock Twisted: ``twisted.protocols.wire.Echo`` on a reactor of one's choice.

The command line names the reactor. A certificate and its key after it, in one file in PEM, put
the same under TLS.
"""

import sys
from pathlib import Path

from twisted.application.reactors import installReactor
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IReactorSSL
from twisted.internet.protocol import ServerFactory
from twisted.internet.ssl import PrivateCertificate
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
    name, *files = sys.argv[1:]
    installReactor(name)
    from twisted.internet import reactor

    factory = ServerFactory()
    factory.protocol = NoDelayEcho
    if files:
        context = PrivateCertificate.loadPEM(Path(files[0]).read_bytes()).options()
        port = IReactorSSL(reactor).listenSSL(0, factory, context, interface="127.0.0.1")
    else:
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    host = port.getHost()
    assert isinstance(host, IPv4Address)
    print(host.port, flush=True)
    reactor.run()


main()
