"""Several daemons that are one: they start all or not at all, and drain together."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.interfaces import IAddress

from netsuite.service._clock import SteadyClock
from netsuite.service._config import DaemonConfig
from netsuite.service._daemon import Daemon
from netsuite.service._errors import ConfigError, StartError
from netsuite.service._listener import Listening
from netsuite.service._options import ServerOptions
from netsuite.service._port_file import PortFile
from netsuite.service._stats import ServiceStats


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One service of a suite.

    :ivar name: tells it from the others; no two have the same.
    :ivar kind: of service: ``echo`` is what ``netsuite echo`` runs.
    :ivar options: what its part of the file says.
    :ivar build: makes its daemon, of its configuration and a reactor.
    :ivar daemon: what a reload leads to; at the start what ``options`` say.
    """

    name: str
    kind: str
    options: ServerOptions
    build: Callable[[Any, Any], Daemon]
    daemon: DaemonConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteConfig:
    """What a suite can be told.

    :ivar daemon: of the process: log, admin site, port file, workers.
    :ivar members: the services, in the order of the file.
    """

    daemon: DaemonConfig
    members: tuple[Member, ...]


class Suite(Service):
    """The daemons of a suite as one.

    :param reactor: listens and keeps the time.
    :param monotonic: seconds that do not jump.
    :ivar daemons: in the order of the configuration.
    :raises ConfigError: for a member that cannot be made, or an admin site.
    """

    def __init__(
        self,
        config: SuiteConfig,
        reactor: Any,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._started = False
        self.daemons = tuple(_build(each, reactor) for each in config.members)
        path = config.daemon.port_file
        self._port_file = None if path is None else PortFile(path)
        self._admin = self._admin_port(reactor, monotonic)
        self._reactor = reactor

    def _admin_port(self, reactor: Any, monotonic: Callable[[], float]) -> Any:
        if self._config.daemon.admin is None:
            return None
        # The site brings a web server and the metrics' library with it: only where wanted.
        from netsuite.service._admin_port import AdminPort  # noqa: PLC0415

        config = self._config.daemon
        clock = SteadyClock(reactor, monotonic)
        return AdminPort(config, self._config.daemon.admin, self, reactor, clock, monotonic)

    @property
    def listening(self) -> tuple[Listening, ...]:
        """Where the daemons take connections."""
        return tuple(listening for daemon in self.daemons for listening in daemon.listening)

    @property
    def addresses(self) -> tuple[IAddress, ...]:
        """The addresses of :attr:`listening`."""
        return tuple(each.address for each in self.listening)

    @property
    def active(self) -> int:
        """Connections open now."""
        return sum(daemon.active for daemon in self.daemons)

    @property
    def aborted(self) -> int:
        """Connections that were cut rather than finished."""
        return sum(daemon.aborted for daemon in self.daemons)

    @property
    def _speaks(self) -> bool:
        """Whether this process has the port file and the admin site: workers have not."""
        return not any(daemon.is_worker for daemon in self.daemons)

    def privilegedStartService(self) -> None:
        """Listen for all daemons, or for none.

        :raises StartError: if something cannot be listened on or written.
        """
        self._started = True
        try:
            for daemon in self.daemons:
                daemon.privilegedStartService()
            if self._admin is not None and self._speaks:
                self._admin.privilegedStartService()
            if self._port_file is not None and self._speaks:
                self._port_file.write(self._first_addresses())
        except StartError:
            self._started = False
            self._stop_all()
            raise

    def _first_addresses(self) -> list[IAddress]:
        """Of each endpoint its first address."""
        return [address for daemon in self.daemons for address in daemon.first_addresses]

    def startService(self) -> None:
        """Listen, unless :meth:`privilegedStartService` did, and serve."""
        if not self._started:
            self.privilegedStartService()
        super().startService()
        for daemon in self.daemons:
            daemon.startService()
        if self._admin is not None and self._speaks:
            self._reactor.callWhenRunning(self._admin.announce)

    def stopService(self) -> Deferred[None]:
        """Drain all daemons at once; fires when nothing is left."""
        super().stopService()
        self._started = False
        if self._port_file is not None:
            self._port_file.remove()
        return self._stop_all()

    def _stop_all(self) -> Deferred[None]:
        stopping = [daemon.stopService() for daemon in self.daemons]
        return DeferredList(stopping, consumeErrors=True).addCallback(self._stop_the_rest)

    def _stop_the_rest(self, result: object) -> Deferred[None] | None:
        """Connections are gone: the admin site, which showed them going, may go too."""
        stopped: Deferred[None] | None = None
        if self._admin is not None:
            stopped = self._admin.stopService()
        return stopped

    def abort(self) -> None:
        """Cut every connection that is open."""
        for daemon in self.daemons:
            daemon.abort()

    # While it runs.

    def prepare(self, config: SuiteConfig) -> Callable[[], None]:
        """Read everything that another configuration says, and change nothing yet.

        :param config: with the same members.
        :returns: what makes it so, for all daemons.
        :raises ConfigError: for a file that does not say it right.
        """
        commits = [
            _explained(member, daemon.prepare, member.daemon)
            for daemon, member in zip(self.daemons, config.members, strict=True)
        ]

        def commit() -> None:
            self._config = config
            for each in commits:
                each()

        return commit

    # For the admin site.

    @property
    def ready(self) -> bool:
        """Whether it takes connections."""
        return all(daemon.ready for daemon in self.daemons)

    def stats(self) -> Deferred[ServiceStats]:
        """This moment, of all daemons together."""
        return gatherResults([daemon.stats() for daemon in self.daemons]).addCallback(self._merged)

    def _merged(self, several: list[ServiceStats]) -> ServiceStats:
        for member, stats in zip(self._config.members, several, strict=True):
            for listener in stats.listeners:
                if listener.name != member.name:
                    listener.name = f"{member.name}/{listener.name}"
        merged = ServiceStats.merge(several)
        # They are all of the same processes, and are told of everything at once.
        reloads = {key: max(each.reloads.get(key, 0) for each in several) for key in merged.reloads}
        return replace(
            merged,
            service="suite",
            pids=[*dict.fromkeys(merged.pids)],
            restarts=max(each.restarts for each in several),
            reloads=reloads,
        )

    def drain(self) -> None:
        """Finish, and end the process."""
        self.daemons[0].drain()

    def ban(self, network: str, seconds: float | None = None) -> None:
        """Refuse a network everywhere, and cut what it has open.

        :raises ValueError: for what is no network, with one line that says so.
        """
        for daemon in self.daemons:
            daemon.ban(network, seconds)

    def unban(self, network: str) -> bool:
        """Take a ban back, everywhere; whether there was one.

        :raises ValueError: for what is no network, with one line that says so.
        """
        found = [daemon.unban(network) for daemon in self.daemons]
        return any(found)


def _build(member: Member, reactor: Any) -> Daemon:
    daemon: Daemon = _explained(member, member.build, member.options.config, reactor)
    return daemon


def _explained(member: Member, do: Callable[..., Any], *arguments: Any) -> Any:
    """What ``do`` returns; its errors say which member they are about."""
    try:
        return do(*arguments)
    except ConfigError as error:
        explained = str(member.options.explained(error))
        prefix = "" if explained != str(error) else f"{member.name}: "
        raise ConfigError(f"{prefix}{explained}") from None
