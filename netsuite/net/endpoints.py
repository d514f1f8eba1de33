"""Where a server listens: Twisted endpoint strings, mended, and dual-stack listening.

:func:`server_endpoint` understands every string that Twisted does and one more,
``dualstack:PORT``. What it returns differs from stock in three ways: TLS endpoints honour
half-close (:mod:`netsuite.net.tls`), a factory behind TLS may refuse a peer, and a string
that cannot work is one :class:`EndpointError` that says why.
"""

import errno
import os
import re
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.endpoints import quoteStringArgument, serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IReactorSocket,
    IStreamServerEndpoint,
)
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from netsuite.net.tls import TLSFactory, tls_protocol

#: Connections that the kernel keeps ready for us to accept.
BACKLOG = 1024

_FAMILY_ABSENT = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT}
_KINDS = ("dualstack", "tcp", "tcp6", "unix", "ssl", "tls", "systemd")
_PORT_RETRIES = 16
_PORT_NUMBER = re.compile(r"[0-9]{1,5}\Z", re.ASCII)


class EndpointError(ValueError):
    """An endpoint string that cannot work; the message is for people."""


def parse_port(text: str) -> int:
    """The port number that ``text`` says, 0 meaning "any that is free".

    :raises EndpointError: for anything but the digits of 0 to 65535.
    """
    if _PORT_NUMBER.match(text) and int(text) <= 65_535:
        return int(text)
    raise EndpointError(f"{text!r} is not a port: expected a number from 0 to 65535")


def tcp_description(port: int, interface: str = "") -> str:
    """The endpoint string for a TCP port: on one address, or on all of both families.

    :param interface: an IPv4 or IPv6 address; empty for all.
    """
    if not interface:
        return f"dualstack:{port}"
    prefix = "tcp6" if ":" in interface else "tcp"
    return f"{prefix}:{port}:interface={quoteStringArgument(interface)}"


def server_endpoint(reactor: Any, description: str) -> IStreamServerEndpoint:
    """The server endpoint that ``description`` names.

    :param reactor: the reactor to listen with.
    :param description: as in :func:`twisted.internet.endpoints.serverFromString`, or
        ``dualstack:PORT[:backlog=N]``.
    :raises EndpointError: if it names none, with the reason.
    """
    kind, _, rest = description.partition(":")
    try:
        if kind == "dualstack":
            return _dual_stack(reactor, rest)
        if kind in {"tcp", "tcp6", "ssl"}:
            parse_port(rest.partition(":")[0].removeprefix("port="))
        elif kind == "unix" and not rest:
            raise EndpointError("expected a path after unix:")
        endpoint: IStreamServerEndpoint = serverFromString(_TLSReactor(reactor), description)
        _check_certificates(description)
    except EndpointError as error:
        raise EndpointError(f"{description!r}: {error}") from None
    except Exception as error:  # every parser raises what it likes
        raise EndpointError(f"{description!r}: {_reason(error)}") from error
    return endpoint


def _check_certificates(description: str) -> None:
    """Refuse a ``tls:`` directory that is not there: Twisted would find out at a handshake."""
    if match := re.match(r"tls:(?:path=)?((?:[^:\\]|\\.)*)", description):
        directory = Path(re.sub(r"\\(.)", r"\1", match[1]))
        if not any(directory.rglob("*.pem")):
            raise EndpointError(f"{directory}: expected a directory with certificates (*.pem)")


def _dual_stack(reactor: IReactorSocket, arguments: str) -> "DualStackServerEndpoint":
    port, *rest = arguments.split(":")
    backlog = BACKLOG
    for word in rest:
        name, _, value = word.partition("=")
        if name != "backlog" or not value.isdecimal():
            raise EndpointError(f"{word!r} is unknown: expected dualstack:PORT[:backlog=NUMBER]")
        backlog = int(value)
    return DualStackServerEndpoint(reactor, parse_port(port.removeprefix("port=")), backlog)


def _reason(error: Exception) -> str:
    """What a parser's exception has to tell a person."""
    if isinstance(error, OSError) and error.strerror:
        name = error.filename or ""
        return f"{os.fsdecode(name)}: {error.strerror}" if name else error.strerror
    if isinstance(error, TypeError):  # a wrong call of the parser: drop the parser's name
        return re.sub(r"^[\w.]+\(\) ", "", str(error))
    if isinstance(error, IndexError | KeyError):
        return "systemd has passed no such socket"
    if str(error).startswith("Unknown endpoint type"):
        return f"no such kind: expected {', '.join(_KINDS)} or one that a plugin brings"
    literal = re.match(r"invalid literal for int\(\) with base \d+: (.*)", str(error))
    if literal:
        return f"{literal[1]} is not a number"
    return str(error) or type(error).__name__


class _TLSReactor:
    """A reactor whose TLS servers are ours; everything else is the reactor's own."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(
        self, port: int, factory: Any, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        if isinstance(factory, TLSMemoryBIOFactory):
            factory.protocol = tls_protocol  # type: ignore[assignment]  # None is an answer
        listening: IListeningPort = self._reactor.listenTCP(port, factory, backlog, interface)
        return listening

    def listenSSL(
        self, port: int, factory: Any, contextFactory: Any, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        return self.listenTCP(
            port, TLSFactory(contextFactory, False, factory, self._reactor), backlog, interface
        )


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
    """

    def __init__(self, reactor: IReactorSocket, port: int, backlog: int = BACKLOG) -> None:
        self._reactor = reactor
        self._port = port
        self._backlog = backlog

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen; the result provides ``getHost`` and lists its sockets in ``ports``."""
        return maybeDeferred(self._listen, protocolFactory)

    def _listen(self, factory: Any) -> IListeningPort:
        sockets = _listen_dual_stack(self._port, self._backlog)
        try:
            return ListeningPorts(
                [
                    self._reactor.adoptStreamPort(bound.fileno(), bound.family, factory)
                    for bound in sockets
                ]
            )
        finally:
            for bound in sockets:
                bound.close()


def _listen_dual_stack(port: int, backlog: int) -> list[socket.socket]:
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
                _bind(bound, family, wildcard, number)
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
    wildcard: str,
    port: int,
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
        if family == socket.AF_INET6:
            new.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        new.bind((wildcard, port))
    except OSError as error:
        new.close()
        if error.errno in _FAMILY_ABSENT:
            return
        raise
    bound.append(new)


def listening_ports(port: IListeningPort) -> tuple[IListeningPort, ...]:
    """The single sockets behind ``port``, each with an address of its own."""
    return port.ports if isinstance(port, ListeningPorts) else (port,)


def address_text(address: IAddress) -> str:
    """An address as people write it: ``192.0.2.1:7``, ``[2001:db8::1]:7``, ``unix:/path``."""
    match address:
        case IPv4Address():
            return f"{address.host}:{address.port}"
        case IPv6Address():
            return f"[{address.host}]:{address.port}"
        case UNIXAddress():
            return f"unix:{os.fsdecode(address.name or b'')}"
        case _:
            return str(address)


__all__ = [
    "BACKLOG",
    "DualStackServerEndpoint",
    "EndpointError",
    "ListeningPorts",
    "address_text",
    "listening_ports",
    "parse_port",
    "server_endpoint",
    "stop_port",
    "tcp_description",
]
