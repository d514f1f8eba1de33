"""A client and a server in one process, with neither sockets nor time: for the client's tests."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import (
    ConnectingCancelledError,
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    NotConnectingError,
)
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IPushProducer,
    IStreamClientEndpoint,
    ITransport,
)
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

#: Bytes on their way to a side that does not read, before the other one is told to wait.
HIGH = 64 * 1024

#: The most that one side reads at once.
READ = 16 * 1024


@implementer(ITransport, IPushProducer)
class MemoryTransport:
    """One end of a connection; bytes come in later turns, in pieces."""

    def __init__(self, clock: Clock, host: str) -> None:
        self.clock = clock
        self.host = host
        self.protocol: Any = None
        self.other: MemoryTransport
        self.inbox: deque[bytes] = deque()
        self.waiting = 0
        self.paused = False
        self.producer: Any = None
        self.told_to_wait = False
        self.disconnecting = False
        self.connected = True
        self._scheduled = False

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", self.host, 1)

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", self.host, 2)

    def write(self, data: bytes) -> None:
        assert isinstance(data, bytes)
        if not self.connected or self.disconnecting or not data:
            return
        other = self.other
        other.inbox.extend(data[at : at + READ] for at in range(0, len(data), READ))
        other.waiting += len(data)
        if other.waiting > HIGH and self.producer is not None and not self.told_to_wait:
            self.told_to_wait = True
            self.producer.pauseProducing()
        other.schedule()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False
        self.schedule()

    def stopProducing(self) -> None:
        self.loseConnection()

    def loseConnection(self) -> None:
        if self.connected and not self.disconnecting:
            self.disconnecting = True
            self.other.schedule()
            if self.producer is None:
                self.clock.callLater(0, self._close)

    def _close(self) -> None:
        if not self.other.inbox:
            self.lose(ConnectionDone(), ConnectionDone())

    def abortConnection(self) -> None:
        self.disconnecting = True
        self.inbox.clear()
        self.other.inbox.clear()
        self.clock.callLater(0, self.lose, ConnectionAborted(), ConnectionLost())

    def lose(self, mine: Exception, others: Exception) -> None:
        """The connection goes away."""
        for side, why in ((self, mine), (self.other, others)):
            if side.connected:
                side.connected = False
                side.protocol.connectionLost(Failure(why))

    # Inside.

    def schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self.clock.callLater(0, self._deliver)

    def _deliver(self) -> None:
        self._scheduled = False
        if not self.connected or self.paused:
            return
        if self.inbox:
            data = self.inbox.popleft()
            self.waiting -= len(data)
            self.protocol.dataReceived(data)
        other = self.other
        if self.waiting < HIGH / 2 and other.told_to_wait and other.producer is not None:
            other.told_to_wait = False
            other.producer.resumeProducing()
        if self.inbox:
            self.schedule()
        elif other.disconnecting and other.producer is None:
            self.clock.callLater(0, other._close)


@implementer(IStreamClientEndpoint)
class MemoryEndpoint:
    """Connects to a factory of this process.

    :ivar refusals: how many tries fail before one does not.
    :ivar at_once: whether they fail before anybody can look.
    :ivar connections: the servers' ends of those that were made.
    :ivar clients: their clients' ends.
    """

    def __init__(self, clock: Clock, build: Callable[[], Any], host: str = "127.0.0.1") -> None:
        self.clock = clock
        self.build = build
        self.host = host
        self.refusals = 0
        self.at_once = False
        self.tries = 0
        self.connections: list[MemoryTransport] = []
        self.clients: list[MemoryTransport] = []
        self._made: list[Deferred[Any]] = []

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        self.tries += 1
        if self.refusals:
            self.refusals -= 1
            refused: Deferred[Any] = Deferred(lambda _: None)
            self.clock.callLater(0, self._refuse, refused)
            return refused if not self.at_once else fail(OSError("refused"))

        def cancel(connected: Deferred[Any]) -> None:
            # As Twisted's own do; who hears of the connection from its protocol is too early.
            connected.errback(ConnectingCancelledError(IPv4Address("TCP", self.host, 1)))
            if connected in self._made:
                raise NotConnectingError

        connected: Deferred[Any] = Deferred(cancel)
        self.clock.callLater(0, self._connect, factory, connected)
        return connected

    def _refuse(self, refused: Deferred[Any]) -> None:
        if not (refused.called or self.at_once):
            refused.errback(OSError("refused"))

    def _connect(self, factory: Any, connected: Deferred[Any]) -> None:
        if connected.called:
            return  # cancelled
        client, server = (MemoryTransport(self.clock, self.host) for _ in range(2))
        client.other, server.other = server, client
        server.protocol = self.build()
        client.protocol = factory.buildProtocol(client.getPeer())
        self.connections.append(server)
        self.clients.append(client)
        self._made.append(connected)
        server.protocol.makeConnection(server)
        client.protocol.makeConnection(client)
        connected.callback(client.protocol)


def settle(clock: Clock) -> None:
    """Have everything happen that takes no time."""
    for _ in range(100_000):
        due = [each for each in clock.getDelayedCalls() if each.getTime() <= clock.seconds()]
        if not due:
            return
        clock.advance(0)
    raise AssertionError("it does not end")
