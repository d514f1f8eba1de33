"""Everything one program serves, started and stopped as one."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IProtocolFactory
from twisted.logger import Logger

from netsuite.net.datagram import UnicastPort, listen_datagram
from netsuite.net.endpoints import (
    EndpointError,
    address_text,
    listening_ports,
    server_endpoint,
    stop_port,
)
from netsuite.service._config import DaemonConfig
from netsuite.service._drain import DrainingService
from netsuite.service._errors import ConfigError, StartError


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One thing to serve, and where.

    :ivar name: what it is called in log lines and messages.
    :ivar factory: builds the protocols.
    :ivar endpoints: endpoint strings (:func:`netsuite.net.endpoints.server_endpoint`).
    :ivar datagrams: builds a protocol for UDP on the same addresses; None for no UDP.
        See :class:`netsuite.net.datagram.DatagramReceiver`.
    """

    name: str
    factory: IProtocolFactory
    endpoints: tuple[str, ...]
    datagrams: Callable[[], Any] | None = None


@dataclass(frozen=True, slots=True)
class Listening:
    """One address that takes connections.

    :ivar name: the listener's.
    :ivar endpoint: the endpoint string that it comes from.
    """

    name: str
    endpoint: str
    address: IAddress


@dataclass(frozen=True, slots=True)
class _Part:
    listener: Listener
    description: str
    service: DrainingService


class Daemon(MultiService):
    """Several listeners that start all or not at all, say so, and drain together.

    Nothing here belongs to a process: signals and log files are
    :func:`~netsuite.service.process_service`'s business, so a Daemon is at home in
    anybody's program.

    :param reactor: listens and keeps the time.
    :raises ConfigError: for an endpoint string that cannot work.
    """

    _log = Logger()

    def __init__(self, config: DaemonConfig, listeners: Sequence[Listener], reactor: Any) -> None:
        super().__init__()
        self._config = config
        self._reactor = reactor
        self._datagram_ports: list[tuple[str, UnicastPort]] = []
        self._started = False
        self._port_file_text: str | None = None
        self._parts = [
            self._part(listener, description)
            for listener in listeners
            for description in listener.endpoints
        ]

    def _part(self, listener: Listener, description: str) -> _Part:
        try:
            endpoint = server_endpoint(self._reactor, description)
        except EndpointError as error:
            raise ConfigError(f"cannot listen on {error}") from error
        service = DrainingService(
            endpoint, listener.factory, self._reactor, self._config.drain_timeout
        )
        service.setServiceParent(self)
        return _Part(listener, description, service)

    @property
    def listening(self) -> tuple[Listening, ...]:
        """Where it takes connections: in the order given, IPv4 before IPv6."""
        return tuple(
            Listening(part.listener.name, part.description, port.getHost())
            for part in self._parts
            if part.service.port is not None
            for port in listening_ports(part.service.port)
        )

    @property
    def addresses(self) -> tuple[IAddress, ...]:
        """The addresses of :attr:`listening`."""
        return tuple(each.address for each in self.listening)

    @property
    def active(self) -> int:
        """Connections open now."""
        return sum(part.service.active for part in self._parts)

    @property
    def aborted(self) -> int:
        """Connections that were cut rather than finished."""
        return sum(part.service.aborted for part in self._parts)

    def privilegedStartService(self) -> None:
        """Listen everywhere, or nowhere.

        :raises StartError: if something cannot be listened on or written.
        """
        self._started = True
        try:
            for part in self._parts:
                self._listen(part)
            self._check_datagrams()
            self._write_port_file()
        except StartError:
            self._started = False
            self._stop_all()
            raise

    def startService(self) -> None:
        """Listen, unless :meth:`privilegedStartService` did; then say that it is ready."""
        if not self._started:
            self.privilegedStartService()
        super().startService()
        self._reactor.callWhenRunning(self._announce)

    def stopService(self) -> Deferred[None]:
        """Drain everything at once; fires when nothing is left."""
        self.running = False
        self._started = False
        self._remove_port_file()
        return self._stop_all()

    def abort(self) -> None:
        """Cut every connection that is open."""
        for part in self._parts:
            part.service.abort()

    def _stop_all(self) -> Deferred[None]:
        stopping = [part.service.stopService() for part in self._parts]
        stopping += [stop_port(port) for _, port in self._datagram_ports]
        self._datagram_ports = []
        return DeferredList(stopping, consumeErrors=True).addCallback(lambda _: None)

    def _listen(self, part: _Part) -> None:
        where = part.description
        try:
            part.service.privilegedStartService()
            for port in listening_ports(part.service.port) if part.service.port else ():
                host = port.getHost()
                if part.listener.datagrams and isinstance(host, IPv4Address | IPv6Address):
                    where = f"UDP {address_text(host)}"
                    protocol = part.listener.datagrams()
                    datagram_port = listen_datagram(self._reactor, host, protocol)
                    self._datagram_ports.append((part.listener.name, datagram_port))
        except Exception as error:
            raise StartError(
                f"{part.listener.name}: cannot listen on {where}: {_reason(error)}"
            ) from error

    def _check_datagrams(self) -> None:
        """Refuse to leave out UDP that was asked for."""
        have = {name for name, _ in self._datagram_ports}
        for part in self._parts:
            if part.listener.datagrams and part.listener.name not in have:
                raise StartError(
                    f"{part.listener.name}: no address for UDP: expected a TCP endpoint too"
                )

    def _announce(self) -> None:
        if not self._started:
            return
        for each in self.listening:
            self._announce_one(each.name, each.address)
        for name, port in self._datagram_ports:
            self._announce_one(name, port.getHost())

    def _announce_one(self, name: str, host: IAddress) -> None:
        self._log.info(
            "ready: {service} on {transport} {address}",
            service=name,
            transport=str(getattr(host, "type", "unix")).lower(),
            address=address_text(host).removeprefix("unix:"),
        )

    def _write_port_file(self) -> None:
        """One line for each endpoint: its port number, or a UNIX socket's path."""
        if self._config.port_file is None:
            return
        text = "".join(
            f"{_port_text(part.service.port.getHost())}\n"
            for part in self._parts
            if part.service.port is not None
        )
        path = self._config.port_file
        new = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            new.write_text(text)
            new.replace(path)
        except OSError as error:
            _remove(new)
            raise StartError(f"cannot write port file {path}: {error.strerror}") from error
        self._port_file_text = text

    def _remove_port_file(self) -> None:
        """Take the port file away, if it is still the one that was written."""
        path, text = self._config.port_file, self._port_file_text
        self._port_file_text = None
        if path is None or text is None:
            return
        try:
            if path.read_text() == text:
                path.unlink()
        except OSError as error:
            self._log.warn("cannot remove port file {path}: {error}", path=path, error=error)


def _port_text(host: Any) -> str:
    return str(host.port) if hasattr(host, "port") else address_text(host).removeprefix("unix:")


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # the directory that could not be written to either


def _reason(error: Exception) -> str:
    """What a failure to listen has to tell a person."""
    if isinstance(error, CannotListenError):
        if "lock" in str(error.socketError):  # a UNIX socket's lock file
            return "another process listens there"
        error = error.socketError
    if isinstance(error, OSError) and error.strerror:
        hint = ""
        if isinstance(error, PermissionError):
            hint = " (ports below 1024 need root or CAP_NET_BIND_SERVICE)"
        return error.strerror[:1].lower() + error.strerror[1:] + hint
    return str(error) or type(error).__name__
