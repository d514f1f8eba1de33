"""TLS that begins on a connection that is there, and who has a connection."""

from typing import Any

from twisted.internet.interfaces import IProtocol, IReactorTime

from netsuite.net import StreamTransport
from netsuite.net.tls import TLSFactory, TLSProtocol


def start_tls(
    transport: StreamTransport, protocol: IProtocol, context: object, clock: IReactorTime
) -> StreamTransport:
    """Begin TLS, as its server, below a protocol that is its transport's producer.

    It is the TLS of :mod:`netsuite.net.tls`, with half-close and a time limit for the handshake,
    where the protocol stands directly on its transport. If something stands between, it is
    what the transport brings (:class:`~twisted.internet.interfaces.ITLSTransport`).

    :param context: a context factory, or :class:`~netsuite.net.certificates.ServerCertificates`.
    :param clock: usually the reactor.
    :returns: the protocol's transport from now on.
    """
    bare: Any = transport
    if getattr(transport, "protocol", None) is not protocol:
        bare.startTLS(context)
        return transport
    factory: Any = TLSFactory(context, False, None, clock)  # type: ignore[arg-type]  # no factory
    tls = TLSProtocol(factory, protocol, False)
    producer: Any = protocol
    bare.unregisterProducer()
    bare.protocol = tls
    tls.makeConnection(bare)
    tls.registerProducer(producer, True)
    secured: Any = tls
    begun: StreamTransport = secured
    return begun


def hand_over(transport: StreamTransport, before: IProtocol, protocol: IProtocol) -> None:
    """Have a transport bring what comes to another protocol, under TLS too.

    :param before: who has had it.
    """
    above: Any = transport
    below: Any = getattr(transport, "protocol", None)
    if not hasattr(above, "wrappedProtocol"):
        while hasattr(below, "wrappedProtocol") and below is not before:
            above, below = below, below.wrappedProtocol
    if hasattr(above, "wrappedProtocol"):
        above.wrappedProtocol = protocol
    else:
        above.protocol = protocol
