"""Several sockets as one port: dual-stack listening."""

import errno
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from stat import S_IMODE
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IReactorSocket,
    IStreamServerEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer

#: Connections that the kernel keeps ready for us to accept.
BACKLOG = 1024

_FAMILY_ABSENT = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT}
_PORT_RETRIES = 16


def stop_port(port: IListeningPort) -> Deferred[None]:
    """Stop listening; fires when that is done, whatever ``port`` returns."""
    stop: Any = port.stopListening  # declared to return a Deferred or None
    stopped: Deferred[None] = maybeDeferred(stop)
    return stopped


@implementer(IListeningPort)
class ListeningPorts:
    """Several listening ports that stand for one: same factory, same port number."""

    def __init__(self, ports: Sequence[IListeningPort]) -> None:
        self.ports = tuple(ports)

    def startListening(self) -> None:
        """Start each of them."""
        for port in self.ports:
            port.startListening()

    def stopListening(self) -> Deferred[None]:
        """Stop all of them; fires when none listens."""
        stopped = [stop_port(port) for port in self.ports]
        return gatherResults(stopped, consumeErrors=True).addCallback(lambda _: None)

    def getHost(self) -> IAddress:
        """The first one's address."""
        return self.ports[0].getHost()


@implementer(IStreamServerEndpoint)
class DualStackServerEndpoint:
    """One TCP port on every IPv4 and every IPv6 address of the machine.

    Two sockets (``IPV6_V6ONLY``, RFC 3493 section 5.3), so that an IPv4 peer has an IPv4
    address in logs and access rules. On a machine without one of the families it listens
    on the other. Port 0 finds a number that is free in both.

    :param reactor: provides :class:`~twisted.internet.interfaces.IReactorSocket`.
    :param backlog: connections that the kernel keeps ready, before accept.
    :param reuse_port: whether others may listen on the same port (``SO_REUSEPORT``).
    """

    def __init__(
        self,
        reactor: IReactorSocket,
        port: int,
        backlog: int = BACKLOG,
        *,
        reuse_port: bool = False,
    ) -> None:
        self._reactor = reactor
        self._port = port
        self._backlog = backlog
        self._reuse_port = reuse_port

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen; the result provides ``getHost`` and lists its sockets in ``ports``."""
        return maybeDeferred(self._listen, protocolFactory)

    def _listen(self, factory: Any) -> IListeningPort:
        sockets = getattr(self._reactor, "inherited", ())
        reactor = getattr(self._reactor, "bare", self._reactor)
        reuse_port = self._reuse_port or getattr(self._reactor, "reuse_port", False)
        sockets = sockets or listen_dual_stack(self._port, self._backlog, reuse_port)
        return ListeningPorts([adopt(reactor, bound, factory) for bound in sockets])


def adopt(
    reactor: Any, bound: socket.socket, factory: IProtocolFactory, mode: int | None = None
) -> IListeningPort:
    """Listen on a socket that listens already, and close that one, which is not needed then.

    :param mode: of a UNIX socket's file; by default what it is now.
    """
    try:
        if bound.family == socket.AF_UNIX:
            return _adopt_unix(reactor, bound, factory, mode)
        listening: IListeningPort = reactor.adoptStreamPort(bound.fileno(), bound.family, factory)
        return listening
    finally:
        bound.close()


class _AdoptedUNIXPort(unix.Port):
    """A port on a socket that others have too: closing it leaves theirs, and the file, alone."""

    _shouldShutdown = False

    def connectionLost(self, reason: Failure) -> None:
        tcp.Port.connectionLost(self, reason)


def leave_to_others(port: IListeningPort) -> None:
    """Listen on, but take no connections; closing it later leaves the socket to the others."""
    for single in listening_ports(port):
        shared: Any = single
        shared.stopReading()
        shared._shouldShutdown = False


def _adopt_unix(
    reactor: Any, bound: socket.socket, factory: IProtocolFactory, mode: int | None
) -> IListeningPort:
    """Twisted's own way would let everybody connect: it sets the file's mode to 666."""
    path = bound.getsockname()
    if mode is None:
        named = isinstance(path, str) and path
        mode = S_IMODE(Path(path).stat().st_mode) if named else 0o666
    port: Any = _AdoptedUNIXPort(path, factory, mode=mode, reactor=reactor)
    bound.setblocking(False)
    port._preexistingSocket = bound.dup()
    port.startListening()
    listening: IListeningPort = port
    return listening


def listen_dual_stack(port: int, backlog: int, reuse_port: bool) -> list[socket.socket]:
    """Listening sockets with one port number on the wildcard addresses of both families.

    :param port: 0 finds a number that is free in every family the machine has.
    :returns: one or two non-blocking sockets, IPv4 first; the caller closes them.
    :raises CannotListenError: if the port is taken or may not be used.
    """
    for attempts_left in reversed(range(_PORT_RETRIES)):
        bound: list[socket.socket] = []
        try:
            for family, wildcard in _families():
                number = bound[0].getsockname()[1] if bound else port
                _bind(bound, family, (wildcard, number), reuse_port)
            for each in bound:
                each.listen(backlog)
        except OSError as error:
            for each in bound:
                each.close()
            if port == 0 and len(bound) == 1 and attempts_left:
                continue  # free in IPv4, taken in IPv6
            raise CannotListenError("", port, error) from None
        if bound:
            return bound
        break
    raise CannotListenError("", port, OSError("this machine has neither IPv4 nor IPv6"))


def _families() -> Iterator[tuple[socket.AddressFamily, str]]:
    yield socket.AF_INET, "0.0.0.0"
    if socket.has_ipv6:
        yield socket.AF_INET6, "::"


def _bind(
    bound: list[socket.socket],
    family: socket.AddressFamily,
    where: tuple[str, int],
    reuse_port: bool,
) -> None:
    """Add a bound socket to ``bound``, unless the machine lacks the family."""
    try:
        new = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        if error.errno in _FAMILY_ABSENT:
            return
        raise
    try:
        new.setblocking(False)
        new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            new.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        new.bind(where)
    except OSError as error:
        new.close()
        if error.errno in _FAMILY_ABSENT:
            return
        raise
    bound.append(new)


def listening_ports(port: IListeningPort) -> tuple[IListeningPort, ...]:
    """The single sockets behind ``port``, each with an address of its own."""
    return port.ports if isinstance(port, ListeningPorts) else (port,)
