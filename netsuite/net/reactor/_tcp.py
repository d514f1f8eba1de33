"""Listening, accepting and connecting, up to where uvloop takes a connection."""

import os
import socket
from typing import TYPE_CHECKING, Any, Self

from twisted.internet import tcp
from twisted.internet.interfaces import ILoggingContext
from twisted.internet.protocol import Protocol
from twisted.python import log
from twisted.python.failure import Failure

from netsuite.net.reactor._connection import Connection
from netsuite.net.reactor._socket import address_of

if TYPE_CHECKING:
    from netsuite.net.reactor._reactor import UVReactor


def _log_prefix(protocol: Any) -> str:
    if ILoggingContext.providedBy(protocol):
        return str(protocol.logPrefix())
    return type(protocol).__name__


class Server(Connection):
    """A connection that was accepted."""

    __slots__ = ("server", "sessionno")

    def __init__(
        self,
        descriptor: int,
        protocol: Any,
        client: tuple[Any, ...],
        server: Any,
        sessionno: int,
        reactor: "UVReactor",
    ) -> None:
        super().__init__(protocol, client, reactor)
        self.server = server
        self.sessionno = sessionno
        self.begin_with(descriptor)

    @classmethod
    def adopt(cls, descriptor: int, family: int, factory: Any, reactor: "UVReactor") -> Self | None:
        """Take a connected socket that others have made; theirs stays theirs."""
        connected = socket.socket(family, socket.SOCK_STREAM, fileno=descriptor)
        try:
            own = connected.dup()
        finally:
            connected.detach()
        own.setblocking(False)
        peer = tcp._getpeername(own)
        protocol = factory.buildProtocol(address_of(peer))
        if protocol is None:
            own.close()
            return None
        self = cls(own.detach(), protocol, peer, None, peer[1], reactor)
        protocol.makeConnection(self)
        return self

    @property
    def client(self) -> tuple[Any, ...]:
        """The address of the peer's socket."""
        return self.peer

    @property
    def hostname(self) -> str:
        """The peer's address."""
        return str(self.peer[0])

    @property
    def logstr(self) -> str:  # type: ignore[override]  # asked for seldom, so made then
        """What the log calls this connection."""
        return f"{_log_prefix(getattr(self, 'protocol', None))},{self.sessionno},{self.hostname}"

    def __repr__(self) -> str:
        name = type(getattr(self, "protocol", None)).__name__
        port = self.getHost().port if self.server is None else self.server._realPortNumber
        return f"<{name} #{self.sessionno} on {port}>"


class Client(Connection):
    """A connection that was made by us."""

    __slots__ = ("addr", "connector")
    _tlsClientDefault = True

    def __init__(self, connecting: "_Connecting") -> None:
        reactor: Any = connecting.reactor
        super().__init__(None, connecting.realAddress, reactor)
        self.addr = connecting.addr
        self.connector = connecting.connector

    def begin(self, protocol: Any, connected: socket.socket) -> None:
        """Have a protocol, or do without one and close."""
        self.protocol = Protocol() if protocol is None else protocol
        self.begin_with(connected.detach())
        self.take()
        if protocol is None:
            self.loseConnection()
            return
        try:
            protocol.makeConnection(self)
        except BaseException:  # noqa: BLE001 - it is the program's, and logged
            self._failed()

    def connectionLost(self, reason: Failure) -> None:
        """The connection is over."""
        if not self.disconnected:
            super().connectionLost(reason)
            self.connector.connectionLost(reason)

    @property
    def logstr(self) -> str:  # type: ignore[override]  # asked for seldom, so made then
        """What the log calls this connection."""
        return f"{_log_prefix(getattr(self, 'protocol', None))},client"

    def __repr__(self) -> str:
        return f"<{self.__class__} to {self.addr} at {id(self):x}>"


class _Connecting(tcp.Client):
    """Twisted's own way to a connected socket."""

    def _connectDone(self) -> None:
        connector, connected = self.connector, self.socket
        client = Client(self)
        protocol = connector.buildProtocol(client.getPeer())
        del self.connector, self.socket, self.fileno
        connector.transport = client
        client.begin(protocol, connected)


class Connector(tcp.Connector):
    """Connects, and again."""

    def _makeTransport(self) -> tcp.Client:
        return _Connecting(self.host, self.port, self.bindAddress, self, self.reactor)


class Port(tcp.Port):
    """A port whose connections are uvloop's.

    It accepts as Twisted does, with what that has for running out of descriptors: where
    uvloop's own server is told of an error by accept(2), it stops listening.
    """

    transport = Server  # type: ignore[assignment]  # another way to be a transport

    def doRead(self) -> None:
        """Accept who is there, up to a number.

        Errors are left to Twisted's own way, which meets them again.
        """
        accept = self.socket._accept  # type: ignore[union-attr]  # without an object for each
        accepted = 0
        try:
            while accepted < self.numberAccepts:
                try:
                    descriptor, name = accept()
                except BlockingIOError:
                    break
                except OSError:
                    super().doRead()
                    return
                accepted += 1
                self._accepted(descriptor, name)
        except BaseException:  # noqa: BLE001 - it is the factory's or the protocol's, and logged
            log.err()
        # As many as there were just now, and some more where there may be more.
        full = accepted == self.numberAccepts
        self.numberAccepts = accepted + 20 if full else max(1, accepted)

    def _accepted(self, descriptor: int, name: tuple[Any, ...]) -> None:
        taken = False
        try:
            if len(name) == 4:
                name = tcp._getrealname(name)
            factory: Any = self.factory
            protocol = factory.buildProtocol(self._buildAddr(name))
            if protocol is None:
                return
            number, self.sessionno = self.sessionno, self.sessionno + 1
            reactor: Any = self.reactor
            transport = Server(descriptor, protocol, name, self, number, reactor)
            taken = True
        finally:
            if not taken:
                os.close(descriptor)
        protocol.makeConnection(transport)
