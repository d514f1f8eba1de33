"""Everything one program serves, started and stopped as one."""

import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

from netsuite._version import __version__
from netsuite.ip import parse_network
from netsuite.net._addresses import host_of
from netsuite.net.datagram import UnicastPort, listen_datagram
from netsuite.net.endpoints import (
    EndpointError,
    address_text,
    listening_ports,
    server_endpoint,
    stop_port,
)
from netsuite.service._access_log import AccessLog
from netsuite.service._admission import Admission, unmapped
from netsuite.service._certificates import DaemonCertificates
from netsuite.service._clock import SteadyClock
from netsuite.service._config import DaemonConfig, WorkerSockets
from netsuite.service._drain import DrainingService
from netsuite.service._errors import ConfigError, StartError, reason_of
from netsuite.service._lag import LagProbe
from netsuite.service._limits import StreamLimits
from netsuite.service._listener import Listener, Listening
from netsuite.service._port_file import PortFile
from netsuite.service._reactor import shown_name
from netsuite.service._rules import Rules
from netsuite.service._sockets import worker_sockets
from netsuite.service._stats import DURATION_BOUNDS, Histogram, ServiceStats, supervised
from netsuite.service._totals import RefusalLog, Totals
from netsuite.service._workers import WorkerPool


@dataclass(frozen=True, slots=True)
class _Part:
    listener: Listener
    description: str
    service: DrainingService
    tls: bool


class Daemon(MultiService):
    """Several listeners that start all or not at all, say so, and drain together.

    Nothing here belongs to a process: signals and log files are
    :func:`~netsuite.service.process_service`'s business, so a Daemon is at home in
    anybody's program.

    :param reactor: listens and keeps the time.
    :param monotonic: seconds that do not jump; the reactor's own may.
    :param name: of the service, in metrics; the first listener's by default.
    :ivar on_drain: what the admin site's drain button does; draining by default.
    :raises ConfigError: for an endpoint string or a file that cannot work.
    """

    _log = Logger()

    def __init__(
        self,
        config: DaemonConfig,
        listeners: Sequence[Listener],
        reactor: Any,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        name: str | None = None,
    ) -> None:
        super().__init__()
        self._config = config
        self._reactor = reactor
        self._clock = SteadyClock(reactor, monotonic)
        self._datagram_ports: list[tuple[str, UnicastPort]] = []
        self._started = False
        self._draining = False
        self._since = 0.0
        self._port_file = None if config.port_file is None else PortFile(config.port_file)
        self._pool: WorkerPool | None = None
        self._place = 0
        #: Whether it works for a supervisor, which speaks for it.
        self.is_worker = False
        self._lent: list[socket.socket] = []
        self._stats_name = name or (listeners[0].name if listeners else "netsuite")
        self.on_drain: Callable[[], object] = self.stopService
        rules = Rules.read(config)
        self._rules = rules
        self._admission = Admission(rules.admission, monotonic)
        self._limits = StreamLimits(rules.streams, self._clock)
        self._certificates = DaemonCertificates(rules.tls)
        self._durations = Histogram(DURATION_BOUNDS)
        self._lag = LagProbe(self._clock, monotonic)
        self._reloads = {"ok": 0, "failed": 0}
        self._access_log = (
            None
            if config.access_log is None
            else AccessLog(config.access_log, config.log_format, monotonic)
        )
        self._totals = {
            each.name: Totals(each.name, self._durations, monotonic, each.counts)
            for each in listeners
        }
        self._parts = [
            self._part(listener, description, monotonic)
            for listener in listeners
            for description in listener.endpoints
        ]
        self._admin = self._admin_port(monotonic)

    def _part(self, listener: Listener, description: str, monotonic: Callable[[], float]) -> _Part:
        try:
            endpoint = server_endpoint(self._reactor, description)
        except EndpointError as error:
            raise ConfigError(f"cannot listen on {error}") from error
        name = listener.name
        observers: list[Any] = [self._limits, self._totals[name], RefusalLog(name, monotonic)]
        if self._access_log is not None:
            observers.append(self._access_log.observer(name))
        has_tls = description.startswith(("ssl:", "tls:")) or endpoint.certificates is not None
        if endpoint.certificates is not None:
            self._certificates.add(endpoint.certificates)
        by_itself = self._rules.tls is not None and not (has_tls or listener.starttls)
        service = DrainingService(
            endpoint,
            listener.factory,
            self._clock,
            self._rules.drain_timeout,
            admission=self._admission,
            observers=tuple(observers),
            certificates=self._certificates if by_itself else None,
            proxies=self._rules.proxies,
            proxy_timeout=self._rules.proxy_timeout,
        )
        self._totals[name].watch(service.gate)
        service.setServiceParent(self)
        return _Part(listener, description, service, has_tls or by_itself)

    @property
    def certificates(self) -> DaemonCertificates:
        """A context factory with the certificates of now: for STARTTLS.

        :raises ConfigError: when a connection is made, if there is no TLS in the configuration.
        """
        return self._certificates

    # In several processes.

    @property
    def daemons(self) -> "tuple[Daemon, ...]":
        """This one: a suite has several."""
        return (self,)

    def hand_over(self, pool: WorkerPool, place: int, sockets: WorkerSockets) -> None:
        """Leave the work to a pool's workers: listen for them, and speak for them.

        :param place: of this daemon, in the pool's list.
        """
        self._pool, self._place = pool, place
        for part in self._parts:
            part.service.idle = True
            if part.service.server_reactor is not None and sockets == "reuseport":
                part.service.server_reactor.reuse_port = True

    def sockets_for(self, count: int, sockets: WorkerSockets) -> list[list[list[socket.socket]]]:
        """What workers are to listen on, for each of them, for each endpoint.

        :raises StartError: if a socket cannot be made.
        """
        rows: list[list[list[socket.socket]]] = [[] for _ in range(count)]
        self._close_lent()
        for part in self._parts:
            ports = listening_ports(part.service.port) if part.service.port else ()
            try:
                columns = [worker_sockets(port, count, sockets) for port in ports]
            except OSError as error:
                raise StartError(
                    f"{part.listener.name}: cannot listen on {part.description} for each worker: "
                    f"{reason_of(error)}"
                ) from error
            for index, row in enumerate(rows):
                row.append([column[index] for column in columns])
                self._lent += [each[index] for each in columns if each[index] is not each[0]]
        return rows

    def _close_lent(self) -> None:
        for each in self._lent:
            each.close()
        self._lent = []

    def inherit(self, sockets: Sequence[Sequence[socket.socket]]) -> None:
        """Be a worker: listen on these, for each endpoint, and leave the rest to the supervisor."""
        self.is_worker = True
        self._admin = None
        for part, inherited in zip(self._parts, sockets, strict=True):
            if part.service.server_reactor is not None:
                part.service.server_reactor.inherited = inherited

    def _admin_port(self, monotonic: Callable[[], float]) -> Any:
        if self._config.admin is None:
            return None
        # The site brings a web server and the metrics' library with it: only where wanted.
        from netsuite.service._admin_port import AdminPort  # noqa: PLC0415

        return AdminPort(
            self._config, self._config.admin, self, self._reactor, self._clock, monotonic
        )

    @property
    def listening(self) -> tuple[Listening, ...]:
        """Where it takes connections: in the order given, IPv4 before IPv6."""
        return tuple(
            Listening(part.listener.name, part.description, port.getHost(), part.tls)
            for part in self._parts
            if part.service.port is not None
            for port in listening_ports(part.service.port)
        )

    @property
    def addresses(self) -> tuple[IAddress, ...]:
        """The addresses of :attr:`listening`."""
        return tuple(each.address for each in self.listening)

    @property
    def first_addresses(self) -> list[IAddress]:
        """Of each endpoint its first address."""
        ports = [part.service.port for part in self._parts]
        return [port.getHost() for port in ports if port is not None]

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
        if self._access_log is not None and self._access_log.closed:
            self._access_log.reopen()
        try:
            for part in self._parts:
                self._listen(part)
            self._check_datagrams()
            if self._admin is not None:
                self._admin.privilegedStartService()
            if self._port_file is not None and not self.is_worker:
                self._port_file.write(self.first_addresses)
        except StartError:
            self._started = False
            self._stop_all()
            raise

    def startService(self) -> None:
        """Listen, unless :meth:`privilegedStartService` did; then say that it is ready."""
        if not self._started:
            self.privilegedStartService()
        super().startService()
        self._since = time.time()
        self._lag.start()
        self._certificates.watch(self._clock)
        self._reactor.callWhenRunning(self._announce)

    def stopService(self) -> Deferred[None]:
        """Drain everything at once; fires when nothing is left."""
        self.running = False
        self._started = False
        self._draining = True
        if self._port_file is not None:
            self._port_file.remove()
        return self._stop_all()

    def abort(self) -> None:
        """Cut every connection that is open."""
        for part in self._parts:
            part.service.abort()

    def _stop_all(self) -> Deferred[None]:
        stopping = [part.service.stopService() for part in self._parts]
        stopping += [stop_port(port) for _, port in self._datagram_ports]
        self._datagram_ports = []
        if self._pool is not None:
            stopping.append(self._pool.stop(self.drain_timeout))
        self._close_lent()
        self._certificates.stop()
        return DeferredList(stopping, consumeErrors=True).addCallback(self._stop_the_rest)

    def _stop_the_rest(self, result: object) -> Deferred[None] | None:
        """Connections are gone: the admin site, which showed them going, may go too."""
        self._lag.stop()
        self._draining = False
        if self._access_log is not None:
            self._access_log.close()
        stopped: Deferred[None] | None = None
        if self._admin is not None:
            stopped = self._admin.stopService()
        return stopped

    # While it runs.

    def prepare(self, config: DaemonConfig) -> Callable[[], None]:
        """Read everything that another configuration says, and change nothing yet.

        Access rules, limits, timeouts, rates, certificates, proxies and the drain timeout
        can change while it runs; the rest stays as it was at the start.

        :returns: what makes it so, for open connections too where that makes sense.
        :raises ConfigError: for a file that does not say it right.
        """
        rules = Rules.read(config)
        certificates = self._certificates.prepare(rules.tls)

        def commit() -> None:
            self._config = config
            self._rules = rules
            self._admission.change(rules.admission)
            self._limits.change(rules.streams)
            certificates()
            for part in self._parts:
                part.service.drain_timeout = rules.drain_timeout
                part.service.change_proxies(rules.proxies, rules.proxy_timeout)
            self._reloads["ok"] += 1

        return commit

    def reload(self, config: DaemonConfig) -> None:
        """Go by another configuration from now on; see :meth:`prepare`.

        :raises ConfigError: for a file that does not say it right; nothing has changed then.
        """
        try:
            commit = self.prepare(config)
        except ConfigError:
            self.reload_failed()
            raise
        commit()

    def reload_failed(self) -> None:
        """Count a reload that came to nothing before it came here."""
        self._reloads["failed"] += 1

    def reopen_logs(self) -> None:
        """Open the access log by its name again: somebody has moved the file away."""
        if self._access_log is not None:
            self._access_log.reopen()

    @property
    def drain_timeout(self) -> float:
        """Seconds that connections have to finish."""
        return self._rules.drain_timeout

    @property
    def log_level(self) -> str:
        """The least level that its configuration has logged."""
        return self._config.log_level

    # For the admin site.

    @property
    def ready(self) -> bool:
        """Whether it takes connections."""
        return self._started

    def stats(self) -> Deferred[ServiceStats]:
        """This moment, of all workers together if there are any."""
        own = self.stats_now()
        if self._pool is None:
            return succeed(own)
        restarts = self._pool.restarts
        return self._pool.stats(self._place).addCallback(
            lambda workers: supervised(own, workers, restarts)
        )

    def stats_now(self) -> ServiceStats:
        """This moment of this process, at once."""
        addresses: dict[str, list[str]] = {name: [] for name in self._totals}
        for each in self.listening:
            addresses[each.name].append(address_text(each.address))
        now = time.time()
        return ServiceStats(
            service=self._stats_name,
            version=__version__,
            reactor=shown_name(self._reactor),
            pids=[os.getpid()],
            started=self._since,
            draining=self._draining,
            listeners=[totals.stats(addresses[name]) for name, totals in self._totals.items()],
            durations=self._durations,
            reactor_lag=self._lag.histogram,
            certificates=self._certificates.expiries,
            banned={
                str(network): None if left is None else now + left
                for network, left in self._admission.bans.networks()
            },
            reloads=dict(self._reloads),
        )

    def drain(self) -> None:
        """What the admin site's button does: :attr:`on_drain`."""
        self.on_drain()

    def ban(self, network: str, seconds: float | None = None) -> None:
        """Refuse a network, and cut what it has open.

        :param network: an address or a network, as a person wrote it.
        :param seconds: how long, above 0; None for until the process ends.
        :raises ValueError: for what is no network, with one line that says so.
        """
        banned = unmapped(parse_network(network))
        self._admission.bans.ban(banned, seconds)
        self._log.warn("banned: {network}", network=str(banned), seconds=seconds)
        if self._pool is not None:
            self._pool.ban(self._place, str(banned), seconds)
        for part in self._parts:
            for connection in list(part.service.gate.connections):
                address = host_of(connection.peer)
                if address is not None and address in banned:
                    connection.cut("ban")

    def unban(self, network: str) -> bool:
        """Take a ban back.

        :returns: whether there was one.
        :raises ValueError: for what is no network, with one line that says so.
        """
        allowed = parse_network(network)
        found = self._admission.bans.unban(allowed)
        if self._pool is not None:
            self._pool.unban(self._place, str(allowed))
        if found:
            self._log.info("no longer banned: {network}", network=str(allowed))
        return found

    # Starting.

    def _listen(self, part: _Part) -> None:
        where = part.description
        try:
            part.service.privilegedStartService()
            for port in listening_ports(part.service.port) if part.service.port else ():
                host = port.getHost()
                if part.listener.datagrams and isinstance(host, IPv4Address | IPv6Address):
                    if self._pool is not None:
                        continue
                    where = f"UDP {address_text(host)}"
                    protocol = part.listener.datagrams()
                    datagram_port = listen_datagram(
                        self._reactor, host, protocol, reuse_port=self.is_worker
                    )
                    self._datagram_ports.append((part.listener.name, datagram_port))
        except Exception as error:
            raise StartError(
                f"{part.listener.name}: cannot listen on {where}: "
                f"{reason_of(error, is_port=not where.startswith('unix:'))}"
            ) from error

    def _check_datagrams(self) -> None:
        """Refuse to leave out UDP that was asked for."""
        if self._pool is not None:
            return
        have = {name for name, _ in self._datagram_ports}
        for part in self._parts:
            if part.listener.datagrams and part.listener.name not in have:
                raise StartError(
                    f"{part.listener.name}: no address for UDP: expected a TCP endpoint too"
                )

    def _announce(self) -> None:
        if not self._started or self.is_worker:
            return
        for each in self.listening:
            self._announce_one(each.name, each.address)
        for name, port in self._datagram_ports:
            self._announce_one(name, port.getHost())
        if self._admin is not None:
            self._admin.announce()
        self.announced()

    def announced(self) -> None:
        """It has said where it listens: a subclass may say how to try it."""

    def say_how_to_talk(self, name: str) -> None:
        """Log a command that talks to a listener, if there is one."""
        for each in self.listening:
            if each.name == name and each.command is not None:
                self._log.info("talk to it: {command}", command=each.command)
                return

    def _announce_one(self, name: str, host: IAddress) -> None:
        self._log.info(
            "ready: {service} on {transport} {address}",
            service=name,
            transport=str(getattr(host, "type", "unix")).lower(),
            address=address_text(host).removeprefix("unix:"),
        )
