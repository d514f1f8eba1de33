"""A line application of netsuite by itself: ``LineFactory`` on a reactor of one's choice.

The command line names the reactor, and the application as ``module:name``. The service
(``netsuite-line``) has limits on connections, counts and logs beside this.
"""

import sys
from pkgutil import resolve_name
from socket import IPPROTO_TCP, TCP_NODELAY

from twisted.application.reactors import installReactor
from twisted.internet.address import IPv4Address
from twisted.internet.tcp import Port

from netsuite.line import LineFactory


def main() -> None:
    """Listen on a free port of 127.0.0.1, print the port, and answer."""
    name, app = sys.argv[1:]
    installReactor(name)
    from twisted.internet import reactor

    factory = LineFactory(resolve_name(app), reactor)
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")  # type: ignore[arg-type]  # any factory
    host = port.getHost()
    assert isinstance(host, IPv4Address)
    assert isinstance(port, Port)
    port.socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)  # connections inherit it
    print(host.port, flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
