"""A peer and an application with neither sockets nor time: for the tests of the core."""

from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from netsuite.line import Limits, LineApp, LineFactory, LineProtocol


class Wire(StringTransport):
    """A transport that remembers what was asked of it, and can do something at each write.

    :ivar on_write: called with what is written, and there is a moment before it returns.
    :ivar asked: what happened, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.on_write: Callable[[bytes], object] | None = None
        self.asked: list[str] = []

    def write(self, data: bytes) -> None:
        assert not self.disconnecting, f"{data!r} behind the end"
        assert data, "nothing is written"
        super().write(data)
        if self.on_write is not None:
            self.on_write(data)

    def loseConnection(self) -> None:
        assert self.producer is None, "it would never close"
        self.asked.append("close")
        super().loseConnection()

    def abortConnection(self) -> None:
        self.asked.append("abort")
        self.disconnecting = self.disconnected = True

    def pauseProducing(self) -> None:
        assert self.producerState == "producing"
        self.asked.append("pause")
        super().pauseProducing()

    def resumeProducing(self) -> None:
        assert self.producerState == "paused"
        self.asked.append("resume")
        super().resumeProducing()

    @property
    def reading(self) -> bool:
        """Whether the application wants to hear more."""
        return bool(self.producerState == "producing")


class Turns(Clock):
    """A clock on which what is asked for at once comes in the next turn, not in this one."""

    LENGTH = 2.0**-20

    def callLater(
        self,
        delay: float,
        callable: Callable[..., object],  # noqa: A002 - Twisted's name
        *args: object,
        **kw: object,
    ) -> IDelayedCall:
        return super().callLater(delay or self.LENGTH, callable, *args, **kw)

    def turn(self) -> None:
        """Have the next one."""
        self.advance(self.LENGTH)


class Talk(SynchronousTestCase):
    """One connection to an application of the test's own."""

    limits = Limits(idle=None)

    def setUp(self) -> None:
        self.clock = Turns()
        self.app = self.make_app()

    def make_app(self) -> LineApp:
        """The application, without its commands."""
        return LineApp("test", limits=self.limits, line_end=b"\n")

    def connect(self, wire: Wire | None = None) -> LineProtocol:
        """Connect, as a peer that begins to read at once."""
        self.factory = LineFactory(self.app, self.clock)
        self.wire = wire or Wire()
        self.protocol = self.factory.buildProtocol(None)
        self.protocol.makeConnection(self.wire)
        self.session = self.protocol.session
        return self.protocol

    def say(self, data: bytes) -> bytes:
        """What is sent when these bytes have come."""
        before = len(self.wire.value())
        self.protocol.dataReceived(data)
        return self.since(before)

    def since(self, before: int) -> bytes:
        """What was sent behind so many bytes."""
        return bytes(self.wire.value()[before:])

    @property
    def sent(self) -> bytes:
        """All that was sent."""
        return bytes(self.wire.value())

    def lose(self) -> None:
        """The connection is gone."""
        self.protocol.connectionLost(Failure(ConnectionDone()))

    def pause(self) -> None:
        """The transport has enough."""
        self.protocol.pauseProducing()

    def end(self) -> None:
        """The peer sends no more."""
        self.protocol.readConnectionLost()

    def close(self) -> None:
        """The program closes the session of now."""
        self.session.close()

    def abort(self) -> None:
        """The program aborts the session of now."""
        self.session.abort()

    @property
    def machine(self) -> Any:
        """The conversation."""
        return self.protocol._conversation
