"""The PROXY protocol: a server behind a load balancer that sees its clients' addresses.

HAProxy, Envoy, nginx, stunnel and the balancers of the clouds write one header in front of a
connection's bytes, which says whose connection it is (HAProxy's ``proxy-protocol.txt``, both
versions). :class:`ProxyFactory` puts that in front of any Twisted factory::

    trusted = IPSet(["10.0.0.0/8", "::1"])
    reactor.listenTCP(8080, ProxyFactory(site, trusted, reactor))

The protocol that ``site`` builds has the client's address, as argument of ``buildProtocol`` and
by ``transport.getPeer()``, and has the transport to itself: once the header is read, nothing of
this module is between the two. :func:`proxy_header` gives the rest of what the proxy said.

A header is a claim. Whoever may send one can be anybody, so take it from proxies only.

Left out: headers inside TLS (they come first, as every proxy sends them), datagrams, and
guessing whether there is a header (section 2 forbids it).
"""

from collections.abc import Callable
from socket import AF_INET6, inet_ntop
from typing import Any, Protocol

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
)
from twisted.internet.protocol import Protocol as StreamProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from zope.interface import directlyProvides, providedBy

from netsuite.ip import IPSet
from netsuite.net._addresses import address_text, host_of
from netsuite.net._proxy_header import ProxyAddress, ProxyError, ProxyHeader, ProxyTLS
from netsuite.net._proxy_wire import MAX_ANNOUNCED, ProxyHeaderParser, encode_v1, encode_v2

#: How long a header may take, in seconds. Section 2 asks for 3 or more.
HEADER_SECONDS = 5.0

_log = Logger()
_HEADER = "_netsuite_proxy_header"  # the transport's attribute

Refused = Callable[[str, IAddress], object]


class BuildsProtocols(Protocol):
    """Anything that makes protocols: an ``IProtocolFactory``, or less than one."""

    def buildProtocol(self, addr: IAddress, /) -> IProtocol | None:
        """A protocol for one client; None refuses it."""


def proxy_header(transport: object) -> ProxyHeader | None:
    """What the proxy said of a connection, by its transport, under TLS too.

    :returns: None if the connection did not begin with a PROXY header.
    """
    header: ProxyHeader | None = getattr(transport, _HEADER, None)
    return header


class ProxyProtocol(StreamProtocol):
    """Reads the PROXY header, then leaves the connection to the protocol that it is for.

    That one is built for the client's address, made with the same transport, and given the
    bytes that came behind the header. The transport's ``getPeer`` and ``getHost`` answer with
    the header's addresses then; its own answer where the header has none (``LOCAL``, a proxy's
    health check, or ``UNKNOWN``). A protocol that pauses the transport while it is made gets
    the bytes when it resumes.

    A peer that does not send a header in time, or not a good one, is cut off. One that closes
    without a single byte, as many health checks do, is nothing to speak of.

    :param factory: builds the protocols.
    :param clock: usually the reactor.
    :param timeout: seconds that the header may take, all of it.
    :param refused: told of each peer that is cut off, with ``proxy_header`` (no good header) or
        ``proxy_timeout``, and the peer's own address.
    :param max_announced: the longest header of version 2 is this and 16, in bytes.
    """

    transport: Any  # Twisted's TCP or UNIX transport, which has more than any interface says
    #: At which it logs who is cut off: lower for who has a log of its own, with a bound.
    log_level = LogLevel.info
    _timer: IDelayedCall | None = None

    def __init__(
        self,
        factory: BuildsProtocols,
        clock: IReactorTime,
        timeout: float = HEADER_SECONDS,
        refused: Refused = lambda reason, peer: None,
        max_announced: int = MAX_ANNOUNCED,
    ) -> None:
        self._factory = factory
        self._clock = clock
        self._timeout = timeout
        self._refused = refused
        self._parser: ProxyHeaderParser | None = ProxyHeaderParser(max_announced)

    def connectionMade(self) -> None:
        """Wait for the header."""
        if getattr(self.transport, "protocol", None) is not self:
            _log.error(
                "{transport} cannot be handed over: the PROXY protocol expects TCP or UNIX "
                "below it, with nothing between",
                transport=self.transport,
            )
            self._parser = None
            self.transport.abortConnection()
            return
        self._timer = self._clock.callLater(self._timeout, self._timed_out)

    def dataReceived(self, data: bytes) -> None:
        """Read on, until the header is complete."""
        if self._parser is None:
            return  # cut off
        try:
            header = self._parser.feed(data)
        except ProxyError as error:
            self._refuse("proxy_header", str(error))
            self.transport.abortConnection()
            return
        if header is not None:
            self._hand_over(header, self._parser.rest)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection ended before it was handed over."""
        if self._parser is not None and self._parser.received:
            self._refuse("proxy_header", f"closed after {self._parser.received} bytes of a header")
        self._finish()

    def _timed_out(self) -> None:
        self._timer = None
        self._refuse("proxy_timeout", f"no header in {self._timeout:g} s")
        self.transport.abortConnection()

    def _refuse(self, reason: str, detail: str) -> None:
        peer = self.transport.getPeer()
        self._finish()
        _log.emit(
            self.log_level,
            "{peer} refused: {reason}: {detail}",
            peer=address_text(peer),
            reason=reason,
            detail=detail,
        )
        self._refused(reason, peer)

    def _finish(self) -> None:
        """There is no header to wait for any more."""
        self._parser = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _hand_over(self, header: ProxyHeader, rest: bytes) -> None:
        """Step aside. What the built protocol raises ends its connection as it always does."""
        self._finish()
        transport = self.transport
        client = transport.getPeer() if header.source is None else _twisted(header.source)
        built = self._factory.buildProtocol(client)
        if built is None:
            transport.loseConnection()
            return
        setattr(transport, _HEADER, header)
        if header.source is not None and header.destination is not None:
            host = _twisted(header.destination)
            transport.getPeer = lambda: client
            transport.getHost = lambda: host
        transport.protocol = built
        if not rest:
            built.makeConnection(transport)
            return
        kept = _KeptBytes(transport, rest, self._clock)
        built.makeConnection(transport)
        kept.protocol_made()


class _KeptBytes:
    """The bytes behind a header, until the protocol that they are for reads.

    Pausing, closing and aborting a transport all come down to its ``stopReading``, resuming to
    its ``startReading``. Those two are watched until the bytes are delivered; before that the
    transport reads nothing, so that nothing overtakes them.
    """

    def __init__(self, transport: Any, data: bytes, clock: IReactorTime) -> None:
        self._transport = transport
        self._data = data
        self._clock = clock
        self._start, self._stop = transport.startReading, transport.stopReading
        self._reading = True
        self._made = False
        self._delivery: IDelayedCall | None = None
        transport.startReading = self._start_reading
        transport.stopReading = self._stop_reading

    def protocol_made(self) -> None:
        """Deliver, unless the protocol has stopped reading."""
        self._made = True
        if self._reading:
            self._deliver()

    def _start_reading(self) -> None:
        self._reading = True
        if self._made and self._delivery is None:
            # Later: who resumes a transport does not expect data before that call returns.
            self._delivery = self._clock.callLater(0, self._deliver_later)

    def _stop_reading(self) -> None:
        self._reading = False
        if self._delivery is not None:
            self._delivery.cancel()
            self._delivery = None
        self._stop()

    def _deliver(self) -> None:
        del self._transport.startReading, self._transport.stopReading
        self._start()
        self._transport.protocol.dataReceived(self._data)

    def _deliver_later(self) -> None:
        self._delivery = None
        try:
            self._deliver()
        except Exception:  # noqa: BLE001 - the protocol's bug ends its connection only
            _log.failure("dataReceived failed")
            self._transport.abortConnection()


class ProxyFactory:
    """A factory behind proxies: peers that are none of them are refused.

    It provides what the wrapped factory provides and answers for it in everything else.

    :param factory: what to serve; it is given the clients' addresses.
    :param trusted: the proxies. An IPv4-mapped peer (RFC 4291 section 2.5.5.2) counts as IPv4.
        Peers on UNIX sockets are trusted: who may connect is the socket's permissions.
    :param clock: usually the reactor.
    :param timeout: seconds that a header may take.
    :param refused: told of each peer that is refused, with a reason and the peer's own address:
        ``proxy_source`` for one that is not trusted, or as :class:`ProxyProtocol` says.
    :param max_announced: the longest header of version 2 is this and 16, in bytes.
    :ivar trusted: the proxies; another set counts from then on.
    :ivar refusals: how many there were, by reason.
    """

    noisy = False

    def __init__(
        self,
        factory: IProtocolFactory,
        trusted: IPSet,
        clock: IReactorTime,
        timeout: float = HEADER_SECONDS,
        refused: Refused = lambda reason, peer: None,
        max_announced: int = MAX_ANNOUNCED,
    ) -> None:
        self.wrapped = factory
        self.refusals: dict[str, int] = {}
        self.trusted = trusted
        self._clock = clock
        self._timeout = timeout
        self._on_refused = refused
        self._max_announced = max_announced
        directlyProvides(self, providedBy(factory))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapped, name)

    def buildProtocol(self, addr: IAddress) -> ProxyProtocol | None:
        """What reads a proxy's header; None for everybody else."""
        if not is_trusted(addr, self.trusted):
            _log.info(
                "{peer} refused: {reason}: it is none of the proxies",
                peer=address_text(addr),
                reason="proxy_source",
            )
            self._refused("proxy_source", addr)
            return None
        return ProxyProtocol(
            self.wrapped, self._clock, self._timeout, self._refused, self._max_announced
        )

    def _refused(self, reason: str, peer: IAddress) -> None:
        self.refusals[reason] = self.refusals.get(reason, 0) + 1
        self._on_refused(reason, peer)


def is_trusted(peer: IAddress, trusted: IPSet) -> bool:
    """Whether a peer may send a header; see :class:`ProxyFactory`."""
    if isinstance(peer, UNIXAddress):
        return True
    host = host_of(peer)
    return host is not None and host in trusted


def _twisted(end: ProxyAddress | bytes) -> IAddress:
    """An end of a connection as Twisted has it."""
    if isinstance(end, bytes):
        return UNIXAddress(end or None)
    if end.host.version == 4:
        return IPv4Address("TCP", str(end.host), end.port)
    # Mapped addresses as Twisted writes them too: ::ffff:192.0.2.1
    return IPv6Address("TCP", inet_ntop(AF_INET6, end.host.packed), end.port)


__all__ = [
    "HEADER_SECONDS",
    "MAX_ANNOUNCED",
    "BuildsProtocols",
    "ProxyAddress",
    "ProxyError",
    "ProxyFactory",
    "ProxyHeader",
    "ProxyHeaderParser",
    "ProxyProtocol",
    "ProxyTLS",
    "encode_v1",
    "encode_v2",
    "is_trusted",
    "proxy_header",
]
