"""Transports of uvloop and their loop in memory, for connections of the native reactor."""

from collections.abc import Callable
from typing import Any

from netsuite.net.reactor._connection import Connection
from netsuite.net.test.fake_sockets import PEER, FakeSocket, SocketReactor

#: What uvloop reads at once, in bytes.
READ_SIZE = 256_000


class Server(Connection):
    """A connection that only has to say what the log calls it."""

    logstr = "fake,0,192.0.2.7"


class FakeLoop:
    """What a connection asks of its loop."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], object]] = []

    def call_soon(self, call: Callable[..., object], *arguments: Any) -> None:
        self.soon.append(lambda: call(*arguments))

    def turn(self) -> bool:
        """Call what is due; whether there was anything."""
        due, self.soon = self.soon, []
        for call in due:
            call()
        return bool(due)


class UVClock(SocketReactor):
    """A native reactor that polls :class:`FakeUV`, and a clock."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = FakeLoop()
        self.speaker: Any = None
        self.connections: set[Any] = set()
        self.transports: dict[FakeUV, Connection] = {}

    @property
    def readers(self) -> set[Any]:
        return {each for uv, each in self.transports.items() if uv.reading}

    @readers.setter
    def readers(self, readers: set[Any]) -> None: ...

    @property
    def writers(self) -> set[Any]:
        return {each for uv, each in self.transports.items() if uv.buffer}

    @writers.setter
    def writers(self, writers: set[Any]) -> None: ...

    def poll(self) -> bool:
        moved = self.loop.turn()
        for each in list(self.transports):
            moved = each.poll() or moved
        return moved


class FakeUV:
    """As much of uvloop's TCP transport as counts here, around a fake socket."""

    def __init__(self, reactor: UVClock, sock: FakeSocket, protocol: Any) -> None:
        self._reactor = reactor
        self._socket = sock
        self._protocol = protocol
        self._high, self._low = 64 * 1024, 16 * 1024
        self._paused = False
        self._due = False
        self._end_told = self._end_due = False
        self.reading = True
        self.buffer = bytearray()

    # What connections call.

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def get_extra_info(self, name: str) -> FakeSocket:
        assert name == "socket"
        return self._socket

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = not self._socket.closed

    def get_write_buffer_size(self) -> int:
        return len(self.buffer)

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        self._high, self._low = high, low
        self._maybe_pause()

    def write(self, data: bytes | memoryview) -> None:
        """At once if nothing is before it, else a little later."""
        first = not self.buffer
        self.buffer += data
        if first and not self._paused:
            self._flush()
            return
        self._maybe_pause()
        if not self._due:
            self._due = True
            self._reactor.loop.call_soon(self._flush)

    def write_eof(self) -> None:
        self._end_due = True
        self._maybe_shut()

    def abort(self) -> None:
        self.buffer.clear()
        self.reading = False
        self._socket.close()
        self._reactor.transports.pop(self, None)
        self._reactor.loop.call_soon(lambda: self._protocol.connection_lost(None))

    # What the loop does.

    def _maybe_pause(self) -> None:
        if len(self.buffer) > self._high and not self._paused:
            self._paused = True
            self._protocol.pause_writing()

    def _maybe_shut(self) -> None:
        if self._end_due and not self.buffer:
            self._socket.shutdown(1)

    def _flush(self) -> None:
        self._due = False
        self._send()
        self._maybe_pause()

    def _send(self) -> bool:
        if not self.buffer or self._socket.closed or not self._socket.writable:
            return False
        sent = self._socket.send(bytes(self.buffer))
        del self.buffer[:sent]
        self._maybe_shut()
        if self._paused and len(self.buffer) <= self._low:
            self._paused = False
            self._protocol.resume_writing()
        return True

    def _read(self) -> bool:
        if not self.reading or not self._socket.readable or self._end_told:
            return False
        if not self._socket.incoming:
            self._end_told = True
            self._protocol.eof_received()
        elif hasattr(self._protocol, "get_buffer"):
            protocol = self._protocol
            view = protocol.get_buffer(-1)
            data = self._socket.recv(len(view))
            view[: len(data)] = data
            protocol.buffer_updated(len(data))
        else:
            self._protocol.data_received(self._socket.recv(READ_SIZE))
        return True

    def poll(self) -> bool:
        """Read and write what can be; whether there was anything."""
        read = self._read()
        return (not self._due and self._send()) or read


class Fake(Server):
    """A connection whose end is its ``fake``."""

    fake: FakeSocket

    @property
    def socket(self) -> Any:
        return self.fake


def connect_uv(protocol: Any, reactor: UVClock, socket: FakeSocket | None = None) -> Any:
    """A connection that uvloop has taken, with ``protocol`` on it; see :func:`connect`."""
    connection: Any = Fake(protocol, PEER, reactor)  # type: ignore[arg-type]  # as much as counts
    connection.fake = socket or FakeSocket()
    uv = FakeUV(reactor, connection.fake, connection)
    reactor.transports[uv] = connection
    reactor.connections.add(connection)
    connection.connection_made(uv)
    connection._choose_way()
    protocol.makeConnection(connection)
    return connection
