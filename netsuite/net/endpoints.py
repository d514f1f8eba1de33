"""Where a server listens: Twisted endpoint strings, mended, and dual-stack listening.

:func:`server_endpoint` understands every string that Twisted does and one more,
``dualstack:PORT``. What it returns differs from stock in four ways: any string may ask for
TLS, the PROXY protocol or a shared port (:data:`LAYER_OPTIONS`), TLS endpoints honour
half-close (:mod:`netsuite.net.tls`), a factory behind TLS may refuse a peer, and a string
that cannot work is one :class:`EndpointError` that says why.
"""

import os
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import quoteStringArgument, serverFromString
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.internet.tcp import makeBinding
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from netsuite.ip import IPSet
from netsuite.net._addresses import address_text
from netsuite.net._dual_stack import (
    BACKLOG,
    DualStackServerEndpoint,
    ListeningPorts,
    adopt,
    leave_to_others,
    listening_ports,
    stop_port,
)
from netsuite.net._layers import LAYER_OPTIONS, LayerError, split_layers
from netsuite.net.certificates import CertificateError, ServerCertificates
from netsuite.net.proxy import ProxyFactory
from netsuite.net.tls import TLSFactory, tls_protocol

#: The environment variable of a process whose sockets all come from another one.
INHERITS = "_NETSUITE_WORKER"

_WITH_TLS = ("ssl:", "tls:")
_WITH_PORTS = ("dualstack:", "tcp:", "tcp6:", *_WITH_TLS)
_KINDS = ("dualstack", "tcp", "tcp6", "unix", "ssl", "tls", "systemd")
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


def server_endpoint(reactor: Any, description: str) -> "LayeredServerEndpoint":
    """The server endpoint that ``description`` names.

    :param reactor: the reactor to listen with.
    :param description: as in :func:`twisted.internet.endpoints.serverFromString`, or
        ``dualstack:PORT[:backlog=N]``; with any of :data:`LAYER_OPTIONS`.
    :raises EndpointError: if it names none, with the reason.
    """
    try:
        plain, layers = split_layers(description)
        certificates = None if layers.tls is None else ServerCertificates(layers.tls)
        below = ServerReactor(reactor, layers.reuse_port)
        endpoint = _plain_endpoint(below, plain)
    except (EndpointError, LayerError, CertificateError) as error:
        raise EndpointError(f"{description!r}: {error}") from None
    except Exception as error:  # every parser raises what it likes
        raise EndpointError(f"{description!r}: {_reason(error)}") from error
    if layers.reuse_port and not plain.startswith(_WITH_PORTS):
        raise EndpointError(f"{description!r}: reusePort goes with a TCP port")
    if certificates is not None and plain.startswith(_WITH_TLS):
        raise EndpointError(f"{description!r}: TLS twice: expected tcp:, tcp6:, or one of the two")
    return LayeredServerEndpoint(
        below, endpoint, certificates, layers.proxies, layers.proxy_timeout
    )


def _plain_endpoint(reactor: "ServerReactor", description: str) -> IStreamServerEndpoint:
    kind, _, rest = description.partition(":")
    if kind == "systemd" and INHERITS in os.environ:
        return InheritedServerEndpoint(reactor)
    if kind == "dualstack":
        return _dual_stack(reactor, rest)
    if kind in {"tcp", "tcp6", "ssl"}:
        parse_port(rest.partition(":")[0].removeprefix("port="))
    elif kind == "unix" and not rest:
        raise EndpointError("expected a path after unix:")
    endpoint: IStreamServerEndpoint = serverFromString(reactor, description)
    _check_certificates(description)
    return endpoint


@implementer(IStreamServerEndpoint)
class LayeredServerEndpoint:
    """An endpoint whose connections pass the PROXY protocol and TLS before the factory.

    :ivar reactor: what it listens with.
    :ivar plain: where it listens, without those.
    :ivar certificates: for TLS; None for none.
    :ivar proxies: who must speak the PROXY protocol; None for nobody.
    :ivar proxy_timeout: seconds that they have.
    """

    def __init__(
        self,
        reactor: "ServerReactor",
        plain: IStreamServerEndpoint,
        certificates: ServerCertificates | None = None,
        proxies: IPSet | None = None,
        proxy_timeout: float = 5.0,
    ) -> None:
        self.reactor = reactor
        self.plain = plain
        self.certificates = certificates
        self.proxies = proxies
        self.proxy_timeout = proxy_timeout

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen, with the layers in front of the factory."""
        factory: Any = protocolFactory
        if self.certificates is not None:
            factory = TLSFactory(self.certificates, False, factory, self.reactor.bare)
        if self.proxies is not None:
            factory = _HeaderFirst(factory, self.proxies, self.reactor.bare, self.proxy_timeout)
        listening: Deferred[IListeningPort] = maybeDeferred(self.plain.listen, factory)
        return listening


class _HeaderFirst(ProxyFactory):
    """The PROXY protocol where the endpoint below brings TLS: ``ssl:`` and ``tls:``."""

    def move_outside(self, tls: TLSMemoryBIOFactory) -> None:
        """Read the header before the handshake."""
        tls.wrappedFactory = self.wrapped
        self.wrapped: Any = tls


def _check_certificates(description: str) -> None:
    """Refuse a ``tls:`` directory that is not there: Twisted would find out at a handshake."""
    if match := re.match(r"tls:(?:path=)?((?:[^:\\]|\\.)*)", description):
        directory = Path(re.sub(r"\\(.)", r"\1", match[1]))
        if not any(directory.rglob("*.pem")):
            raise EndpointError(f"{directory}: expected a directory with certificates (*.pem)")


def _dual_stack(reactor: "ServerReactor", arguments: str) -> "DualStackServerEndpoint":
    port, *rest = arguments.split(":")
    backlog = BACKLOG
    for word in rest:
        name, _, value = word.partition("=")
        if name != "backlog" or not value.isdecimal():
            raise EndpointError(f"{word!r} is unknown: expected dualstack:PORT[:backlog=NUMBER]")
        backlog = int(value)
    number = parse_port(port.removeprefix("port="))
    bare: Any = reactor  # which knows whether the port is shared
    return DualStackServerEndpoint(bare, number, backlog)


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


@implementer(IStreamServerEndpoint)
class InheritedServerEndpoint:
    """A socket of another process's, which :class:`ServerReactor` is given before it listens."""

    def __init__(self, reactor: "ServerReactor") -> None:
        self._reactor = reactor

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen on it."""
        return maybeDeferred(self._reactor.adoptStreamPort, -1, socket.AF_UNSPEC, protocolFactory)


@runtime_checkable
class Outermost(Protocol):
    """A factory that belongs next to the socket, whatever an endpoint puts in front of it."""

    def move_outside(self, tls: TLSMemoryBIOFactory) -> None:
        """Change places with a TLS factory that wraps this one."""


class ServerReactor:
    """A reactor for one endpoint: its TLS is ours, its port may be shared; the rest is its own.

    :ivar reuse_port: whether others may listen on the same port (``SO_REUSEPORT``).
    :ivar inherited: listening sockets to take instead of making any, for each address that
        the endpoint has; they are closed once they are taken.
    """

    def __init__(self, reactor: Any, reuse_port: bool = False) -> None:
        self.bare = self._reactor = reactor
        self.reuse_port = reuse_port
        self.inherited: Sequence[socket.socket] = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(
        self, port: int, factory: Any, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        """Listen on a TCP port."""
        if isinstance(factory, TLSMemoryBIOFactory):
            factory.protocol = tls_protocol  # type: ignore[assignment]  # None is an answer
            behind: Any = factory.wrappedFactory
            if isinstance(behind, Outermost):
                behind.move_outside(factory)
                factory = behind
        if self.inherited:
            return self.adoptStreamPort(0, socket.AF_UNSPEC, factory)
        where: Any = port
        if self.reuse_port:
            where = makeBinding(interface, port, reuseAddress=True, reusePort=True)
        listening: IListeningPort = self._reactor.listenTCP(where, factory, backlog, interface)
        return listening

    def listenUNIX(
        self,
        address: str,
        factory: Any,
        backlog: int = 50,
        mode: int = 0o666,
        wantPID: bool = False,
    ) -> IListeningPort:
        """Listen on a UNIX socket."""
        if self.inherited:
            return adopt(self._reactor, self.inherited[0], factory, mode)
        listening: IListeningPort = self._reactor.listenUNIX(
            address, factory, backlog, mode, wantPID
        )
        return listening

    def adoptStreamPort(
        self, fileDescriptor: int, addressFamily: int, factory: Any
    ) -> IListeningPort:
        """Listen on a socket that is there already, or on an inherited one in its place."""
        if self.inherited:
            return adopt(self._reactor, self.inherited[0], factory)
        listening: IListeningPort = self._reactor.adoptStreamPort(
            fileDescriptor, addressFamily, factory
        )
        return listening

    def listenSSL(
        self, port: int, factory: Any, contextFactory: Any, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        """Listen on a TCP port with TLS."""
        return self.listenTCP(
            port, TLSFactory(contextFactory, False, factory, self._reactor), backlog, interface
        )


__all__ = [
    "BACKLOG",
    "LAYER_OPTIONS",
    "DualStackServerEndpoint",
    "EndpointError",
    "LayeredServerEndpoint",
    "ListeningPorts",
    "Outermost",
    "ServerReactor",
    "address_text",
    "leave_to_others",
    "listening_ports",
    "parse_port",
    "server_endpoint",
    "stop_port",
    "tcp_description",
]
