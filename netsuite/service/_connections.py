"""The gate in front of a factory: who comes in, and what is known of those who are in."""

from collections.abc import Callable
from itertools import count
from typing import Any, Protocol

from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, IReactorTime
from twisted.logger import LogLevel
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import directlyProvides, providedBy

from netsuite.ip import IPSet
from netsuite.net import Expirable, Refusing, StreamTransport
from netsuite.net._addresses import host_of
from netsuite.net.metered import Meter
from netsuite.net.proxy import ProxyProtocol, is_trusted
from netsuite.service._admission import Admission, Client, Refusal
from netsuite.service._refusal import MOST_SPOKEN_TO, RefusalProtocol

_numbers = count(1)


class Connection:
    """One open connection: what to ask to finish, what to cut, and what it has done.

    :ivar number: of all connections of this process, from 1.
    :ivar peer: the client's address: behind a proxy, the one that the proxy names.
    :ivar client: what limits by client count it as; None for a peer without an IP address.
    :ivar protocol: nearest to the socket.
    :ivar transport: nearest to the socket.
    :ivar meter: what counts its bytes, if anything does.
    :ivar opened: when it was, on the clock of whoever watches it.
    :ivar moved: when a byte was last seen to have moved.
    :ivar reads: when the peer was last seen to owe us no reading.
    :ivar told: when it was told to close, if it was.
    :ivar ended: why we ended it, if we did.
    :ivar entered: whether it was let in, and counted.
    """

    __slots__ = (
        "_bytes",
        "_gate",
        "_sent",
        "client",
        "ended",
        "entered",
        "meter",
        "moved",
        "number",
        "opened",
        "peer",
        "protocol",
        "reads",
        "told",
        "transport",
    )

    def __init__(self, peer: IAddress, opened: float = 0.0) -> None:
        self.number = next(_numbers)
        self.peer = peer
        self.client: Client | None = None
        self.protocol: Any = None
        self.transport: Any = None
        self.meter: Meter | None = None
        self.opened = self.moved = self.reads = opened
        self.told: float | None = None
        self.ended: str | None = None
        self.entered = False
        self._gate: Gate | None = None
        self._bytes = self._sent = 0

    @property
    def application(self) -> Any:
        """The protocol of the service, above TLS if there is TLS."""
        protocol = getattr(self.meter, "protocol", self.protocol)
        return getattr(protocol, "wrappedProtocol", protocol)

    @property
    def bytes_received(self) -> int:
        """From the socket."""
        return 0 if self.meter is None else self.meter.bytes_received

    @property
    def bytes_sent(self) -> int:
        """To the socket."""
        return 0 if self.meter is None else self.meter.bytes_sent

    def looked(self, now: float) -> None:
        """Note what has moved since the last look."""
        meter = self.meter
        if meter is None:
            self.moved = self.reads = now
            return
        sent = meter.bytes_sent
        total = sent + meter.bytes_received
        # Whoever waits for a rate would move bytes.
        if total != self._bytes or meter.throttled:
            self._bytes = total
            self.moved = now
        if sent != self._sent or not meter.unsent:
            self._sent = sent
            self.reads = now

    def close(self, reason: str, now: float) -> None:
        """Ask it to end: in the protocol's own words if it has any.

        :param reason: for metrics and logs.
        """
        self.ended, self.told = reason, now
        protocol = self.application
        if isinstance(protocol, Expirable):
            protocol.expire(reason)
            return
        transport: StreamTransport = getattr(protocol, "transport", None) or self.transport
        transport.loseConnection()

    def cut(self, reason: str) -> None:
        """End it at once; what was not sent is lost.

        :param reason: for metrics and logs.
        """
        self.ended = self.ended or reason
        self.abort()

    def abort(self) -> None:
        """Close at once; what was not sent is lost."""
        if self.transport is not None:
            getattr(self.transport, "abortConnection", self.transport.loseConnection)()

    def lost(self, reason: Failure) -> None:
        """It is gone."""
        if self._gate is not None:
            self._gate._lost(self, reason)


class Observer(Protocol):
    """What hears of the connections of a :class:`Gate`."""

    def opened(self, connection: Connection) -> None:
        """It is in."""

    def closed(self, connection: Connection, reason: Failure) -> None:
        """It is gone."""

    def refused(self, peer: IAddress, refusal: Refusal) -> None:
        """A peer was not let in."""


class Gate:
    """A factory in front of another: it lets connections in, and knows those that are in.

    Protocols and transports stay themselves, so nothing is added to the way of the bytes:
    a connection is followed by its transport's own end, which survives a protocol that
    hands its transport to another one (STARTTLS, WebSocket).

    It provides what the wrapped factory provides and answers for it in everything else.

    :param factory: what is behind it.
    :param clock: for time.
    :param admission: says who may come in; None lets everybody in.
    :param observers: hear of each connection, in this order.
    :param proxies: peers that must say by the PROXY protocol whom they speak for; with it,
        no others may come. None for no PROXY protocol.
    :param proxy_timeout: seconds that they have to say it.
    """

    noisy = False

    def __init__(
        self,
        factory: IProtocolFactory,
        clock: IReactorTime,
        *,
        admission: Admission | None = None,
        observers: tuple[Observer, ...] = (),
        proxies: IPSet | None = None,
        proxy_timeout: float = 5.0,
    ) -> None:
        self.wrapped = self._application = factory
        self.connections: set[Connection] = set()
        self.refusing = False
        #: How many connections have been made, let in or not.
        self.asked = 0
        self.proxies = proxies
        self.proxy_timeout = proxy_timeout
        self._clock = clock
        self._admission = admission
        self._observers = observers
        self._speaking = 0
        self._waiting = 0  # for a header
        directlyProvides(self, providedBy(factory))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapped, name)

    def logPrefix(self) -> str:
        """The wrapped factory's name in Twisted's own log lines."""
        prefix = getattr(self.wrapped, "logPrefix", None)
        return str(prefix()) if prefix is not None else type(self.wrapped).__name__

    def move_outside(self, tls: TLSMemoryBIOFactory) -> None:
        """Change places with a TLS factory that wraps this gate: the gate is at the socket."""
        tls.wrappedFactory = self.wrapped
        self.wrapped = tls

    # Coming in.

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        """The wrapped factory's protocol, followed until its connection is gone."""
        self.asked += 1
        if self.refusing:
            return None
        connection = Connection(addr, self._clock.seconds())
        if self.proxies is None:
            protocol = self._let_in(connection)
        else:
            protocol = self._ask_proxy(connection, self.proxies)
        if protocol is None:
            return None
        connection.protocol = protocol
        connect = protocol.makeConnection

        def make_connection(transport: Any) -> None:
            del protocol.makeConnection
            self._follow(connection, transport)
            connect(transport)

        protocol.makeConnection = make_connection  # type: ignore[method-assign]  # this one only
        return protocol

    def _let_in(self, connection: Connection) -> IProtocol | None:
        """What serves a client whose address is known, or speaks to one that is refused."""
        peer = connection.peer
        address = host_of(peer)
        if self._admission is not None:
            refusal = self._admission.refusal(address)
            if refusal is not None:
                self._refuse(peer, refusal)
                return self._words(refusal)
        protocol = self.wrapped.buildProtocol(peer)
        if protocol is None:
            self._refuse(peer, Refusal.PROTOCOL)
        elif self._admission is not None and address is not None:
            connection.client = self._admission.client_of(address)
        return protocol

    def _ask_proxy(self, connection: Connection, proxies: IPSet) -> IProtocol | None:
        proxy = connection.peer
        if not is_trusted(proxy, proxies):
            self._refuse(proxy, Refusal.PROXY_SOURCE)
            return None
        if self._admission is not None and self._admission.is_full(self._waiting):
            self._refuse(proxy, Refusal.CONNECTIONS)
            return None
        protocol = ProxyProtocol(
            _BehindProxy(self, connection),
            self._clock,
            self.proxy_timeout,
            refused=lambda reason, peer: self._refuse(proxy, Refusal(reason)),
        )
        protocol.log_level = LogLevel.debug  # observers say it
        return protocol

    def _refuse(self, peer: IAddress, refusal: Refusal) -> None:
        for observer in self._observers:
            observer.refused(peer, refusal)

    def _words(self, refusal: Refusal) -> IProtocol | None:
        """What tells a refused peer so, where the protocol has words and TLS is not in the way."""
        if self.wrapped is not self._application or not isinstance(self._application, Refusing):
            return None
        if self._speaking >= MOST_SPOKEN_TO:
            return None
        words = self._application.refusal(refusal.value)
        if words is None:
            return None
        self._speaking += 1
        return RefusalProtocol(words, self._clock, self._spoken)

    def _spoken(self) -> None:
        self._speaking -= 1

    # In.

    def _follow(self, connection: Connection, transport: Any) -> None:
        connection.transport = transport
        connection.meter = _meter_of(transport)
        self.connections.add(connection)
        connection._gate = self
        if connection.meter is not None:
            connection.meter.on_lost = connection.lost
        else:
            # Transports made for tests have no connectionLost: there the protocol's is the end.
            has_end = hasattr(transport, "connectionLost")
            _after_connection_lost(transport if has_end else connection.protocol, connection.lost)
        if isinstance(connection.protocol, ProxyProtocol):
            self._waiting += 1
        elif not isinstance(connection.protocol, RefusalProtocol):
            self._enter(connection)

    def _enter(self, connection: Connection) -> None:
        connection.entered = True
        if self._admission is not None:
            self._admission.enter(connection.client)
        for observer in self._observers:
            observer.opened(connection)

    def _lost(self, connection: Connection, reason: Failure) -> None:
        self.connections.discard(connection)
        if not connection.entered and isinstance(connection.protocol, ProxyProtocol):
            self._waiting -= 1
        if connection.entered and self._admission is not None:
            self._admission.leave(connection.client)
        for observer in self._observers:
            observer.closed(connection, reason)


class _BehindProxy:
    """What a PROXY header leads to: the client that it names is let in, or is not."""

    def __init__(self, gate: Gate, connection: Connection) -> None:
        self._gate = gate
        self._connection = connection

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        """The protocol for the client behind the proxy."""
        self._connection.peer = addr
        protocol = self._gate._let_in(self._connection)
        if protocol is not None and not isinstance(protocol, RefusalProtocol):
            self._gate._waiting -= 1
            self._gate._enter(self._connection)
        return protocol


def _meter_of(transport: Any) -> Meter | None:
    """The metered transport at the socket, under whatever lies above it."""
    below = transport
    while not isinstance(below, Meter):
        below = getattr(below, "transport", None)
        if below is None:
            return None
    return below


def _after_connection_lost(owner: Any, then: Callable[[Failure], object]) -> None:
    lose = owner.connectionLost

    def connection_lost(reason: Failure) -> None:
        del owner.connectionLost
        try:
            lose(reason)
        finally:
            then(reason)

    owner.connectionLost = connection_lost
