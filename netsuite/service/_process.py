"""A service as a process of its own: signals, log destination, exit status."""

import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any, TextIO

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.logger import ILogObserver, LegacyLogObserverWrapper, Logger
from twisted.python.components import Componentized
from twisted.python.logfile import LogFile
from twisted.python.syslog import SyslogObserver

from netsuite.service._config import DaemonConfig
from netsuite.service._daemon import Daemon
from netsuite.service._errors import ConfigError, StartError
from netsuite.service._heap import keep_spare_memory
from netsuite.service._log import at_level, file_observer
from netsuite.service._options import ServerOptions, exit_with, twistd_options

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def process_service(
    options: ServerOptions, config: DaemonConfig, build: Callable[[], Daemon], reactor: Any
) -> "ProcessService":
    """What a ``makeService`` returns: the daemon, with all that a process needs around it.

    A mistake in the configuration ends the program with one line on standard error.

    :param options: as parsed; under ``twistd`` they know where it logs.
    :param build: makes the daemon.
    """
    try:
        keep_spare_memory()
        log = _log_to(config, twistd_options(options), reactor)
        return ProcessService(options.service_name, build(), log, reactor)
    except ConfigError as error:
        exit_with(options.service_name, str(error))


@dataclass(frozen=True, slots=True)
class LogDestination:
    """Where a process logs.

    :ivar observer: None leaves it to ``twistd``.
    :ivar on_screen: whether the operator sees it as it comes.
    """

    observer: ILogObserver | None
    on_screen: bool = False


class ProcessService(Service):
    """Runs a :class:`~netsuite.service.Daemon` as the business of a whole process.

    The first SIGTERM or SIGINT drains and then ends the process with status 0. A second
    one, or connections that had to be cut, make it end by that signal, as a program that
    knows no drain would.
    """

    _log = Logger()

    def __init__(self, name: str, daemon: Daemon, log: LogDestination, reactor: Any) -> None:
        self._service_name = name
        self._daemon = daemon
        self._destination = log
        self._reactor = reactor
        self._signal: int | None = None

    def setServiceParent(self, parent: Any) -> None:
        """Join the application, and make our observer its log."""
        if self._destination.observer is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._destination.observer)
        super().setServiceParent(parent)

    def privilegedStartService(self) -> None:
        """Listen.

        :raises StartError: where that fails; the operator sees its one line and no traceback.
        """
        super().privilegedStartService()
        try:
            self._daemon.privilegedStartService()
        except StartError as error:
            if not self._destination.on_screen:
                self._log.critical("cannot start: {reason}", reason=str(error))
            sys.excepthook = _one_line_hook(self._service_name, sys.excepthook)
            raise

    def startService(self) -> None:
        """Serve, and take over the signals."""
        self._handle_signals()
        super().startService()
        # The reactor installs handlers of its own when it starts.
        self._reactor.callWhenRunning(self._handle_signals)
        self._daemon.startService()

    def stopService(self) -> Deferred[None]:
        """Drain; fires when nothing is left."""
        super().stopService()
        return self._daemon.stopService().addCallback(self._drained)

    def _drained(self, result: None) -> None:
        self._log.info("stopped: nothing is left")
        if self._signal is not None and self._daemon.aborted:
            # twistd ends itself by this signal once it has cleaned up.
            self._reactor._exitSignal = self._signal

    def _handle_signals(self) -> None:
        for number in _SIGNALS:
            signal.signal(number, self._signal_received)

    def _signal_received(self, number: int, frame: FrameType | None) -> None:
        self._reactor.callFromThread(self._stop_for, number)

    def _stop_for(self, number: int) -> None:
        name = signal.Signals(number).name
        if self._signal is None:
            self._signal = number
            self._log.info("{signal}: stopping; a second signal ends at once", signal=name)
            try:
                self._reactor.stop()
            except ReactorNotRunning:
                self._log.debug("already stopping")
        else:
            self._signal = number
            self._log.warn("{signal} again: {count} cut", signal=name, count=self._daemon.active)
            self._daemon.abort()


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


def _log_to(config: DaemonConfig, twistd: Any, reactor: Any) -> LogDestination:
    """Log where ``twistd`` was told to log.

    :raises ConfigError: if that cannot be done.
    """
    if twistd.get("logger"):
        return LogDestination(None)
    if twistd.get("syslog"):
        if config.log_format != "text":
            raise ConfigError(
                f"log format {config.log_format!r} goes to a file or standard output, "
                "not to syslog: expected --log-format text with --syslog"
            )
        syslog: Any = SyslogObserver(twistd.get("prefix", "netsuite"))
        return LogDestination(at_level(LegacyLogObserverWrapper(syslog.emit), config.log_level))
    file = _log_file(twistd, reactor)
    observer = at_level(file_observer(file, config.log_format), config.log_level)
    return LogDestination(observer, on_screen=file is sys.stdout)


def _log_file(twistd: Any, reactor: Any) -> TextIO:
    """Where ``twistd`` logs, by its own rules."""
    name = twistd.get("logfile")
    foreground = bool(twistd.get("nodaemon", True))
    if foreground and name in {None, "", "-"}:
        return sys.stdout
    if name == "-":
        raise ConfigError("a daemon cannot log to standard output: expected --nodaemon or a file")
    try:
        file: Any = LogFile.fromFullPath(name or "twistd.log")
    except OSError as error:
        raise ConfigError(f"cannot log to {name}: {error.strerror}") from error
    if not signal.getsignal(signal.SIGUSR1):
        signal.signal(signal.SIGUSR1, lambda number, frame: reactor.callFromThread(file.rotate))
    result: TextIO = file
    return result
