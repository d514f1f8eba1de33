"""A protocol of stock Twisted on a reactor of one's choice, for the peers of lines."""

import sys

from twisted.application.reactors import installReactor
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Protocol, ServerFactory


def serve(protocol: type[Protocol]) -> None:
    """Listen on a free port of 127.0.0.1 and print the port; the command line names the reactor."""
    installReactor(sys.argv[1])
    from twisted.internet import reactor

    factory = ServerFactory()
    factory.protocol = protocol
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    host = port.getHost()
    assert isinstance(host, IPv4Address)
    print(host.port, flush=True)
    reactor.run()
