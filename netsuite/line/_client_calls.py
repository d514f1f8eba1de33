"""Calls: what becomes of a command that was given, from waiting to its last line."""

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from netsuite.line._client_errors import (
    LineConnectionError,
    LineTimeoutError,
    LineTooLargeError,
    in_seconds,
)

#: Bytes of a reply that nobody wants any more which are read and thrown away, rather than
#: the connection.
SKIPPED = 1024 * 1024

#: Characters of a stream that are kept for a consumer who is slow.
BUFFER = 64 * 1024


class Carrier(Protocol):
    """The connection that a call went out on."""

    def pull(self) -> None:
        """Go on reading: there is room again."""

    def give_up(self, error: Exception) -> None:
        """Send nothing more: the connection is about to be dropped."""

    def drop(self, error: Exception) -> None:
        """Close the connection at once: it is of no use any more."""


class Call:
    """A command on its way, and what is made of its reply.

    :ivar data: as it is sent.
    :ivar lines: whether the reply has several lines.
    :ivar carrier: the connection, once it was sent.
    :ivar over: whether the reply is complete, or there will be none.
    """

    lines = False

    def __init__(self, name: str, data: bytes, clock: IReactorTime, timeout: float | None) -> None:
        self.name = name
        self.data = data
        self.carrier: Carrier | None = None
        self.over = False
        #: Called when a call that was not sent gives up.
        self.forget: Callable[[Call], object] = _nothing
        #: Says why there is no connection, for errors.
        self.trouble: Callable[[], str] = str
        self._clock = clock
        self._timeout = timeout
        self._timer: IDelayedCall | None = None
        self._unwanted = False
        self._skipped = 0
        self._start_timer()

    # From the connection.

    @property
    def full(self) -> bool:
        """Whether no more of the reply can be taken now."""
        return False

    def take(self, text: str, last: bool) -> None:
        """A line of the reply."""
        if last:
            self._finish()
        if not self._unwanted:
            self.took(text, last)
        elif not last:
            self._skip(text)

    def end(self) -> None:
        """The reply of several lines is complete."""
        self._finish()
        if not self._unwanted:
            self.ended()

    def fail(self, error: Exception) -> None:
        """There is no reply, or no more of it."""
        if self.over:
            return
        self._finish()
        if not self._unwanted:
            self.failed(error)

    # For each kind of call.

    def took(self, text: str, last: bool) -> None:
        """A line that is wanted."""

    def ended(self) -> None:
        """The lines are complete."""

    def failed(self, error: Exception) -> None:
        """There is an error instead."""

    def wake(self) -> None:
        """All that came at once was taken."""

    # Giving up.

    def abandon(self) -> None:
        """Nobody wants the reply any more."""
        if self.over or self._unwanted:
            return
        self._unwanted = True
        if self.carrier is None:
            self._finish()
            self.forget(self)
        else:
            self._start_timer()
            self.carrier.pull()

    def refuse(self, error: Exception) -> None:
        """Tell the program that it has an error, and throw away what is still to come."""
        self.abandon()
        self.failed(error)

    def _skip(self, text: str) -> None:
        self._skipped += len(text) + 1
        if self._skipped > SKIPPED and self.carrier is not None:
            what = f"the reply to {self.name}, which nobody wants, does not end"
            self.carrier.drop(LineConnectionError(f"the connection was dropped: {what}"))

    def _start_timer(self) -> None:
        self._stop_timer()
        if self._timeout is not None:
            self._timer = self._clock.callLater(self._timeout, self._expire)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        within = f"within {in_seconds(self._timeout)}"
        if self.carrier is None:
            trouble = self.trouble()
            why = f": {trouble}" if trouble else ""
            self.forget(self)
            self.fail(LineTimeoutError(f"{self.name}: not sent {within}{why}"))
        else:
            # What comes next may be this reply or another: there is no telling. The connection
            # is given up first: what this call's failure makes the program do is not for it.
            what = f"there was no reply to {self.name} {within}"
            dropped = LineConnectionError(f"the connection was dropped: {what}")
            self.carrier.give_up(dropped)
            self.fail(LineTimeoutError(f"{self.name}: no reply {within}"))
            self.carrier.drop(dropped)

    def _finish(self) -> None:
        self.over = True
        self._stop_timer()


class LineCall(Call):
    """A command whose reply has one line."""

    def __init__(self, name: str, data: bytes, clock: IReactorTime, timeout: float | None) -> None:
        super().__init__(name, data, clock, timeout)
        self.result: Deferred[str] = Deferred(_abandoning(self))

    def took(self, text: str, last: bool) -> None:
        """The reply."""
        self.result.callback(text)

    def failed(self, error: Exception) -> None:
        """An error instead."""
        self.result.errback(error)


class LinesCall(Call):
    """A command whose reply has several lines, all of them wanted at once.

    :param most: characters of all lines, each with its line end.
    """

    lines = True

    def __init__(
        self, name: str, data: bytes, clock: IReactorTime, timeout: float | None, most: int
    ) -> None:
        super().__init__(name, data, clock, timeout)
        self.result: Deferred[list[str]] = Deferred(_abandoning(self))
        self._most = most
        self._size = 0
        self._lines: list[str] = []

    def took(self, text: str, last: bool) -> None:
        """One more."""
        self._size += len(text) + 1
        if self._size > self._most:
            self._lines.clear()
            error = f"{self.name}: expected at most {self._most} characters of reply: stream it"
            self.refuse(LineTooLargeError(error))
        else:
            self._lines.append(text)

    def ended(self) -> None:
        """That was all."""
        self.result.callback(self._lines)

    def failed(self, error: Exception) -> None:
        """An error instead, or in the end."""
        self.result.errback(error)


class StreamCall(Call):
    """A command whose reply has several lines, taken one by one."""

    lines = True

    def __init__(self, name: str, data: bytes, clock: IReactorTime, timeout: float | None) -> None:
        super().__init__(name, data, clock, timeout)
        self._buffer: deque[str] = deque()
        self._size = 0
        self._error: Exception | None = None
        self._waiting: Deferred[None] | None = None

    @property
    def full(self) -> bool:
        """Whether the consumer has enough to do."""
        return self._size > BUFFER and not self._unwanted

    def took(self, text: str, last: bool) -> None:
        """One more; while the consumer is at it, time does not count."""
        self._buffer.append(text)
        self._size += len(text) + 1
        self._stop_timer()

    def failed(self, error: Exception) -> None:
        """An error instead, or in the end."""
        self._error = error

    def abandon(self) -> None:
        """The consumer wants no more."""
        self._buffer.clear()
        self._size = 0
        super().abandon()

    async def next(self) -> str:
        """The next line.

        :raises StopAsyncIteration: if there is none.
        """
        while not self._buffer:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if self.over or self._unwanted:
                raise StopAsyncIteration
            if self._waiting is not None:
                raise RuntimeError("somebody is waiting for the next line already")
            self._waiting = Deferred()
            if self._timer is None:
                self._start_timer()
            try:
                await self._waiting
            except CancelledError:
                self._waiting = None
                self._stop_timer()
                raise
        text = self._buffer.popleft()
        was_full = self._size > BUFFER
        self._size -= len(text) + 1
        if was_full and self._size <= BUFFER and self.carrier is not None:
            self.carrier.pull()
        return text

    def wake(self) -> None:
        """Let the consumer go on, if it waits."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)


class LineStream:
    """The lines of a reply, one by one: ``async for line in stream``.

    While they are not taken, the server is not read from, other replies included. Who stops
    early leaves the rest to be thrown away: call :meth:`close`, or leave the block of
    ``async with``, or let go of the stream.
    """

    def __init__(self, call: StreamCall) -> None:
        self._call = call

    def __aiter__(self) -> "LineStream":
        return self

    async def __anext__(self) -> str:
        return await self._call.next()

    async def __aenter__(self) -> "LineStream":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take no more lines. Up to 1 MiB of the rest is skipped, then the connection dropped."""
        self._call.abandon()

    def __del__(self) -> None:
        self._call.abandon()


def _abandoning(call: Call) -> Callable[[Deferred[Any]], None]:
    def cancel(_: Deferred[Any]) -> None:
        call.abandon()

    return cancel


def _nothing(_: Call) -> None:
    pass
