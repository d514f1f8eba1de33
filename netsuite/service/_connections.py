"""Which connections a factory has open."""

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory
from twisted.python.failure import Failure
from zope.interface import directlyProvides, providedBy


class Connection:
    """One open connection: what to ask to finish, and what to cut."""

    __slots__ = ("protocol", "transport")

    def __init__(self, protocol: IProtocol) -> None:
        self.protocol = protocol
        self.transport: Any = None

    def abort(self) -> None:
        """Close at once; what was not sent is lost."""
        if self.transport is not None:
            getattr(self.transport, "abortConnection", self.transport.loseConnection)()


class TrackingFactory:
    """A factory that knows the connections made through it.

    Protocols and transports stay themselves, so nothing is added to the way of the bytes:
    a connection is followed by its transport's own ``connectionLost``, which survives a
    protocol that hands its transport to another one (STARTTLS, WebSocket).

    It provides what the wrapped factory provides and answers for it in everything else.

    :param on_close: called after each connection is gone.
    """

    noisy = False

    def __init__(self, factory: IProtocolFactory, on_close: Callable[[], object]) -> None:
        self.wrapped = factory
        self.connections: set[Connection] = set()
        self.refusing = False
        self._on_close = on_close
        directlyProvides(self, providedBy(factory))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapped, name)

    def logPrefix(self) -> str:
        """The wrapped factory's name in Twisted's own log lines."""
        prefix = getattr(self.wrapped, "logPrefix", None)
        return str(prefix()) if prefix is not None else type(self.wrapped).__name__

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        """The wrapped factory's protocol, followed until its connection is gone."""
        if self.refusing:
            return None
        protocol = self.wrapped.buildProtocol(addr)
        if protocol is None:
            return None
        connection = Connection(protocol)
        connect = protocol.makeConnection

        def make_connection(transport: Any) -> None:
            del protocol.makeConnection
            self._follow(connection, transport)
            connect(transport)

        protocol.makeConnection = make_connection  # type: ignore[method-assign]  # this one only
        return protocol

    def _follow(self, connection: Connection, transport: Any) -> None:
        connection.transport = transport
        self.connections.add(connection)
        # Transports made for tests have no connectionLost: there the protocol's is the end.
        owner: Any = transport if hasattr(transport, "connectionLost") else connection.protocol
        lose = owner.connectionLost

        def connection_lost(reason: Failure) -> None:
            del owner.connectionLost
            try:
                lose(reason)
            finally:
                self.connections.discard(connection)
                self._on_close()

        owner.connectionLost = connection_lost
