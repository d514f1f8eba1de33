"""An application for the front ends, and a transport for them."""

from collections.abc import Iterator
from typing import Any, Literal

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport

from netsuite.line import Block, Limits, LineApp, Rest, Session


class FrontApp(LineApp):
    """Commands of every kind.

    :ivar waiting: what WAIT has promised.
    :ivar pulled: how many lines of COUNT were asked for.
    """

    def __init__(self, **given: Any) -> None:
        super().__init__("calc", limits=given.pop("limits", Limits()), **given)
        self.waiting: list[Deferred[str]] = []
        self.pulled = 0
        self.sessions: list[Session] = []
        self.on_connect.append(self.sessions.append)

        @self.command(aliases=["PLUS"])
        def add(a: int, b: int) -> int:
            """Add two numbers."""
            return a + b

        @self.command()
        def address(host: str) -> None:
            """Do nothing."""

        @self.command()
        def paint(colour: Literal["red", "green", "grey"], *more: Literal["big", "small"]) -> str:
            """Paint."""
            return colour

        @self.command()
        def count(upto: int) -> Iterator[str]:
            """Count."""
            for number in range(upto):
                self.pulled += 1
                yield str(number)

        @self.command()
        def wait() -> Deferred[str]:
            """Take time."""
            self.waiting.append(Deferred())
            return self.waiting[-1]

        @self.command()
        def say(text: Rest) -> Iterator[str]:
            """Say lines."""
            yield from text.split("|")

        @self.command()
        def store(key: str, data: Block) -> int:
            """Store."""
            return len(data)

        @self.command()
        def raw(text: bytes) -> bytes:
            """Answer bytes."""
            return text

        @self.command(secret=True)
        def auth(word: Rest) -> None:
            """Log in."""

        @self.command(roles=["admin"])
        def reset() -> None:
            """Only for some."""

        @self.command()
        def who(session: Session) -> str:
            """Say who asks."""
            return f"{session.user} {','.join(sorted(session.roles))} {session.secure}"


class Transport(StringTransport):
    """One that is full when more than ``room`` bytes wait, as real ones are."""

    room = 64 * 1024
    aborted = write_closed = False
    full = False

    def write(self, data: bytes) -> None:
        super().write(data)
        if len(self.value()) > self.room and self.producer is not None and not self.full:
            self.full = True
            self.producer.pauseProducing()

    def take(self) -> bytes:
        """What was written; the peer reads all of it."""
        data: bytes = self.value()
        self.clear()
        if self.full:
            self.full = False
            if self.producer is not None:
                self.producer.resumeProducing()
        return data

    def loseWriteConnection(self) -> None:
        self.write_closed = True

    def abortConnection(self) -> None:
        self.aborted = True

    @property
    def reading(self) -> bool:
        return self.producerState == "producing"


class Echo(Protocol):
    """What takes a connection over."""

    lost = False

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = True
