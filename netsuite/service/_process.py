"""A service as a process of its own: signals, log destination, exit status."""

import atexit
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.logger import ILogObserver, Logger
from twisted.python.components import Componentized
from twisted.python.usage import UsageError

from netsuite.service._clock import SteadyClock
from netsuite.service._config import DaemonConfig, WorkerSockets
from netsuite.service._errors import ConfigError, StartError
from netsuite.service._heap import keep_spare_memory
from netsuite.service._log_destination import LogDestination, log_to, terminal_is_gone
from netsuite.service._notify import Notifier, NotifyService, Supervision
from netsuite.service._reactor import log_reactor
from netsuite.service._setting_options import SettingOptions, exit_with, twistd_options
from netsuite.service._snapshot import FILES
from netsuite.service._worker import WorkerLink, take_place
from netsuite.service._worker_link import WorkerPlace
from netsuite.service._workers import WorkerPool, worker_arguments

_EXIT_FAILURE = 1
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def process_service(
    options: SettingOptions, config: DaemonConfig, build: Callable[[], Any], reactor: Any
) -> "ProcessService":
    """What a ``makeService`` returns: the daemon, with all that a process needs around it.

    A mistake in the configuration ends the program with one line on standard error.

    :param options: as parsed; under ``twistd`` they know where it logs.
    :param build: makes the daemon.
    """
    try:
        # Until it is handled: a reload that comes too early should not end what starts.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        keep_spare_memory()
        raise_descriptor_limit()
        twistd = twistd_options(options)
        place = WorkerPlace.from_environment(os.environ)
        log = log_to(config, twistd, reactor)
        daemon = build()
        service = ProcessService(
            options.service_name,
            daemon,
            log,
            reactor,
            options=options,
            notify=NotifyService(_notifier(), reactor),
        )
        if place is not None:
            log.quiet()
            take_place(place, daemon.daemons)
            service.link = WorkerLink(daemon.daemons, service, reactor)
        elif config.workers > 1:
            service.pool = _pool(options, config, service, daemon, reactor)
        else:
            FILES.begin()  # nobody will ask for them
    except ConfigError as error:
        exit_with(options.service_name, str(options.explained(error)))
    return service


def _pool(
    options: SettingOptions,
    config: DaemonConfig,
    service: "ProcessService",
    daemon: Any,
    reactor: Any,
) -> WorkerPool:
    """Workers for a service, and the daemon as their supervisor."""
    sockets: WorkerSockets = "shared" if config.worker_sockets == "auto" else config.worker_sockets
    pool = WorkerPool(
        worker_arguments(options, reactor),
        config.workers,
        reactor,
        SteadyClock(reactor, time.monotonic),
        service.destination.write_line,
    )
    for place, each in enumerate(daemon.daemons):
        each.hand_over(pool, place, sockets)
    service.worker_sockets = sockets
    return pool


def _notifier() -> Notifier:
    """Who tells systemd.

    :raises ConfigError: for what systemd never puts into the environment.
    """
    try:
        return Notifier.from_environment(os.environ)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def raise_descriptor_limit() -> None:
    """Have as many file descriptors as the system lets this process have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class ProcessService(Service):
    """Runs a :class:`~netsuite.service.Daemon` as the business of a whole process.

    The first SIGTERM or SIGINT drains and then ends the process with status 0. A second
    one, or connections that had to be cut, make it end by that signal, as a program that
    knows no drain would. SIGHUP opens log files again and reads the configuration anew.

    :param options: read the configuration anew; None where there is nothing to read.
    :param notify: tells systemd.
    :ivar pool: the workers, where it is their supervisor.
    :ivar link: to the supervisor, where it is a worker.
    """

    _log = Logger()

    def __init__(
        self,
        name: str,
        daemon: Any,
        log: LogDestination,
        reactor: Any,
        *,
        options: SettingOptions | None = None,
        notify: NotifyService | None = None,
    ) -> None:
        self._service_name = name
        self._daemon = daemon
        self.destination = log
        self._reactor = reactor
        self._options = options
        self._twistd = {} if options is None else twistd_options(options)
        self._signal: int | None = None
        self._listens = False
        self._stopping = False
        self._notify = notify or NotifyService(Notifier(Supervision()), reactor)
        self.pool: WorkerPool | None = None
        self.link: WorkerLink | None = None
        self.worker_sockets: WorkerSockets = "shared"
        self._asked_to_drain = False
        for each in daemon.daemons:
            each.on_drain = self._drain_asked

    def setServiceParent(self, parent: Any) -> None:
        """Join the application, and make our observer its log."""
        if self.destination.observer is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self.destination.observer)
        super().setServiceParent(parent)

    def privilegedStartService(self) -> None:
        """Listen.

        :raises StartError: where that fails; the operator sees its one line and no traceback.
        """
        super().privilegedStartService()
        self._listens = True
        try:
            self._daemon.privilegedStartService()
        except StartError as error:
            if not self.destination.on_screen:
                self._log.critical("cannot start: {reason}", reason=str(error))
            sys.excepthook = _one_line_hook(self._service_name, sys.excepthook)
            raise

    def startService(self) -> None:
        """Listen, unless :meth:`privilegedStartService` did; serve, and take over the signals."""
        if not self._listens:  # twist leaves that out
            self.privilegedStartService()
        self._handle_signals()
        if self.link is None:
            log_reactor(self._reactor, self._twistd)
        super().startService()
        # The reactor installs handlers of its own when it starts.
        self._reactor.callWhenRunning(self._handle_signals)
        if self.pool is None:
            self._daemon.startService()
            self._reactor.callWhenRunning(self._ready)
        else:
            self._reactor.callWhenRunning(self._start_workers, self.pool)
        if self.link is not None:
            self.link.startService()

    def _ready(self) -> None:
        if not self._stopping:
            self._notify.startService()
            self._notify.ready(f"{self._service_name}: serving")

    # Workers.

    def _start_workers(self, pool: WorkerPool) -> None:
        try:
            columns = [
                each.sockets_for(pool.count, self.worker_sockets) for each in self._daemon.daemons
            ]
        except StartError as error:
            self._give_up(str(error))
            return
        self._log.info(
            "{count} workers, {sockets} sockets", count=pool.count, sockets=self.worker_sockets
        )
        started = pool.start([list(row) for row in zip(*columns, strict=True)])
        started.addCallbacks(self._workers_ready, lambda why: self._give_up(why.getErrorMessage()))

    def _workers_ready(self, result: None) -> None:
        if not self._stopping:
            self._daemon.startService()
            self._ready()

    def _give_up(self, reason: str) -> None:
        """End, because workers cannot be started."""
        self._log.critical("cannot start: {reason}", reason=reason)
        if not self.destination.on_screen:
            (sys.__stderr__ or sys.stderr).write(f"netsuite-{self._service_name}: {reason}\n")
        if not self._stopping:
            atexit.register(_exit, _EXIT_FAILURE)
            self.drain()

    # The end.

    def stopService(self) -> Deferred[None]:
        """Drain; fires when nothing is left."""
        super().stopService()
        self._listens = False
        self._stopping = True
        self._notify.stopping(self._drain_timeout)
        if self.pool is not None:
            self.pool.stop(self._drain_timeout)
        stopped: Deferred[None] = self._daemon.stopService()
        return stopped.addCallback(self._drained)

    def _drained(self, result: None) -> Deferred[None] | None:
        self._log.info("stopped: nothing is left")
        self._notify.stopService()
        aborted = self._daemon.aborted + (0 if self.pool is None else self.pool.aborted)
        if aborted and self._signal is not None:
            # twistd ends itself by this signal once it has cleaned up.
            self._reactor._exitSignal = self._signal
        elif aborted and self._asked_to_drain:
            atexit.register(_exit, _EXIT_FAILURE)
        return None if self.link is None else self.link.say_goodbye()

    def _drain_asked(self) -> None:
        self._asked_to_drain = True
        self.drain()

    def drain(self) -> None:
        """Drain and end; again changes nothing."""
        if not self._stopping:
            self._stopping = True
            try:
                self._reactor.stop()
            except ReactorNotRunning:
                self._log.debug("already stopping")

    def abort(self) -> None:
        """Cut what is open, and end."""
        self.drain()
        self._daemon.abort()
        if self.pool is not None:
            self.pool.abort()

    @property
    def _drain_timeout(self) -> float:
        return max((float(each.drain_timeout) for each in self._daemon.daemons), default=0.0)

    @property
    def _active(self) -> int:
        return int(self._daemon.active) + (0 if self.pool is None else self.pool.active)

    # Signals.

    def _handle_signals(self) -> None:
        for number in _SIGNALS:
            signal.signal(number, self._signal_received)
        if self.link is not None:
            # A terminal's signals go to all its processes; the supervisor has the say.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _signal_received(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._reactor.callFromThread(self._hang_up)
        else:
            self._reactor.callFromThread(self._stop_for, number)

    def _stop_for(self, number: int) -> None:
        name = signal.Signals(number).name
        if self._signal is None:
            self._signal = number
            self._log.info("{signal}: stopping; a second signal ends at once", signal=name)
            self.drain()
        else:
            self._signal = number
            self._log.warn("{signal} again: {count} cut", signal=name, count=self._active)
            self.abort()

    # While it runs.

    def _hang_up(self) -> None:
        if self._stopping:
            return
        if terminal_is_gone():
            self._stop_for(signal.SIGHUP)
            return
        self._log.info("SIGHUP: reloading")
        self._notify.reloading()
        try:
            self.reload()
        except ConfigError as error:
            self._log.error("not reloaded: {reason}; nothing has changed", reason=str(error))
            self._notify.ready(f"{self._service_name}: serving; not reloaded: {error}")
        else:
            self._notify.ready(f"{self._service_name}: serving")

    def reload(self) -> None:
        """Open log files again, read the configuration anew, and go by it.

        :raises ConfigError: if it cannot be gone by; nothing but the log files has changed.
        """
        self.reopen_logs()
        if self._options is None:
            return
        FILES.begin()
        try:
            config = self._options.reload()
            commit = self._prepared(config)
        except (ConfigError, UsageError) as error:
            for each in self._daemon.daemons:
                each.reload_failed()
            raise ConfigError(str(error)) from None
        commit()
        if self.pool is not None:
            self.pool.keep_files()
        self.destination.set_level(self._daemon.daemons[0].log_level)
        self._log.info("reloaded")
        if self._options.needs_restart:
            names = ", ".join(self._options.needs_restart)
            self._log.warn("needs a restart to change: {names}", names=names)
        if self.pool is not None:
            self.pool.tell("reload").addCallback(self._workers_reloaded)

    def _prepared(self, config: Any) -> Callable[[], None]:
        try:
            commit: Callable[[], None] = self._daemon.prepare(config)
        except ConfigError as error:
            raise (self._options.explained(error) if self._options else error) from None
        return commit

    def _workers_reloaded(self, complaints: list[str]) -> None:
        for complaint in complaints:
            self._log.error("not reloaded: {reason}", reason=complaint)

    def reopen_logs(self) -> None:
        """Open log files by their names again: somebody has moved them away."""
        self.destination.reopen()
        for each in self._daemon.daemons:
            each.reopen_logs()


def _exit(status: int) -> None:
    """End with a status: twistd has none to give but 0 or a signal."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)


def _one_line_hook(name: str, previous: Callable[..., object]) -> Callable[..., None]:
    """An excepthook that shows a :class:`StartError` as the one line that it is."""

    def hook(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, StartError):
            # Not sys.stderr: twistd has made that one a part of the log.
            (sys.__stderr__ or sys.stderr).write(f"netsuite-{name}: {error}\n")
        else:
            previous(kind, error, traceback)

    return hook
