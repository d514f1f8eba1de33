"""Telling systemd how a service does, without libsystemd (``sd_notify(3)``).

Messages are datagrams to the socket that ``NOTIFY_SOCKET`` names: a path, or a name in the
abstract namespace with ``@`` in front. Without it there is nobody to tell, and nothing happens.

Left out: ``vsock:`` addresses, file descriptors (``FDSTORE``) and ``BARRIER``.
"""

import os
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

#: The longest status, in characters: more than anybody reads in ``systemctl status``.
MAX_STATUS = 1000

#: How many messages wait while systemd is too busy to take them; the oldest go first.
MAX_WAITING = 32

#: How soon a message is sent again that systemd was too busy to take, in seconds.
RETRY_SECONDS = 0.1

#: What is added to the time that draining may take, in seconds: ending takes some too.
STOP_MARGIN = 5.0

_ALIVE = ("WATCHDOG=1",)
_DIGITS = frozenset("0123456789")


@dataclass(frozen=True, slots=True)
class Supervision:
    """What systemd has put into the environment.

    :ivar address: where messages go, as :mod:`socket` takes it; None for nowhere.
    :ivar watchdog: seconds within which it wants to hear of us; None if it does not.
    :ivar watchdog_pid: the process that it wants to hear of; None for any.
    """

    address: bytes | None = None
    watchdog: float | None = None
    watchdog_pid: int | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Read the environment.

        :raises ValueError: naming the variable, if it holds what systemd never puts there.
        """
        microseconds = _number(environ, "WATCHDOG_USEC")
        return cls(
            address=_address(environ.get("NOTIFY_SOCKET", "")),
            watchdog=microseconds / 1_000_000 if microseconds else None,
            watchdog_pid=_number(environ, "WATCHDOG_PID"),
        )

    def watchdog_interval(self, pid: int) -> float | None:
        """How often this process has to be heard of, in seconds: at half of the time.

        None if nobody waits for it: without a watchdog, or if it is another process's.
        """
        if self.address is None or self.watchdog is None or self.watchdog_pid not in {None, pid}:
            return None
        return self.watchdog / 2


def _address(text: str) -> bytes | None:
    if not text:
        return None
    if text.startswith("/"):
        return os.fsencode(text)
    if text.startswith("@") and text != "@":
        return b"\0" + os.fsencode(text[1:])
    raise ValueError(f"NOTIFY_SOCKET={text}: expected a path or @name")


def _number(environ: Mapping[str, str], name: str) -> int | None:
    text = environ.get(name, "")
    if not text:
        return None
    if len(text) > 20 or not _DIGITS.issuperset(text):
        raise ValueError(f"{name}={text}: expected a number")
    return int(text)


def message(*assignments: str) -> bytes:
    """A datagram of assignments, as ``READY=1``, on a line each.

    Line ends and control characters inside one become spaces, so that no status is taken for
    another assignment.
    """
    lines = (
        "".join(character if character.isprintable() else " " for character in each)
        for each in assignments
    )
    return "\n".join(lines).encode("utf-8", "replace")


class Notifier:
    """Sends messages to systemd, and never waits or fails.

    :param supervision: what systemd wants.
    """

    _log = Logger()

    def __init__(self, supervision: Supervision) -> None:
        self.supervision = supervision
        self._complained = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """A notifier for whoever has started this process; a quiet one if nobody listens."""
        try:
            return cls(Supervision.from_environment(environ))
        except ValueError as error:
            cls._log.warn("systemd is not notified: {reason}", reason=str(error))
            return cls(Supervision())

    @property
    def enabled(self) -> bool:
        """Whether somebody listens."""
        return self.supervision.address is not None

    def send(self, *assignments: str) -> bool:
        """Send one message.

        :param assignments: as ``READY=1``.
        :returns: False if it is worth sending again, because the socket was full.
        """
        address = self.supervision.address
        if address is None:
            return True
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto(message(*assignments), address)
        except BlockingIOError:
            return False
        except OSError as error:
            if not self._complained:
                self._complained = True
                self._log.warn("systemd is not notified: {reason}", reason=str(error))
        return True


class NotifyService(Service):
    """What a service tells systemd while it runs.

    While it is started, the watchdog hears of us at half of its time, from the reactor's own
    turn: a reactor that is stuck is not heard of.

    :param notifier: sends the messages.
    :param clock: usually the reactor.
    :param monotonic: seconds of ``CLOCK_MONOTONIC``.
    :param pid: of this process, when it is asked.
    """

    def __init__(
        self,
        notifier: Notifier,
        clock: IReactorTime,
        monotonic: Callable[[], float] = time.monotonic,
        pid: Callable[[], int] = os.getpid,
    ) -> None:
        self._notifier = notifier
        self._clock = clock
        self._monotonic = monotonic
        self._pid = pid
        self._waiting: deque[tuple[str, ...]] = deque(maxlen=MAX_WAITING)
        self._retry: IDelayedCall | None = None
        self._ping: IDelayedCall | None = None

    def startService(self) -> None:
        """Begin to be heard of by the watchdog."""
        super().startService()
        interval = self._notifier.supervision.watchdog_interval(self._pid())
        if interval is not None and self._ping is None:
            self._alive(interval)

    def stopService(self) -> None:
        """Be heard of no more."""
        super().stopService()
        self._flush()
        for call in (self._ping, self._retry):
            if call is not None:
                call.cancel()
        self._ping = self._retry = None
        self._waiting.clear()

    def ready(self, status: str = "") -> None:
        """It serves: at the start, and again once it has reloaded.

        :param status: for people.
        """
        self._send("READY=1", f"MAINPID={self._pid()}", _status(status))

    def status(self, status: str) -> None:
        """What it does, for people."""
        self._send(_status(status))

    def reloading(self, status: str = "reloading") -> None:
        """It begins to read its configuration; :meth:`ready` has to follow."""
        now = int(self._monotonic() * 1_000_000)
        self._send("RELOADING=1", f"MONOTONIC_USEC={now}", _status(status))

    def stopping(self, grace: float = 0.0, status: str = "draining") -> None:
        """It begins to end.

        :param grace: seconds that draining may take. systemd is asked to wait as long, and
            :data:`STOP_MARGIN` more, even if its ``TimeoutStopSec`` is less.
        """
        extension = int((grace + STOP_MARGIN) * 1_000_000)
        self._send("STOPPING=1", f"EXTEND_TIMEOUT_USEC={extension}", _status(status))

    def _alive(self, interval: float) -> None:
        self._ping = self._clock.callLater(interval, self._alive, interval)
        if _ALIVE not in self._waiting:
            self._send(*_ALIVE)

    def _send(self, *assignments: str) -> None:
        self._waiting.append(assignments)
        if self._retry is None:
            self._flush()

    def _flush(self) -> None:
        """Send what waits, in order, as far as the socket takes it."""
        if self._retry is not None and self._retry.active():
            self._retry.cancel()
        self._retry = None
        while self._waiting:
            if not self._notifier.send(*self._waiting[0]):
                self._retry = self._clock.callLater(RETRY_SECONDS, self._flush)
                return
            self._waiting.popleft()


def _status(text: str) -> str:
    return f"STATUS={text[:MAX_STATUS]}"
