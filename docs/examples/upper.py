"""A protocol of one's own: it sends text back in upper case."""

import sys

from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IPushProducer,
    IReactorCore,
    IReactorTime,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import globalLogBeginner
from twisted.python.failure import Failure
from zope.interface import implementer

from netsuite.net import StreamTransport
from netsuite.service import Daemon, DaemonConfig, Listener, file_observer

endpoints = ("tcp:9000",)


@implementer(IHalfCloseableProtocol, IPushProducer)
class UpperProtocol(Protocol):
    """ASCII letters come back in upper case, all other bytes as they are."""

    transport: StreamTransport  # type: ignore[assignment]  # Twisted's says less
    _quiet = 0.0
    _timer: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Ask the transport to say when it has enough to send."""
        self.transport.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        """Answer."""
        self.transport.write(data.upper())
        if self._timer is not None and self._timer.active():
            self._timer.reset(self._quiet)

    # Half-close: the peer has said all, and still wants to hear the answer.

    def readConnectionLost(self) -> None:
        """Deliver what was written, then close."""
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Our sending direction is closed: nothing to do."""

    # Back-pressure: what cannot be sent is not read.

    def pauseProducing(self) -> None:
        """The transport has enough to send."""
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """The transport has sent it."""
        self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """The connection is gone; connectionLost follows."""

    # Drain: finish what the peer has begun, then close.

    def drain(self, clock: IReactorTime, grace: float) -> None:
        """Close once the peer has been silent for a second, or for half of the grace."""
        self._quiet = min(1.0, grace / 2)
        self._timer = clock.callLater(self._quiet, self.readConnectionLost)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Leave no timer behind."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()


class UpperFactory(Factory):
    """Builds an UpperProtocol for each connection."""

    noisy = False
    protocol = UpperProtocol


async def main(reactor: IReactorCore, *descriptions: str) -> None:
    """Serve until the process is told to stop, then drain."""
    globalLogBeginner.beginLoggingTo([file_observer(sys.stdout, "text")])
    upper = Listener(
        name="upper",
        factory=UpperFactory(),
        endpoints=descriptions or endpoints,
    )
    daemon = Daemon(DaemonConfig(drain_timeout=5), [upper], reactor)
    daemon.startService()
    reactor.addSystemEventTrigger("before", "shutdown", daemon.stopService)
    await Deferred()


if __name__ == "__main__":
    task.react(main, sys.argv[1:])
