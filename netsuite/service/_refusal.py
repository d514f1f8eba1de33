"""Telling a peer that it is not let in, and then being rid of it."""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from netsuite.net import StreamTransport

#: How many refused peers of one endpoint are spoken to at the same time; the others are just
#: closed. They are no connections, and need descriptors all the same.
MOST_SPOKEN_TO = 64

#: How long a refused peer may take to close, in seconds.
LINGER_SECONDS = 2.0

#: What it may send meanwhile, in bytes.
LINGER_BYTES = 16 * 1024


@implementer(IHalfCloseableProtocol)
class RefusalProtocol(Protocol):
    """Says why, and closes once the peer has: closing before it has read could reset it.

    :param done: called when the connection is gone.
    """

    transport: StreamTransport  # type: ignore[assignment]  # Twisted's says less

    def __init__(self, words: bytes, clock: IReactorTime, done: Callable[[], object]) -> None:
        self._words = words
        self._clock = clock
        self._done = done
        self._left = LINGER_BYTES
        self._timer: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Say it."""
        self._timer = self._clock.callLater(LINGER_SECONDS, self._time_is_up)
        self.transport.write(self._words)
        self.transport.loseWriteConnection()

    def dataReceived(self, data: bytes) -> None:
        """Throw it away, within reason."""
        self._left -= len(data)
        if self._left < 0:
            self.transport.abortConnection()

    def readConnectionLost(self) -> None:
        """The peer has closed."""
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """It is said."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Gone."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._done()

    def _time_is_up(self) -> None:
        self.transport.abortConnection()
