"""Keeping a connection: made, encrypted, logged in, and made again when it is gone."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from twisted.application.internet import ClientService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from netsuite.line._client_calls import LineCall
from netsuite.line._client_connection import ClientConnection, reason_text
from netsuite.line._client_errors import (
    LineArgumentError,
    LineClientError,
    LineClosedError,
    LineConnectionError,
    LineError,
    LineLoginError,
    LineTimeoutError,
    in_seconds,
)
from netsuite.line._client_keepalive import Keepalive
from netsuite.line._client_wire import request

_T = TypeVar("_T")

#: Seconds that a connection has to close before it is cut.
_CLOSING = 5.0

#: Seconds before a connection is tried again, at first and at most, and how much more or less
#: they may be: a server that comes back is not asked by all of its clients at once.
_FIRST_DELAY, _MOST_DELAY, _JITTER = 0.2, 30.0, 0.2

#: Codes of errors that a login has for good.
_FOR_GOOD = {"login-failed"}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Terms:
    """How a client connects; see :class:`~netsuite.line.client.LineClient`.

    :ivar login: what follows ``AUTH``; empty for no login.
    """

    timeout: float | None
    start_tls: object
    login: tuple[str, ...]
    insecure_login: bool
    reconnect: bool
    retry: Callable[[int], float] | None
    keepalive: float | None
    max_in_flight: int
    line_length: int
    longest: int
    invalid_utf8: Literal["strict", "replace", "surrogateescape"]


class User(Protocol):
    """Who uses the connection."""

    def connected(self, connection: ClientConnection) -> None:
        """It is ready for calls."""

    def disconnected(self, error: Exception) -> None:
        """There is none: it is gone, or a try to have one has failed."""

    def ended(self, error: Exception) -> None:
        """There will be none any more."""

    def pushed(self, text: str) -> None:
        """A line came that answers nothing."""

    def room(self) -> None:
        """More commands may be sent."""


class Connector:
    """Has a connection, or is about to.

    :ivar ended: why there will be none any more.
    :ivar trouble: why there was none the last time.
    """

    _log = Logger()

    def __init__(
        self, endpoint: IStreamClientEndpoint, clock: IReactorTime, terms: Terms, user: User
    ) -> None:
        self._ready: ClientConnection | None = None
        self.ended: Exception | None = None
        self.trouble: Exception | None = None
        self._endpoint = endpoint
        self._clock = clock
        self._terms = terms
        self._user = user
        self._retry = terms.retry or retry_delay
        self._service: ClientService | None = None
        self._connection: ClientConnection | None = None
        self._opening: IDelayedCall | None = None
        self._preparing: IDelayedCall | None = None
        self._keepalive: Keepalive | None = None
        self._failures = 0
        self._waiting: list[tuple[Deferred[None], int | None]] = []

    # For the client.

    @property
    def ready(self) -> ClientConnection | None:
        """The connection, while there is one that is ready for calls."""
        return self._ready if self._ready is not None and self._ready.usable else None

    def start(self) -> None:
        """Begin to connect."""
        self.ended = self.trouble = None
        self._failures = 0

        def failed(error: Exception) -> None:
            if self._service is service:  # or it was stopped, and this is no failure
                self._not_connected(error)

        service = self._service = ClientService(
            _Watched(self._endpoint, failed),
            _Connections(self._build),
            lambda _: self._delay(),
            self._clock,
        )
        service.startService()

    def when_ready(self, attempts: int | None) -> Deferred[None]:
        """Fire when there is a connection that is ready, or when so many tries have failed."""
        ready: Deferred[None] = Deferred(self._forget)
        if self.ready is not None:
            ready.callback(None)
        else:
            self._waiting.append((ready, attempts))
        return ready

    def stop(self) -> Deferred[None]:
        """Close, and connect no more."""
        error = LineClosedError("the client is closed")
        # Who hears of the end may begin anew at once.
        connection, self._connection = self._connection, None
        service, self._service = self._service, None
        self._end(error)
        if connection is not None:
            connection.close(error)
        if service is None:
            return maybeDeferred(_nothing)
        closed: Deferred[None] = service.stopService()
        if connection is None or connection.gone:
            return closed
        late = self._clock.callLater(_CLOSING, connection.drop, error)

        def in_time(result: _T) -> _T:
            if late.active():
                late.cancel()
            return result

        return closed.addBoth(in_time)

    # For the connection.

    def opened(self, connection: ClientConnection) -> None:
        """It is made, or encrypted.

        It is used from the next turn on, when everybody knows of it who has asked for it.
        """
        self._opening = self._clock.callLater(0, self._begin, connection)

    def _begin(self, connection: ClientConnection) -> None:
        self._opening = None

        def broken(failure: Failure) -> None:
            error = failure.value
            if not isinstance(error, LineClientError):
                self._log.failure("no connection could be prepared", failure=failure)
                error = LineConnectionError(f"the connection was of no use: {error}")
            connection.drop(error)

        Deferred.fromCoroutine(self._prepare(connection)).addErrback(broken)

    def pushed(self, text: str) -> None:
        """A line came that answers nothing."""
        self._user.pushed(text)

    def room(self) -> None:
        """More can be sent."""
        self._user.room()

    def lost(self, connection: ClientConnection, error: Exception) -> None:
        """It is gone."""
        if connection is not self._connection:
            return
        self._connection = None
        self._stop_timers()
        if self._ready is not None:
            self._ready = None
            if connection.answered:
                self._failures = 0
            self._disconnected(error)
        else:
            self._not_connected(error)

    # Inside.

    def _build(self) -> ClientConnection:
        terms = self._terms
        connection = ClientConnection(self, terms.max_in_flight, terms.longest, terms.invalid_utf8)
        self._connection = connection
        if terms.timeout is not None:
            within = in_seconds(terms.timeout)
            error = LineTimeoutError(f"the connection was not ready within {within}")
            self._preparing = self._clock.callLater(terms.timeout, self._too_late, error)
        return connection

    def _too_late(self, error: LineTimeoutError) -> None:
        self._preparing = None
        if self._connection is not None:
            self._connection.drop(error)

    def _stop_preparing(self) -> None:
        timer, self._preparing = self._preparing, None
        if timer is not None:
            timer.cancel()

    def _stop_timers(self) -> None:
        self._stop_preparing()
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
        keepalive, self._keepalive = self._keepalive, None
        if keepalive is not None:
            keepalive.stop()

    def _delay(self) -> float:
        # ClientService begins again at the first delay when TCP is connected; a server that
        # refuses everybody after that would be asked without end.
        self._failures += 1
        try:
            delay = self._retry(self._failures)
            if not 0 <= delay < math.inf:
                raise ValueError(f"{delay} seconds: expected 0 or more")
        except Exception:  # noqa: BLE001 - the program's own mistake
            self._log.failure("retry({failures}) failed", failures=self._failures)
            delay = retry_delay(self._failures)
        return delay

    async def _prepare(self, connection: ClientConnection) -> None:
        """Make a new connection ready for calls."""
        terms = self._terms
        if terms.start_tls is not None and not connection.encrypted:
            await self._say(connection, "STARTTLS")
            connection.start_tls(terms.start_tls)
            return
        if terms.login:
            await self._log_in(connection)
        self._stop_preparing()
        self.trouble = None
        self._ready = connection
        if terms.keepalive is not None:
            self._keepalive = Keepalive(connection, self._clock, terms.keepalive)
        self._user.connected(connection)
        if connection is not self._ready:
            return  # closed by who has just heard of it
        ready, self._waiting = self._waiting, []
        for each, _ in ready:
            if not each.called:  # cancelled by who came before
                each.callback(None)

    async def _log_in(self, connection: ClientConnection) -> None:
        if not (connection.private or self._terms.insecure_login):
            text = "others could read along: expected TLS, a UNIX socket, or insecure_login"
            raise LineLoginError("not-private", text)
        try:
            await self._say(connection, "AUTH", *self._terms.login)
        except LineError as error:
            if error.code in _FOR_GOOD:
                raise LineLoginError(error.code, error.text) from None
            raise

    def _say(self, connection: ClientConnection, name: str, *arguments: str) -> Deferred[str]:
        call = LineCall(name, b"", self._clock, None)  # the whole preparation has its time
        try:
            call.data = request(name, arguments, line_length=self._terms.line_length)
        except LineArgumentError as error:
            call.fail(error)
        else:
            connection.send(call)
        return call.result

    def _not_connected(self, error: Exception) -> None:
        """A try to connect has failed."""
        waiting = [(ready, left and left - 1) for ready, left in self._waiting]
        self._waiting = [(ready, left) for ready, left in waiting if left != 0]
        self._disconnected(error)
        for ready, left in waiting:
            if left == 0 and not ready.called:
                ready.errback(error)

    def _disconnected(self, error: Exception) -> None:
        if self.ended is not None:
            return
        self.trouble = error
        if self._terms.reconnect and not isinstance(error, LineLoginError):
            self._user.disconnected(error)
            return
        self._end(error)
        service, self._service = self._service, None
        if service is not None:
            self._clock.callLater(0, service.stopService)  # it is in the middle of something
        self._user.disconnected(error)

    def _end(self, error: Exception) -> None:
        self.ended = error
        self._ready = None
        self._stop_timers()
        waiting, self._waiting = self._waiting, []
        for each, _ in waiting:
            if not each.called:
                each.errback(error)
        self._user.ended(error)

    def _forget(self, ready: Deferred[None]) -> None:
        self._waiting = [pair for pair in self._waiting if pair[0] is not ready]


def retry_delay(failures: int) -> float:
    """Seconds to wait after so many failures in a row: twice as long each time, up to a limit."""
    delay = min(_MOST_DELAY, _FIRST_DELAY * 2.0 ** min(failures - 1, 16))
    return delay * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - no secret


class _Connections(Factory):
    """Makes a client's connections."""

    noisy = False

    def __init__(self, build: Callable[[], ClientConnection]) -> None:
        self._build = build

    def buildProtocol(self, addr: IAddress | None) -> ClientConnection:
        """The protocol of a new connection."""
        return self._build()


@implementer(IStreamClientEndpoint)
class _Watched:
    """An endpoint that says when it could not connect."""

    def __init__(
        self, endpoint: IStreamClientEndpoint, failed: Callable[[Exception], None]
    ) -> None:
        self._endpoint = endpoint
        self._failed = failed

    def __repr__(self) -> str:
        return repr(self._endpoint)

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect."""
        connected: Deferred[IProtocol] = maybeDeferred(self._endpoint.connect, factory)
        return connected.addErrback(self._note)

    def _note(self, failure: Failure) -> Failure:
        error = LineConnectionError(f"cannot connect: {reason_text(failure.value)}")
        error.__cause__ = failure.value
        self._failed(error)
        return failure


def _nothing() -> None:
    pass
