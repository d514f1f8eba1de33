"""A peer in memory that can begin TLS, and an application that offers it."""

import contextlib
import ssl
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.ssl import CertificateOptions, PrivateCertificate
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from netsuite.line import LineApp, LineFactory, LineProtocol, Session
from netsuite.line.starttls import StartTLS
from netsuite.net.test.authority import Authority
from netsuite.net.tls import TLSFactory

AUTHORITY = Authority()
ISSUED = AUTHORITY.issue(["localhost"])
OPTIONS: CertificateOptions = PrivateCertificate.loadPEM(ISSUED.pem).options()


class Wire(StringTransport):
    """A transport that knows its protocol, as those of sockets do."""

    protocol: Any = None
    reading = True
    aborted = False

    def pauseProducing(self) -> None:
        self.reading = False

    def resumeProducing(self) -> None:
        self.reading = True

    def abortConnection(self) -> None:
        self.aborted = True
        super().abortConnection()

    def loseConnection(self) -> None:
        if not self.disconnecting:
            super().loseConnection()

    def loseWriteConnection(self) -> None:
        """Nothing to say."""

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing here waits."""


class Connection:
    """A peer in memory, which can speak TLS once that has begun.

    :ivar said: all that came in plain text.
    :ivar heard: all that came under TLS.
    """

    def __init__(
        self, app: LineApp, *, at_once: bool = False, transport: type[Wire] = Wire
    ) -> None:
        self.clock = Clock()
        self.wire = transport()
        factory: Any = LineFactory(app, self.clock)
        if at_once:
            factory = TLSFactory(OPTIONS, False, factory, self.clock)
        protocol = self.wire.protocol = factory.buildProtocol(None)
        self.line: LineProtocol = protocol.wrappedProtocol if at_once else protocol
        protocol.makeConnection(self.wire)
        self.said = b""
        self.heard = b""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=AUTHORITY.pem.decode())
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname="localhost")
        self.shaken = False

    @property
    def begun(self) -> bool:
        """Whether the server speaks TLS."""
        return self.wire.protocol is not self.line

    def plain(self, *pieces: bytes) -> bytes:
        """Send in plain text; what comes back, in plain text."""
        for each in pieces:
            self.wire.protocol.dataReceived(each)
        data: bytes = self.wire.value()
        self.wire.clear()
        self.said += data
        return data

    def start(self) -> None:
        """Begin TLS, and shake hands."""
        assert self.plain(b"STARTTLS\r\n") == b"OK\r\n"
        self.turn()
        assert self.shaken

    def turn(self) -> None:
        """Let both sides say what they have to."""
        for _ in range(6):
            if not self.shaken:
                with contextlib.suppress(ssl.SSLWantReadError):
                    self._tls.do_handshake()
                    self.shaken = True
            if self._out.pending:
                self.wire.protocol.dataReceived(self._out.read())
            self.clock.advance(0)
            self._in.write(self.wire.value())
            self.wire.clear()
        if self.shaken:
            with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                self.heard += self._tls.read(100_000)

    def secret(self, data: bytes) -> bytes:
        """Send under TLS; what came back."""
        self._tls.write(data)
        before = len(self.heard)
        self.turn()
        return self.heard[before:]

    def say_close(self) -> None:
        """Say that no more comes, under TLS."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        self.turn()


class Slow:
    """An application with commands that wait to be let go.

    :ivar marks: the arguments of all ``MARK`` commands.
    """

    def __init__(self, *, required: bool = False, **options: Any) -> None:
        self.marks: list[int] = []
        self.waiting: list[Deferred[str]] = []
        self.app = LineApp("slow", **options)
        self.app.add(StartTLS(OPTIONS, required=required))

        @self.app.command()
        def mark(number: int) -> int:
            self.marks.append(number)
            return number

        @self.app.command()
        def wait() -> Deferred[str]:
            self.waiting.append(Deferred())
            return self.waiting[-1]

        @self.app.command(parallel=True)
        def pwait() -> Deferred[str]:
            self.waiting.append(Deferred())
            return self.waiting[-1]

        @self.app.command()
        def who(session: Session) -> str:
            return f"{session.user} {sorted(session.roles)} {session.state} {session.secure}"

        @self.app.command()
        def big(size: int) -> bytes:
            return bytes(size)

    def let_go(self) -> None:
        """All that waits is there."""
        waiting, self.waiting[:] = self.waiting[:], []
        for each in waiting:
            each.callback("done")
