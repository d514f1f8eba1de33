"""Applications with channels, and their peers: in memory, and as exact as a test likes."""

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock

from netsuite.line import CommandError, Limits, LineApp, Session
from netsuite.line._replies import Replies
from netsuite.line._test_client import LineTestClient
from netsuite.line.channels import Channels


class Served:
    """An application with channels, and peers that share the time."""

    def __init__(self, limits: Limits | None = None, **options: Any) -> None:
        self.clock = Clock()
        self.app = LineApp("x", limits=limits)
        self.channels = Channels(**options)
        self.app.add(self.channels)

    def peer(self, *names: str, **options: Any) -> LineTestClient:
        """A peer that listens to channels."""
        client = self.app.test_client(clock=self.clock, **options)
        if names:
            assert client.ask(f"SUBSCRIBE {' '.join(names)}") == "OK"
        return client

    def listener(self, *names: str, replies: Replies | None = None) -> "Listener":
        """A session that listens to channels, without a connection."""
        listener = Listener(self, replies)
        self.channels.subscribe(listener.session, *names)
        return listener

    def publish(self, name: str, *texts: str) -> None:
        """Publish, all in one turn, and end it."""
        for text in texts:
            self.channels.publish(name, text)
        self.turn()

    def turn(self) -> None:
        """Let the turn end."""
        self.clock.advance(0)


class Listener:
    """A session, and what stands for its connection.

    :ivar taken: what was sent to it, as it was sent.
    :ivar room: how many more times it can be; None for ever.
    :ivar on_push: called before something is taken.
    :ivar closed: what it was told last, if it was closed.
    """

    def __init__(self, served: Served, replies: Replies | None = None) -> None:
        self.taken: list[bytes] = []
        self.room: int | None = None
        self.on_push: Callable[[], object] | None = None
        self.closed: list[CommandError | None] = []
        self.aborted = False
        self._refused = False
        app = served.app
        replies = replies or app.replies
        self.session = Session(app, self, replies, peer="192.0.2.1:1", clock=served.clock)

    @property
    def pushes(self) -> list[str]:
        """Lines that were sent, without MESSAGE."""
        lines = b"".join(self.taken).decode().split("\r\n")[:-1]
        assert all(line.startswith("* ") for line in lines), lines
        return [line.removeprefix("* ").removeprefix("MESSAGE ") for line in lines]

    def read(self, room: int | None = None) -> list[str]:
        """Read on, so many times; the lines that come."""
        self.taken.clear()
        self.room = room
        if self._refused and room != 0:
            self._refused = False
            self.session.became_writable()
        return self.pushes

    # As a session sees it.

    @property
    def writable(self) -> bool:
        return self.room != 0

    def push(self, data: bytes) -> bool:
        if self.on_push is not None:
            self.on_push()
        if self.room == 0 or self.session.ended:
            self._refused = True
            return False
        if self.room is not None:
            self.room -= 1
        self.taken.append(data)
        return True

    def close(self, error: CommandError | None = None) -> None:
        self.closed.append(error)

    def abort(self) -> None:
        self.aborted = True

    def failed(self, name: str, error: BaseException) -> None:
        raise error

    def watch(self, watching: bool) -> None:
        """Nobody watches."""

    def start_tls(self, context: Any) -> None:
        raise NotImplementedError

    def upgrade(self, take: Callable[[Any, bytes], Any]) -> None:
        raise NotImplementedError


class Turns:
    """Turns that a test ends itself, one after the other."""

    def __init__(self) -> None:
        self.later: list[Any] = []

    def soon(self, function: Any) -> None:
        self.later.append(function)

    def end(self) -> None:
        """End one."""
        later, self.later = self.later, []
        for function in later:
            function()
