"""What transcripts are kept in, and an application with one."""

import json
from collections.abc import Iterator
from typing import Any

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from netsuite.line import Block, LineApp, LineFactory, Rest, Session
from netsuite.line.auth import Authentication, Delay, Tokens
from netsuite.line.transcript import Transcript


class Kept:
    """A target that keeps lines, or breaks."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.breaks: Exception | None = None

    def write(self, data: bytes) -> None:
        if self.breaks is not None:
            raise self.breaks
        self.lines.append(data)

    @property
    def records(self) -> list[dict[str, Any]]:
        for line in self.lines:
            assert line.endswith(b"\n"), line
            assert b"\n" not in line[:-1], line
        return [json.loads(line) for line in self.lines]

    @property
    def said(self) -> list[tuple[Any, ...]]:
        """Direction and text of each."""
        return [(each["direction"], each.get("text")) for each in self.records]


class Serving:
    """An application with a transcript."""

    def __init__(self, transcript: Transcript, **options: Any) -> None:
        self.clock = Clock()
        self.app = LineApp("x", **options)
        self.app.add(transcript)
        self.later: Deferred[str] = Deferred()

        @self.app.command()
        def add(a: int, b: int) -> int:
            return a + b

        @self.app.command()
        def echo(text: Rest) -> str:
            return text

        @self.app.command()
        def store(key: str, data: Block) -> int:
            return len(data)

        @self.app.command()
        def raw(size: int) -> bytes:
            return bytes(size)

        @self.app.command()
        def count(upto: int) -> Iterator[str]:
            yield from map(str, range(upto))

        @self.app.command(secret=True)
        def unlock(door: int, code: str) -> str:
            return f"door {door} is open"

        @self.app.command(parallel=True)
        def slow() -> Deferred[str]:
            return self.later

        @self.app.command()
        def push(session: Session) -> None:
            session.send("hello")

        checker = InMemoryUsernamePasswordDatabaseDontUse(bob=b"hunter2")
        tokens = Tokens()
        tokens.add("hunter2", "ci")
        self.app.add(
            Authentication(
                [checker],
                tokens=tokens,
                required=False,
                plain_over_plaintext=True,
                delay=Delay(first=0),
                attempts=1000,
            )
        )
        self.factory = LineFactory(self.app, self.clock)

    def peer(self, host: str = "192.0.2.7") -> Any:
        protocol: Any = self.factory.buildProtocol(None)
        address = IPv4Address("TCP", host, 4711)
        protocol.makeConnection(StringTransport(peerAddress=address))
        return protocol
