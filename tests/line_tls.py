"""A line application with STARTTLS on a real socket, and TLS clients that are not ours."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.ssl import PrivateCertificate

from netsuite.line import Limits, LineApp, LineFactory, Session
from netsuite.line.starttls import StartTLS
from netsuite.net.test.authority import Authority
from tests.reactors import Plain, World
from tests.running import PATIENCE

AUTHORITY = Authority()
ISSUED = AUTHORITY.issue(["localhost"])
OPTIONS = PrivateCertificate.loadPEM(ISSUED.pem).options()


def client_context(version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=AUTHORITY.pem.decode())
    context.maximum_version = version
    return context


class Serving:
    """An application that listens, and what has happened to it.

    :ivar marks: the arguments of all ``MARK`` commands.
    :ivar sessions: all there were.
    """

    def __init__(self, world: World, starttls: StartTLS | None = None, **options: Any) -> None:
        self.world = world
        self.marks: list[int] = []
        self.waiting: list[Deferred[str]] = []
        self.sessions: list[Session] = []
        self.pulled = 0
        self.app = LineApp("x", limits=options.pop("limits", None) or Limits(), **options)
        self.app.add(starttls or StartTLS(OPTIONS))
        self.app.on_connect.append(self.sessions.append)
        self.factory = LineFactory(self.app, world.reactor)
        self.port = 0
        self._add_commands()

    def _add_commands(self) -> None:
        app = self.app

        @app.command()
        def mark(number: int) -> int:
            self.marks.append(number)
            return number

        @app.command()
        def wait() -> Deferred[str]:
            self.waiting.append(Deferred())
            return self.waiting[-1]

        @app.command(parallel=True)
        def pwait() -> Deferred[str]:
            self.waiting.append(Deferred())
            return self.waiting[-1]

        @app.command()
        def big(size: int) -> bytes:
            return bytes(size)

        @app.command()
        def count(upto: int) -> Iterator[str]:
            for number in range(upto):
                self.pulled += 1
                yield str(number)

        @app.command(roles=["admin"])
        def halt() -> str:
            return "halted"

    async def listen(self, factory: Any = None) -> "Serving":
        build = partial((factory or self.factory).buildProtocol, None)
        port = await self.world.listen(build)
        self.port = port.getHost().port
        return self

    def let_go(self) -> None:
        """All that waits is there."""
        waiting, self.waiting[:] = self.waiting[:], []
        for each in waiting:
            each.callback("done")

    async def plain(self) -> Plain:
        """A connection in plain text."""
        peer = socket.create_connection(("127.0.0.1", self.port))
        self.world.closing(peer.close)
        before = len(self.sessions)
        await self.world.until(lambda: len(self.sessions) > before)
        return Plain(self.world, peer)

    async def asked_for_tls(self) -> Plain:
        """A connection that is to go on with TLS."""
        peer = await self.plain()
        await peer.send(b"STARTTLS\r\n")
        assert await peer.read(4) == b"OK\r\n"
        return peer

    async def client(self, talk: Callable[[socket.socket], Any]) -> Any:
        """What a client of Python's, in a thread of its own, has to say at the end."""
        client = Client(self.port, talk)
        client.start()
        await self.world.until(lambda: not client.is_alive(), "the client")
        if client.error is not None:
            raise client.error
        return client.result

    async def over(self) -> None:
        """Wait until nobody is connected."""
        await self.world.until(lambda: not self.factory.counters.active, "the end")


class Client(threading.Thread):
    """A blocking client."""

    def __init__(self, port: int, talk: Callable[[socket.socket], Any]) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._talk = talk
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with socket.create_connection(("127.0.0.1", self._port), PATIENCE) as connection:
                self.result = self._talk(connection)
        except BaseException as error:  # noqa: BLE001 - raised again, in the test's thread
            self.error = error


def line_of(connection: socket.socket) -> bytes:
    """One line, and nothing of what follows it."""
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        assert byte, f"it ended behind {bytes(line)!r}"
        line += byte
    return bytes(line)


def ask(connection: socket.socket, line: bytes) -> bytes:
    connection.sendall(line + b"\r\n")
    return line_of(connection)


def secured(
    connection: socket.socket, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> ssl.SSLSocket:
    """The connection under TLS."""
    assert ask(connection, b"STARTTLS") == b"OK\r\n"
    return client_context(version).wrap_socket(
        connection, server_hostname="localhost", suppress_ragged_eofs=False
    )


def rest_of(tls: ssl.SSLSocket) -> bytes:
    """All until the server's close_notify; that it comes is part of it."""
    data = bytearray()
    while more := tls.recv(65_536):
        data += more
    return bytes(data)


class InMemory:
    """A TLS client whose every byte is in the test's hands."""

    def __init__(self, peer: Plain) -> None:
        self.peer = peer
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = client_context().wrap_bio(self._in, self._out, server_hostname="localhost")

    def hello(self) -> bytes:
        with suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self._out.read()

    async def shake(self, behind: bytes = b"") -> None:
        """Shake hands, and say something in the very same segment as the end of that."""
        await self.peer.send(self.hello())
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._in.write(await self.peer.read(max(1, len(self.peer.received))))
        if behind:
            self.tls.write(behind)
        await self.peer.send(self._out.read())

    async def say(self, data: bytes) -> None:
        self.tls.write(data)
        await self.peer.send(self._out.read())

    async def close(self) -> None:
        """Say that no more comes."""
        with suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        await self.peer.send(self._out.read())

    async def read(self, count: int) -> bytes:
        """So many bytes, or those before the server's close_notify."""
        data = b""
        while len(data) < count:
            try:
                more = self.tls.read(count - len(data))
            except ssl.SSLWantReadError:
                self._in.write(await self.peer.read(max(1, len(self.peer.received))))
            except ssl.SSLZeroReturnError:
                break
            else:
                if not more:
                    break
                data += more
        return data
