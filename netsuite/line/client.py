"""A client for line protocols: calls that are pipelined, streams, channels, reconnection.

::

    from twisted.internet.endpoints import clientFromString
    from netsuite.line.client import LineClient

    async def main(reactor):
        endpoint = clientFromString(reactor, "tcp:127.0.0.1:9000")
        async with LineClient(endpoint, reactor=reactor) as client:
            print(await client.call("ADD", 1, 2))
            async for line in client.stream("COUNT", 1_000_000):
                print(line)

A connection that goes away is made again, with growing delays. Commands are never repeated: those
that were sent fail with :class:`LineConnectionError`, the others wait for the new connection.
"""

import math
from collections import deque
from collections.abc import Callable
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import Literal, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from netsuite.line._client_calls import Call, LineCall, LinesCall, LineStream, StreamCall
from netsuite.line._client_commands import (
    ArgumentInfo,
    CommandInfo,
    CommandList,
    command_list,
)
from netsuite.line._client_connection import ClientConnection
from netsuite.line._client_connector import Connector, Terms
from netsuite.line._client_errors import (
    LineArgumentError,
    LineBusyError,
    LineClientError,
    LineClosedError,
    LineConnectionError,
    LineError,
    LineLoginError,
    LineTimeoutError,
    LineTooLargeError,
    LineWireError,
)
from netsuite.line._client_subscriptions import KEPT, Message, Subscription, Subscriptions
from netsuite.line._client_wire import LONGEST, Argument, request, typed

__all__ = [
    "Argument",
    "ArgumentInfo",
    "CommandInfo",
    "CommandList",
    "LineArgumentError",
    "LineBusyError",
    "LineClient",
    "LineClientError",
    "LineClosedError",
    "LineConnectionError",
    "LineError",
    "LineLoginError",
    "LineStream",
    "LineTimeoutError",
    "LineTooLargeError",
    "LineWireError",
    "Message",
    "Subscription",
]

_C = TypeVar("_C", bound=Call)


class LineClient(Service):
    """A client of one server.

    It connects when it is started as a service, by :meth:`connect`, by ``async with``, or by the
    first call. Everything that takes time returns a Deferred, which coroutines can await.

    :param endpoint: where the server is
        (:class:`~twisted.internet.interfaces.IStreamClientEndpoint`), TLS included.
    :param reactor: the time, and calls later.
    :param timeout: seconds that a call has from being made to its reply, those of waiting for a
        connection included; that a stream has for its next line while that is waited for;
        and that a new connection has to be ready. None for no limit.
    :param start_tls: begins TLS on a plain connection by ``STARTTLS``: an
        :class:`~twisted.internet.interfaces.IOpenSSLClientConnectionCreator`, such as
        :func:`~twisted.internet.ssl.optionsForClientTLS` makes. Nothing else is sent before.
    :param token: to log in with on each connection.
    :param user: to log in with on each connection, together with ``password``.
    :param insecure_login: whether to send those where others may read along: without TLS, and
        not by a UNIX socket or this machine's loopback.
    :param reconnect: whether to connect again, and again.
    :param retry: after how many seconds, by how many times in a row it has failed.
    :param keepalive: seconds of the server's silence after which it is asked whether it is there
        (``NOOP``), if it has nothing else to answer; without an answer within as many again the
        connection is dropped. None never asks.
    :param max_in_flight: commands that are sent before the first one is answered.
    :param max_waiting: commands that wait to be sent; one more fails.
    :param line_length: bytes of a command line that the server takes.
    :param longest: bytes of a line that this client takes.
    :param invalid_utf8: what becomes of text that is not UTF-8: ``replace``, U+FFFD stands for
        what cannot be decoded; ``surrogateescape``, it is kept (PEP 383); or ``strict``, the
        connection is dropped.
    :param on_push: called with each line that answers nothing and is for no subscription.
    :param on_connect: called when a connection is ready: made, encrypted, logged in.
    :param on_lost: called with why, when a connection that was ready is gone, or a try to have
        one has failed.
    """

    _log = Logger()

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        *,
        reactor: IReactorTime,
        timeout: float | None = 30.0,
        start_tls: object = None,
        token: str | None = None,
        user: str | None = None,
        password: str | None = None,
        insecure_login: bool = False,
        reconnect: bool = True,
        retry: Callable[[int], float] | None = None,
        keepalive: float | None = 60.0,
        max_in_flight: int = 1000,
        max_waiting: int = 10_000,
        line_length: int = 8192,
        longest: int = LONGEST,
        invalid_utf8: Literal["strict", "replace", "surrogateescape"] = "replace",
        on_push: Callable[[str], object] | None = None,
        on_connect: Callable[[], object] | None = None,
        on_lost: Callable[[Exception], object] | None = None,
    ) -> None:
        if (user is None) != (password is None) or (token is not None and user is not None):
            raise ValueError("expected token, or user and password, or neither")
        _refuse_coroutines(on_push=on_push, on_connect=on_connect, on_lost=on_lost)
        if keepalive is not None and not keepalive > 0:
            raise ValueError(f"keepalive {keepalive}: expected more than 0")
        sizes = {"max_in_flight": max_in_flight, "line_length": line_length, "longest": longest}
        for name, value in sizes.items():
            if value < 1:
                raise ValueError(f"{name} {value}: expected 1 or more")
        login: tuple[str, ...] = ()
        if token is not None:
            login = ("TOKEN", token)
        elif user is not None and password is not None:
            login = ("PLAIN", user, password)
        terms = Terms(
            timeout=timeout,
            start_tls=start_tls,
            login=login,
            insecure_login=insecure_login,
            reconnect=reconnect,
            retry=retry,
            keepalive=keepalive,
            max_in_flight=max_in_flight,
            line_length=line_length,
            longest=longest,
            invalid_utf8=invalid_utf8,
        )
        self._clock = reactor
        self._timeout = timeout
        self._line_length = line_length
        self._max_waiting = max_waiting
        self._on_push = on_push
        self._on_connect = on_connect
        self._on_lost = on_lost
        self._connector = Connector(endpoint, reactor, terms, self)
        self._waiting: deque[Call] = deque()
        self._subscriptions = Subscriptions(self, reactor, timeout)
        self._list: CommandList | None = None
        self._list_wanted: list[Deferred[CommandList]] = []

    # Connecting.

    @property
    def is_connected(self) -> bool:
        """Whether calls can be sent now."""
        return self._connector.ready is not None

    def connect(self, attempts: int | None = 1) -> Deferred[None]:
        """Connect; fires when calls can be sent.

        :param attempts: fail when so many have failed; the client goes on trying, though, if it
            reconnects. None never fails for that.
        """
        ready = self._connector.when_ready(attempts)
        if not self.running or self._connector.ended is not None:
            self.startService()
        return ready

    def drop(self) -> None:
        """Drop the connection at once: calls in flight fail, and another one is made.

        The way out when a reply that nobody waits for any more holds up the others.
        """
        if self._connector.ready is not None:
            self._connector.ready.drop(LineConnectionError("the connection was dropped"))

    def close(self) -> Deferred[None]:
        """Close the connection, and make no other; calls that have no reply yet fail.

        :returns: fires when it is closed.
        """
        return self.stopService()

    def __aenter__(self) -> Deferred["LineClient"]:
        return Deferred.fromCoroutine(self._enter())

    def __aexit__(self, *_: object) -> Deferred[None]:
        return self.close()

    async def _enter(self) -> "LineClient":
        try:
            await self.connect()
        except BaseException:
            await self.close()
            raise
        return self

    def startService(self) -> None:
        """Begin to connect, unless it has begun."""
        if self.running and self._connector.ended is None:
            return
        super().startService()
        self._connector.start()

    def stopService(self) -> Deferred[None]:
        """As :meth:`close`."""
        super().stopService()
        return self._connector.stop()

    # Calling.

    def call(
        self,
        name: str,
        *arguments: Argument,
        rest: str | None = None,
        literal: bytes | None = None,
        timeout: float | None = None,
    ) -> Deferred[str]:
        """Give a command whose reply has one line.

        Commands go out at once and in this order, whether anybody awaits the replies or not. To
        cancel one that was sent throws its reply away.

        :param arguments: numbers, addresses, text, bytes; quoted as need be.
        :param rest: the rest of the line as it is, for a command that takes that.
        :param literal: bytes, for a command that takes a byte-counted literal.
        :param timeout: seconds, in place of the client's; ``math.inf`` for no limit.
        :returns: the line; or fails with a :class:`LineClientError`, of which
            :class:`LineError` is an ``ERR`` of the server.
        """
        data = self._request(name, arguments, rest, literal)
        return self._give(LineCall(name, b"", self._clock, self._or_mine(timeout)), data).result

    def lines(
        self,
        name: str,
        *arguments: Argument,
        rest: str | None = None,
        literal: bytes | None = None,
        timeout: float | None = None,
        most: int = 16 * 1024 * 1024,
    ) -> Deferred[list[str]]:
        """Give a command whose reply has several lines; as :meth:`call`.

        A command that has one line leaves this client waiting for the end, until time is up.

        :param most: characters of reply; more is a :class:`LineTooLargeError`.
        """
        data = self._request(name, arguments, rest, literal)
        call = LinesCall(name, b"", self._clock, self._or_mine(timeout), most)
        return self._give(call, data).result

    def stream(
        self,
        name: str,
        *arguments: Argument,
        rest: str | None = None,
        literal: bytes | None = None,
        timeout: float | None = None,
    ) -> LineStream:
        """Give a command whose reply has several lines, and take them one by one.

        No more than 64 KiB of lines is kept for a consumer who is slow; then nothing is read,
        other replies included: a client of its own is best for a long stream.

        :param timeout: seconds that the next line may take.
        """
        data = self._request(name, arguments, rest, literal)
        call = StreamCall(name, b"", self._clock, self._or_mine(timeout))
        return LineStream(self._give(call, data))

    def ask(
        self, name: str, *arguments: Argument, literal: bytes | None = None
    ) -> Deferred[str | list[str]]:
        """Give a command whose kind of reply the server knows: its list of commands says it.

        The list is fetched once on each connection, before the command is sent. An argument
        that is the rest of a line is sent as it is.

        :returns: a line, or several.
        """
        return Deferred.fromCoroutine(self._ask(name, arguments, literal))

    def call_line(
        self, line: str, literal: bytes | None = None, *, timeout: float | None = None
    ) -> Deferred[str]:
        """Give a command as somebody has typed it, quotes and all; as :meth:`call`.

        :param literal: bytes that the line counts at its end.
        """
        call = LineCall(_first(line), b"", self._clock, self._or_mine(timeout))
        return self._give(call, self._typed(line, literal)).result

    def stream_line(
        self, line: str, literal: bytes | None = None, *, timeout: float | None = None
    ) -> LineStream:
        """Give a command as somebody has typed it; as :meth:`stream`."""
        call = StreamCall(_first(line), b"", self._clock, self._or_mine(timeout))
        return LineStream(self._give(call, self._typed(line, literal)))

    def commands(self, refresh: bool = False) -> Deferred[CommandList]:
        """The server's commands, as it has them for this client.

        :param refresh: fetch them again: another login may have others.
        """
        if self._list is not None and not refresh:
            return succeed(self._list)
        wanted: Deferred[CommandList] = Deferred()
        self._list_wanted.append(wanted)
        if len(self._list_wanted) == 1:
            self.call("COMMANDS").addCallback(command_list).addCallbacks(
                self._listed, self._unlisted
            )
        return wanted

    async def _ask(
        self, name: str, arguments: tuple[Argument, ...], literal: bytes | None
    ) -> str | list[str]:
        command = (await self.commands()).find(name)
        if command is None:
            raise LineError("unknown-command", f"{name}: the server does not list it")
        rest = None
        takes = command.arguments
        if takes and takes[-1].type == "rest" and len(arguments) == len(takes):
            *front, last = arguments
            arguments, rest = tuple(front), _as_text(last)
        if command.lines:
            return await self.lines(command.name, *arguments, rest=rest, literal=literal)
        return await self.call(command.name, *arguments, rest=rest, literal=literal)

    # Channels.

    def subscribe(
        self,
        channel: str,
        callback: Callable[[Message], object] | None = None,
        *,
        kept: int = KEPT,
    ) -> Deferred[Subscription]:
        """Listen to a channel, on this connection and those that follow.

        :param callback: called with each message; without one they wait to be taken from the
            subscription, the newest ``kept`` of them.
        :returns: the subscription, when the server has agreed.
        :raises TypeError: for a callback that is a coroutine function.
        """
        _refuse_coroutines(callback=callback)
        self._start()
        if self._connector.ended is not None:
            return fail(self._connector.ended)
        try:
            return self._subscriptions.subscribe(channel, callback, kept)
        except LineArgumentError as error:
            return fail(error)

    def publish(self, channel: str, text: str) -> Deferred[int]:
        """Send a line to all who listen to a channel.

        :returns: how many they are.
        """
        return Deferred.fromCoroutine(self._publish(channel, text))

    async def _publish(self, channel: str, text: str) -> int:
        reply = await self.call("PUBLISH", channel, rest=text)
        try:
            return int(reply)
        except ValueError:
            raise LineWireError(f"PUBLISH: expected a number, not {reply[:60]!a}") from None

    # Inside.

    def _request(
        self, name: str, arguments: tuple[Argument, ...], rest: str | None, literal: bytes | None
    ) -> bytes | LineArgumentError:
        try:
            return request(
                name, arguments, rest=rest, literal=literal, line_length=self._line_length
            )
        except LineArgumentError as error:
            return error

    def _typed(self, line: str, literal: bytes | None) -> bytes | LineArgumentError:
        try:
            return typed(line, self._line_length, literal)
        except LineArgumentError as error:
            return error

    def _give(self, call: _C, data: bytes | LineArgumentError) -> _C:
        """Send a call, now or later."""
        if isinstance(data, LineArgumentError):
            call.fail(data)
            return call
        call.data = data
        self._start()
        ready, ended = self._connector.ready, self._connector.ended
        if ended is not None:
            call.fail(ended)
        elif ready is not None and not self._waiting and ready.has_room:
            ready.send(call)
        elif len(self._waiting) >= self._max_waiting:
            call.fail(LineBusyError(f"{call.name}: {self._max_waiting} calls wait already"))
        else:
            call.forget = self._waiting.remove
            call.trouble = self._why_not
            self._waiting.append(call)
        return call

    def _start(self) -> None:
        if not self.running and self._connector.ended is None:
            self.startService()

    def _or_mine(self, timeout: float | None) -> float | None:
        if timeout is None:
            return self._timeout
        return None if timeout == math.inf else timeout

    def _why_not(self) -> str:
        if self._connector.ready is not None:
            return "others have to be answered first"
        trouble = self._connector.trouble
        return "there is no connection" if trouble is None else str(trouble)

    def _listed(self, found: CommandList) -> None:
        self._list = found
        wanted, self._list_wanted = self._list_wanted, []
        for each in wanted:
            each.callback(found)

    def _unlisted(self, failure: Failure) -> None:
        wanted, self._list_wanted = self._list_wanted, []
        for each in wanted:
            each.errback(failure)

    def _tell(self, callback: Callable[..., object] | None, *arguments: object) -> None:
        try:
            if callback is not None:
                callback(*arguments)
        except Exception:  # noqa: BLE001 - the program's own mistake
            self._log.failure("{callback} failed", callback=callback)

    # For the connector.

    def connected(self, connection: ClientConnection) -> None:
        """There is a connection: subscribe again, then send what waits."""
        self._subscriptions.connected()
        self._tell(self._on_connect)
        self.room()

    def disconnected(self, error: Exception) -> None:
        """There is none."""
        self._list = None
        self._subscriptions.disconnected()
        self._tell(self._on_lost, error)

    def ended(self, error: Exception) -> None:
        """There will be none any more."""
        self._list = None
        waiting, self._waiting = self._waiting, deque()
        for call in waiting:
            call.fail(error)
            call.wake()
        self._subscriptions.end(error)

    def pushed(self, text: str) -> None:
        """A line came that answers nothing."""
        if not self._subscriptions.take(text):
            self._tell(self._on_push, text)

    def room(self) -> None:
        """More can be sent."""
        while self._waiting and (ready := self._connector.ready) is not None and ready.has_room:
            ready.send(self._waiting.popleft())

    def speak(self, name: str, channel: str) -> LineCall | None:
        """Tell the server of a channel, before all calls that wait."""
        ready = self._connector.ready
        if ready is None:
            return None
        call = LineCall(name, b"", self._clock, self._timeout)
        data = self._request(name, (channel,), None, None)
        if isinstance(data, LineArgumentError):
            call.fail(data)
        else:
            call.data = data
            ready.send(call)
        return call


def _as_text(value: Argument) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def _refuse_coroutines(**callbacks: object) -> None:
    """Refuse what nobody would await.

    :raises TypeError: for a coroutine function; it says what there is instead.
    """
    for name, callback in callbacks.items():
        called = getattr(callback, "__call__", None)  # noqa: B004 - an object's own may be one
        if any(
            iscoroutinefunction(each) or isasyncgenfunction(each) for each in (callback, called)
        ):
            instead = (
                "async for has the messages one after another"
                if name == "callback"
                else "Deferred.fromCoroutine(...) in it begins one"
            )
            raise TypeError(f"{name}: expected a function that is no coroutine function: {instead}")


def _first(line: str) -> str:
    """The name of a line's command, for errors: the rest may be secret."""
    return line.split(None, 1)[0] if line.strip() else "an empty line"
