"""Where a process logs: where ``twistd`` was told to."""

import os
import signal
import sys
from pathlib import Path
from stat import S_IMODE
from typing import Any, TextIO

from twisted.logger import ILogObserver, LegacyLogObserverWrapper, Logger
from twisted.python.logfile import LogFile
from twisted.python.syslog import SyslogObserver

from netsuite.service._config import DaemonConfig
from netsuite.service._errors import ConfigError
from netsuite.service._log import LevelFilter, file_observer


class LogDestination:
    """Where a process logs, and how to change that while it runs.

    :ivar observer: None leaves it to ``twistd``.
    :ivar on_screen: whether the operator sees it as it comes.
    """

    _log = Logger()

    def __init__(
        self, observer: ILogObserver | None = None, level: str = "info", file: Any = None
    ) -> None:
        self._filter = None if observer is None else LevelFilter(observer, level)
        self._file = file
        self.on_screen = file is not None and file is sys.stdout

    @property
    def observer(self) -> ILogObserver | None:
        """What takes the events."""
        return None if self._filter is None else self._filter.observer

    def quiet(self) -> None:
        """Leave out what Twisted tells of itself: in a worker nobody wants to hear it again."""
        if self._filter is not None:
            self._filter.quiet("twisted")

    def set_level(self, level: str) -> None:
        """Log from another level on."""
        if self._filter is not None:
            self._filter.set_level(level)

    def write_line(self, line: str) -> None:
        """Pass on a line that another process of ours has made, as it is."""
        if self._file is None:
            self._log.info("{line}", line=line)
            return
        self._file.write(line + "\n")
        self._file.flush()

    def reopen(self) -> None:
        """Open the file by its name again, if it is a file."""
        if isinstance(self._file, LogFile):
            try:
                self._file.reopen()
            except OSError as error:
                self._log.error("cannot open the log again: {error}", error=error)


def log_to(config: DaemonConfig, twistd: Any, reactor: Any) -> LogDestination:
    """Log where ``twistd`` was told to log.

    :raises ConfigError: if that cannot be done.
    """
    if twistd.get("logger"):
        return LogDestination()
    if twistd.get("syslog"):
        if config.log_format != "text":
            raise ConfigError(
                f"log format {config.log_format!r} goes to a file or standard output, "
                "not to syslog: expected --log-format text with --syslog"
            )
        syslog: Any = SyslogObserver(twistd.get("prefix", "netsuite"))
        return LogDestination(LegacyLogObserverWrapper(syslog.emit), config.log_level)
    file = _log_file(twistd, reactor)
    return LogDestination(file_observer(file, config.log_format), config.log_level, file)


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
        # twistd changes the umask later: files that come after this one are to be like it.
        file.defaultMode = S_IMODE(Path(file.path).stat().st_mode)
    except OSError as error:
        raise ConfigError(f"cannot log to {name or 'twistd.log'}: {error.strerror}") from error
    if not signal.getsignal(signal.SIGUSR1):
        signal.signal(signal.SIGUSR1, lambda number, frame: reactor.callFromThread(file.rotate))
    result: TextIO = file
    return result


def terminal_is_gone() -> bool:
    """Whether standard output is a terminal that has been closed: SIGHUP's other meaning."""
    try:
        descriptor = sys.__stdout__.fileno() if sys.__stdout__ is not None else -1
        name = str(Path(f"/proc/self/fd/{descriptor}").readlink())
    except (OSError, ValueError):
        return False
    return name.startswith(("/dev/pts/", "/dev/tty")) and not os.isatty(descriptor)
