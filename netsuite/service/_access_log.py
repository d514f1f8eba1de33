"""The access log: a line for each connection, once it is over."""

import json
import os
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from stat import S_IMODE

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.python.failure import Failure

from netsuite.net.endpoints import address_text
from netsuite.service._admission import Refusal
from netsuite.service._config import LogFormat
from netsuite.service._connections import Connection
from netsuite.service._errors import ConfigError

#: Stands for the service's own log where a file would be named.
OWN_LOG = Path("-")

_PLAIN = re.compile(r"[!#-~]+")  # printable ASCII without quotation marks


class AccessLog:
    """Writes lines to a file, or to the service's own log.

    A file is written to line by line and opened again by :meth:`reopen`, so whoever rotates
    logs moves it away and says so. While it cannot be written (a full disk) lines are lost
    and counted, and the service goes on. Each line is one write, so that processes which
    share a file do not cut into one another's lines.

    :param path: :data:`OWN_LOG` for the service's own.
    :param log_format: ``text`` or ``json``.
    :param clock: seconds that do not jump.
    :param now: seconds since 1970-01-01 00:00 UTC.
    :raises ConfigError: if the file cannot be opened.
    """

    _log = Logger()

    def __init__(
        self,
        path: Path,
        log_format: LogFormat,
        clock: Callable[[], float],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._format = log_format
        self._clock = clock
        self._now = now
        # With the number it makes an id that no other process has given out.
        self._run = os.urandom(4).hex()
        self._lost = 0
        self._file: FileIO | None = None
        self._cut_off = False  # the last line
        self._mode: int | None = None
        if path != OWN_LOG:
            try:
                self._file = _open(path)
                self._mode = S_IMODE(os.fstat(self._file.fileno()).st_mode)
            except OSError as error:
                raise ConfigError(f"access log {path}: {error.strerror}") from None

    def observer(self, listener: str) -> "ListenerLog":
        """What writes the lines of one listener."""
        return ListenerLog(self, listener)

    def write(self, listener: str, connection: Connection, reason: Failure) -> None:
        """Write the line of a connection that is over."""
        fields = {
            "listener": listener,
            "client": address_text(connection.peer),
            "id": f"{self._run}-{connection.number:x}",
            "duration": round(self._clock() - connection.opened, 6),
            "received": connection.bytes_received,
            "sent": connection.bytes_sent,
            "end": connection.ended or ("closed" if reason.check(ConnectionDone) else "lost"),
        }
        if self._file is None:
            self._log.info(
                "{client} {listener} {id}: {duration:.3f} s, {received} bytes received, "
                "{sent} sent, {end}",
                **fields,
            )
        else:
            self._write_line(self._file, fields)

    def _write_line(self, file: FileIO, fields: dict[str, object]) -> None:
        moment = datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds")
        if self._format == "json":
            line = json.dumps({"time": moment, **fields})
        else:
            line = " ".join([moment, *(f"{name}={_word(value)}" for name, value in fields.items())])
        data = f"{line}\n".encode()
        try:
            self._write_all(file, b"\n" + data if self._cut_off else data)
        except (OSError, ValueError) as error:  # ValueError: it was closed
            if self._lost == 0:
                self._log.error("access log {path}: {error}", path=self._path, error=error)
            self._lost += 1
        else:
            self._recovered()

    def _write_all(self, file: FileIO, data: bytes) -> None:
        written = file.write(data)
        self._cut_off = written < len(data)
        if self._cut_off:
            raise OSError(f"a line was cut off after {written} bytes")

    def _recovered(self) -> None:
        if self._lost:
            self._log.warn(
                "access log {path}: written again; {lost} lines were lost",
                path=self._path,
                lost=self._lost,
            )
            self._lost = 0

    @property
    def closed(self) -> bool:
        """Whether it is a file that was closed."""
        return self._file is not None and self._file.closed

    def reopen(self) -> None:
        """Open the file by its name again; the old one stays in use if that fails."""
        if self._file is None:
            return
        try:
            new = _open(self._path, self._mode)
        except OSError as error:
            self._log.error(
                "access log {path}: {error}; going on with the old file",
                path=self._path,
                error=error.strerror,
            )
            return
        self.close()
        self._file = new
        self._cut_off = False

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                self._log.error("access log {path}: {error}", path=self._path, error=error)


class ListenerLog:
    """Observes the connections of one listener for an :class:`AccessLog`."""

    def __init__(self, log: AccessLog, listener: str) -> None:
        self._access_log = log
        self._listener = listener

    def opened(self, connection: Connection) -> None:
        """Nothing yet."""

    def closed(self, connection: Connection, reason: Failure) -> None:
        """Write its line."""
        if connection.entered:
            self._access_log.write(self._listener, connection, reason)

    def refused(self, peer: IAddress, refusal: Refusal) -> None:
        """Others log that."""


def _word(value: object) -> str:
    """A value as one word, quoted where it must be: a peer chooses the path of its socket."""
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def _open(path: Path, mode: int | None = None) -> FileIO:
    """Open a file to write at its end.

    :param mode: of a file that is not there yet; what the umask leaves by default.
    :raises OSError: if that fails, for a FIFO without a reader too: nothing here waits.
    """
    is_new = not path.exists()
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
    file = FileIO(os.open(path, flags, 0o666), "ab")
    if is_new and mode is not None:
        os.fchmod(file.fileno(), mode)
    return file
