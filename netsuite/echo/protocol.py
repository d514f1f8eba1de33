"""Echo and its siblings over streams: RFC 862, 863, 864, 865, 867 and 868.

All of them count what they do, keep a bounded amount of memory however a peer behaves,
and answer a peer that has closed its sending direction.

Left out: RFC 866 (active users: it tells strangers who is logged in).
"""

import time
from collections.abc import Callable, Sequence

from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IPullProducer,
    IPushProducer,
    IReactorTime,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from netsuite.echo._wire import CHARGEN_CYCLE, QUOTES, daytime_line, quote_of_the_day, time_value
from netsuite.net import ConnectionCounters, StreamTransport

#: The longest silence, in seconds, after which a draining connection counts as finished.
QUIET_SECONDS = 5.0

#: How long a peer may take to close after we have said all, in seconds.
LINGER_SECONDS = 5.0

#: What a peer may send, in bytes, while it takes its time to close.
LINGER_BYTES = 64 * 1024

_LOOKS = 10  # how often a draining connection is looked at while it is silent
_CHARGEN_BLOCK = CHARGEN_CYCLE * 9  # just below the 64 KiB that a transport buffers


@implementer(IHalfCloseableProtocol)
class CountingProtocol(Protocol):
    """What the services have in common: counters, and closing when the peer has closed."""

    transport: StreamTransport  # type: ignore[assignment]  # Twisted's says less
    counters: ConnectionCounters
    bytes_received = 0
    bytes_sent = 0
    _timer: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Count the connection."""
        self.counters.connection_opened(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Count the connection as closed."""
        self.counters.connection_closed(self)
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def dataReceived(self, data: bytes) -> None:
        """Count the bytes and forget them."""
        self.bytes_received += len(data)

    def readConnectionLost(self) -> None:
        """The peer will send no more: deliver what was written, then close."""
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Our sending direction is closed: nothing to do."""

    def expire(self, reason: str) -> None:
        """Time is up: deliver what was written, then close."""
        self.readConnectionLost()


class SinkProtocol(CountingProtocol):
    """A service that reads for as long as the peer sends."""

    _paused = False

    def drain(self, clock: IReactorTime, grace: float) -> None:
        """Close once the peer has been silent for a while.

        A stream of bytes has no end but the peer's. Silence stands for it: half of
        ``grace``, and at most :data:`QUIET_SECONDS`. A peer that has yet to read what was
        sent to it is not silent but slow, and has all of ``grace``.
        """
        self._listen(clock, min(grace / 2, QUIET_SECONDS) / _LOOKS, _LOOKS)

    def _listen(self, clock: IReactorTime, interval: float, looks: int) -> None:
        """Look again after ``interval``; ``looks`` quiet ones in a row are silence."""
        self._timer = clock.callLater(
            interval, self._look, clock, interval, looks, self.bytes_received
        )

    def _look(self, clock: IReactorTime, interval: float, looks: int, before: int) -> None:
        if self.bytes_received != before or self._paused:
            self._listen(clock, interval, _LOOKS)
        elif looks > 1:
            self._listen(clock, interval, looks - 1)
        else:
            self.readConnectionLost()


class DiscardProtocol(SinkProtocol):
    """RFC 863: what comes in is thrown away."""


@implementer(IPushProducer)
class EchoProtocol(SinkProtocol):
    """RFC 862: what comes in goes out, in order, all of it.

    It is its transport's producer: while the transport has more to send than it likes to
    keep, nothing is read, so that a peer that sends and never reads stops itself.
    """

    @property
    def bytes_sent(self) -> int:  # type: ignore[override]  # not a count of its own here
        """The same as what came in."""
        return self.bytes_received

    def connectionMade(self) -> None:
        """Start."""
        super().connectionMade()
        self._write = self.transport.write
        self.transport.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        """Send it back."""
        self.bytes_received += len(data)
        self._write(data)

    def readConnectionLost(self) -> None:
        """The peer will send no more: deliver the rest, then close."""
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def pauseProducing(self) -> None:
        """The transport has enough to send: read no more."""
        self._paused = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """The transport has sent it: read on."""
        self._paused = False
        self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """The connection is gone; :meth:`connectionLost` follows."""


@implementer(IPullProducer)
class ChargenProtocol(CountingProtocol):
    """RFC 864: the printable characters go by, until the peer has had enough.

    It writes when the transport has nothing left to send, so that a peer that does not
    read costs one block of memory shared by all connections. What comes in is thrown away.
    """

    def connectionMade(self) -> None:
        """Start."""
        super().connectionMade()
        self.transport.registerProducer(self, False)

    def readConnectionLost(self) -> None:
        """The peer will send no more, which is no reason for it to hear no more."""

    def resumeProducing(self) -> None:
        """Send one block."""
        self.bytes_sent += len(_CHARGEN_BLOCK)
        self.transport.write(_CHARGEN_BLOCK)

    def stopProducing(self) -> None:
        """The connection is gone; :meth:`connectionLost` follows."""

    def drain(self, clock: IReactorTime, grace: float) -> None:
        """Close at the end of the block that is on its way."""
        self.expire("drain")

    def expire(self, reason: str) -> None:
        """Close at the end of the block that is on its way."""
        self.transport.unregisterProducer()
        self.transport.loseConnection()


class AnswerProtocol(CountingProtocol):
    """Says one thing and closes: the base of quote, daytime and time.

    It closes its sending direction first and waits for the peer to close, for a bounded
    time and number of bytes: closing with unread bytes would reset the connection, and the
    answer could be lost with it.
    """

    answer: bytes
    clock: IReactorTime

    def connectionMade(self) -> None:
        """Say it."""
        super().connectionMade()
        self.bytes_sent = len(self.answer)
        self.transport.write(self.answer)
        self.transport.loseWriteConnection()
        self._timer = self.clock.callLater(LINGER_SECONDS, self._linger_over)

    def dataReceived(self, data: bytes) -> None:
        """Throw it away, within reason."""
        super().dataReceived(data)
        if self.bytes_received > LINGER_BYTES:
            self.transport.loseConnection()

    def _linger_over(self) -> None:
        self.transport.abortConnection()

    def drain(self, clock: IReactorTime, grace: float) -> None:
        """Nothing to add: the answer is on its way, and lingering ends by itself."""


class CountingFactory(Factory):
    """Builds one kind of protocol and keeps its counters.

    :ivar counters: totals since the factory was made.
    """

    noisy = False
    protocol: type[CountingProtocol]

    def __init__(self) -> None:
        self.counters = ConnectionCounters()

    def buildProtocol(self, addr: IAddress | None) -> CountingProtocol:
        """A protocol for one connection."""
        protocol = self.protocol()
        protocol.factory = self
        protocol.counters = self.counters
        return protocol


class EchoFactory(CountingFactory):
    """RFC 862 echo, over any stream."""

    protocol = EchoProtocol


class DiscardFactory(CountingFactory):
    """RFC 863 discard, over any stream."""

    protocol = DiscardProtocol


class ChargenFactory(CountingFactory):
    """RFC 864 character generator, over any stream."""

    protocol = ChargenProtocol


class AnswerFactory(CountingFactory):
    """Says one thing to each peer: the base of quote, daytime and time.

    :param clock: for the bounded wait at the end, usually the reactor.
    :param now: seconds since 1970-01-01 00:00 UTC.
    """

    def __init__(self, clock: IReactorTime, now: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._clock = clock
        self._now = now

    def answer(self) -> bytes:
        """What to say now."""
        raise NotImplementedError

    def buildProtocol(self, addr: IAddress | None) -> AnswerProtocol:
        """A protocol that says the answer of this moment."""
        protocol = AnswerProtocol()
        protocol.factory = self
        protocol.counters = self.counters
        protocol.clock = self._clock
        protocol.answer = self.answer()
        return protocol


class QuoteFactory(AnswerFactory):
    """RFC 865 quote of the day, over any stream.

    :param quotes: each at most 512 bytes with its line ends; one a day, in turn.
    """

    def __init__(
        self,
        clock: IReactorTime,
        now: Callable[[], float] = time.time,
        quotes: Sequence[bytes] = QUOTES,
    ) -> None:
        super().__init__(clock, now)
        self._quotes = tuple(quotes)

    def answer(self) -> bytes:
        """Today's quote."""
        return quote_of_the_day(self._quotes, self._now())


class DaytimeFactory(AnswerFactory):
    """RFC 867 daytime in UTC, over any stream."""

    def answer(self) -> bytes:
        """The moment as a line."""
        return daytime_line(self._now())


class TimeFactory(AnswerFactory):
    """RFC 868 time, over any stream."""

    def answer(self) -> bytes:
        """The moment as 32 bits."""
        return time_value(self._now())
