"""A peer of a line application in memory: for the tests of programs that have one."""

from collections import deque
from collections.abc import Callable, Collection
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from netsuite.line._errors import CommandError
from netsuite.line._machine import Conversation
from netsuite.line._session import Session
from netsuite.line._wire import END, ERROR, PUSH, unstuffed
from netsuite.line.app import LineApp
from netsuite.line.protocol import LineFactory, LineProtocol
from netsuite.net import StreamTransport

_READ = 64 * 1024  # bytes that come at once, of those that were sent at once
_LIKES = 64 * 1024  # bytes that a transport likes to keep, of those that the peer does not read
_AT_ONCE = 1024 * 1024  # bytes that the peer reads before it does something else
_MOST = 16 * _AT_ONCE  # bytes of a reply


class NoReplyError(AssertionError):
    """A reply has not come yet, or another has come."""


class LineTestClient:
    r"""One peer of an application, in one process with it, without sockets or a reactor.

    :meth:`LineApp.test_client` makes one::

        client = app.test_client()
        assert client.ask("ADD 1 2") == "3"
        assert client.lines("COUNT 3") == ["0", "1", "2"]
        assert client.ask("STORE key", literal=b"any bytes") == "9"
        assert client.send(b"ADD 1 2\nADD 3 4\n") == b"3\r\n7\r\n"
        with pytest.raises(CommandError, match="bad-argument"):
            client.ask("ADD 1 x")

    What would take time happens when the clock is advanced, and at no other moment::

        client.send(b"SLEEP 10\n")
        client.clock.advance(10)
        assert client.reply() == "OK"

    The bytes go through all that they go through on a socket: limits, the queue, back-pressure,
    timeouts. Only TLS is noted and not spoken, see :attr:`tls`. Clients of one application have
    nothing else in common.

    :param app: the application.
    :param host: the peer's IP address.
    :param secure: whether nobody on the way can read along, as with TLS.
    :param user: who has logged in already; None for nobody.
    :param roles: what that user may do.
    :param clock: the time; one of the client's own by default.
    :ivar session: as the commands see it.
    :ivar clock: the time (:class:`twisted.internet.task.Clock`).
    """

    def __init__(
        self,
        app: LineApp,
        *,
        host: str = "127.0.0.1",
        secure: bool = False,
        user: str | None = None,
        roles: Collection[str] = (),
        clock: Clock | None = None,
    ) -> None:
        self.clock = clock or Clock()
        self._line_end = app.replies.line_end
        self._transport = _Transport(self.clock, host)
        factory = _Factory(app, self.clock)
        factory.begins = (secure, user, roles)
        self._protocol = factory.buildProtocol(None)
        self._transport.connect(self._protocol)
        self.session: Session = self._protocol.session
        self._at = 0
        self._turn()

    # What the peer has read.

    @property
    def replies(self) -> bytes:
        """All that the peer has read so far, pushes too."""
        return bytes(self._transport.read)

    @property
    def pushes(self) -> list[str]:
        """The texts of all that answers nothing, the greeting among it."""
        lines = self.replies.split(self._line_end)[:-1]
        return [line[2:] for line in map(_text, lines) if line.startswith(PUSH)]

    @property
    def closed(self) -> bool:
        """Whether the application has closed the connection, and the peer has read all."""
        return self._transport.closed

    @property
    def tls(self) -> bool:
        """Whether the application has begun TLS (``STARTTLS``), which is only noted."""
        return self._transport.tls

    # What the peer does.

    def send(self, data: bytes) -> bytes:
        """Send bytes as they are, line ends included.

        :returns: what has come since the last time that something was read.
        """
        self._transport.send(data)
        return self.take()

    def take(self) -> bytes:
        """What has come since the last time that something was read, or ``b""``."""
        self._turn()
        came = bytes(self._transport.read[self._at :])
        self._at += len(came)
        return came

    def ask(self, line: str, literal: bytes | None = None) -> str:
        """Give a command, and have its reply of one line.

        :param line: as one types it, without its end.
        :param literal: bytes that follow the line; their number is put in.
        :returns: the text, ``OK`` where there is none.
        :raises CommandError: for ``ERR``.
        :raises NoReplyError: if it does not answer at once; :meth:`reply` has it later.
        """
        self._give(line, literal)
        return self.reply()

    def lines(self, line: str, literal: bytes | None = None) -> list[str]:
        """Give a command, and have its reply of several lines.

        :raises CommandError: for ``ERR``, at its end too.
        :raises NoReplyError: as for :meth:`ask`; :meth:`reply_lines` has it later.
        """
        self._give(line, literal)
        return self.reply_lines()

    def reply(self) -> str:
        """The next reply of one line that nobody has read.

        :raises CommandError: for ``ERR``.
        :raises NoReplyError: if there is none.
        """
        self._turn()
        line, self._at = self._next(self._at)
        if line == ERROR or line.startswith(f"{ERROR} "):
            raise _error(line)
        return unstuffed(line)

    def reply_lines(self) -> list[str]:
        """The next reply of several lines that nobody has read.

        :raises CommandError: for ``ERR``, at its end too.
        :raises NoReplyError: if there is none, or not all of it; then nothing was read.
        """
        found: list[str] = []
        at = self._at
        self._turn()
        while True:
            line, at = self._next(at)
            if not found and (line == ERROR or line.startswith(f"{ERROR} ")):
                self._at = at
                raise _error(line)
            if line == END or line.startswith(f"{END} {ERROR}"):
                self._at = at
                if line != END:
                    raise _error(line.removeprefix(f"{END} "))
                return found
            found.append(unstuffed(line))

    def peer_stops_reading(self, room: int = 0) -> None:
        """Read nothing from now on.

        :param room: bytes that are kept on the way before the application is told to wait.
        """
        self._transport.room = room

    def peer_reads(self) -> None:
        """Read on, beginning with what was kept."""
        self._transport.room = None
        self._turn()

    def half_close(self) -> None:
        """Send no more: the application closes when all that was sent is answered."""
        self._transport.half_close()
        self._turn()

    def disconnect(self) -> None:
        """Close the connection."""
        self._transport.lose(ConnectionDone())

    def _give(self, line: str, literal: bytes | None) -> None:
        unread = bytes(self._transport.read[self._at :]).split(self._line_end)[:-1]
        if not all(each.startswith(PUSH.encode()) for each in unread):
            raise NoReplyError(f"{line}: expected the replies before it to be read: {unread}")
        data = line.encode("utf-8", "surrogateescape")
        if literal is not None:
            data += b" {%d}\n" % len(literal) + literal
        self._transport.send(data + b"\n")

    def _next(self, at: int) -> tuple[str, int]:
        """The next line that is no push, and where it ends."""
        while True:
            read = self._transport.read
            end = read.find(self._line_end, at)
            if end < 0:
                if len(read) - self._at <= _MOST and self._transport.read_on():
                    continue
                raise NoReplyError(f"no reply yet, after {bytes(read[self._at :])[-100:]!r}")
            line = _text(bytes(read[at:end]))
            at = end + len(self._line_end)
            if not line.startswith(PUSH):
                return line, at

    def _turn(self) -> None:
        """Let happen what happens without time passing."""
        self._transport.read_on()


class _Factory(LineFactory):
    begins: tuple[bool, str | None, Collection[str]]

    def converse(self, protocol: LineProtocol, transport: StreamTransport) -> Conversation:
        secure, user, roles = self.begins
        host = transport.getPeer().host  # type: ignore[attr-defined]  # it is ours
        peer = f"[{host}]:1" if ":" in host else f"{host}:1"
        return self.app.converse(
            protocol,
            peer=peer,
            host=host,
            secure=secure,
            clock=self.clock,
            user=user,
            roles=roles,
        )


class _Transport:
    """The connection, with a peer that reads what is written at once, or not.

    :ivar read: what the peer has read.
    :ivar room: bytes that are kept while it does not read; None while it does.
    :ivar protocol: whom the application has handed the connection to, if it has.
    """

    def __init__(self, clock: Clock, host: str) -> None:
        self.protocol: Any = None
        self.read = bytearray()
        self.room: int | None = None
        self.closed = self.tls = False
        self._clock = clock
        self._host = host
        self._line: Any = None
        self._producer: Any = None
        self._paused = False
        self._unread: deque[bytes] = deque()
        self._waiting = 0
        self._share = _AT_ONCE  # bytes that the peer reads before it does something else
        self._sent: deque[bytes] = deque()
        self._reading = True
        self._ended = self._told_end = self._closing = self._lost = False

    def connect(self, line: LineProtocol) -> None:
        """Begin."""
        self._line = line
        line.makeConnection(self)

    # The peer's side.

    def send(self, data: bytes) -> None:
        """Send, in pieces such as a socket reads."""
        if self._ended or self._lost:
            raise ConnectionError("the connection is closed")
        self._sent.extend(data[at : at + _READ] for at in range(0, len(data), _READ))
        self._deliver()

    def half_close(self) -> None:
        """Send no more."""
        self._ended = True
        self._deliver()

    def read_on(self) -> bool:
        """Read what is there, and let happen what follows; whether there was anything."""
        before = len(self.read)
        self._share = _AT_ONCE
        self._drain()
        self._clock.advance(0)
        return len(self.read) > before

    def lose(self, reason: Exception) -> None:
        """The connection is gone."""
        if not self._lost:
            self._lost = self.closed = True
            self._sent.clear()
            self._unread.clear()
            (self.protocol or self._line).connectionLost(Failure(reason))

    def _deliver(self) -> None:
        while self._sent and self._reading and not self._lost:
            (self.protocol or self._line).dataReceived(self._sent.popleft())
        if self._ended and not (self._sent or self._told_end or self._lost) and self._reading:
            self._told_end = True
            half = getattr(self.protocol or self._line, "readConnectionLost", None)
            if half is None:
                self.lose(ConnectionDone())
            else:
                half()

    def _drain(self) -> None:
        while self._unread and self.room is None and self._share > 0:
            data = self._unread.popleft()
            self._waiting -= len(data)
            self._share -= len(data)
            self.read += data
        if self._unread:
            return
        if self._paused and self._producer is not None:
            self._paused = False
            self._producer.resumeProducing()
        if self._closing and not self._unread and self._producer is None and not self.closed:
            self.closed = True
            self._soon(lambda: self.lose(ConnectionDone()))

    def _soon(self, function: Callable[[], object]) -> None:
        self._clock.callLater(0, function)

    # The application's side.

    def write(self, data: bytes) -> None:
        """Send, and let the peer read it if it does."""
        if self._lost or self._closing:
            return
        self._unread.append(data)
        self._waiting += len(data)
        self._drain()
        likes = _LIKES if self.room is None else self.room
        if self._waiting > likes and self._producer is not None and not self._paused:
            self._paused = True
            self._producer.pauseProducing()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Have a producer."""
        self._producer = producer
        self._paused = False

    def unregisterProducer(self) -> None:
        """Have none any more."""
        self._producer = None
        self._drain()

    def pauseProducing(self) -> None:
        """Bring nothing."""
        self._reading = False

    def resumeProducing(self) -> None:
        """Bring what was sent."""
        self._reading = True
        self._soon(self._deliver)

    def startTLS(self, context: object) -> None:
        """Note it."""
        self.tls = True

    def loseConnection(self) -> None:
        """Close when the peer has read all."""
        self._closing = True
        self._drain()

    def abortConnection(self) -> None:
        """Close now."""
        self._unread.clear()
        self.closed = self._closing = True
        self._soon(lambda: self.lose(ConnectionAborted()))

    def getPeer(self) -> IPv4Address | IPv6Address:
        """The peer's address."""
        family = IPv6Address if ":" in self._host else IPv4Address
        return family("TCP", self._host, 1)

    def getHost(self) -> IPv4Address | IPv6Address:
        """This end's address."""
        return self.getPeer()


def _text(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape")


def _error(line: str) -> CommandError:
    code, _, text = line.removeprefix(ERROR).strip().partition(" ")
    return CommandError(code or "failed", text)
