"""What a protocol can ask of a stream's transport."""

from typing import Protocol

from twisted.internet.interfaces import IAddress, IPullProducer, IPushProducer


class StreamTransport(Protocol):
    """What TCP, UNIX and TLS transports have in common.

    Twisted spreads it over ``ITransport``, ``ITCPTransport``, ``IConsumer`` and
    ``IPushProducer``; annotate a protocol's ``transport`` with this one instead.
    """

    def write(self, data: bytes) -> None:
        """Send, buffering without bound: register a producer to be told when to pause."""

    def loseConnection(self) -> None:
        """Close once all is sent; waits for a registered producer to be unregistered."""

    def loseWriteConnection(self) -> None:
        """Close our sending direction once all is sent."""

    def abortConnection(self) -> None:
        """Close at once; what was not sent is lost."""

    def registerProducer(self, producer: IPushProducer | IPullProducer, streaming: bool) -> None:
        """Have ``producer`` paused while there is enough to send."""

    def unregisterProducer(self) -> None:
        """Forget the producer."""

    def pauseProducing(self) -> None:
        """Stop reading."""

    def resumeProducing(self) -> None:
        """Read on."""

    def getPeer(self) -> IAddress:
        """The other end's address."""

    def getHost(self) -> IAddress:
        """This end's address."""
