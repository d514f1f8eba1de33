"""Sockets and a reactor in memory, for Twisted's own transports."""

import errno
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableDescriptor
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from netsuite.net.metered import Metered, MeteredTCP

PEER = ("192.0.2.7", 50_000)


class FakeSocket:
    """Our end of a connection.

    :param window: how many bytes the kernel takes before the peer reads any.
    :ivar incoming: what the peer has sent and nobody has read.
    :ivar received: what the peer's side has taken.
    :ivar calls: the sizes of what single calls of ``recv`` and ``send`` moved.
    """

    def __init__(self, window: int = 2**40) -> None:
        self.window = window
        self.incoming = bytearray()
        self.received = bytearray()
        self.calls: list[int] = []
        self.ended = False
        self.closed = False
        self.reset = False
        self.shut = False

    def fileno(self) -> int:
        return -1 if self.closed else 7

    def setblocking(self, flag: bool) -> None: ...

    def setsockopt(self, *option: object) -> None:
        self.reset = True  # SO_LINGER, the only one that Twisted sets

    def shutdown(self, how: int) -> None:
        self.shut = True

    def close(self) -> None:
        self.closed = True

    @property
    def readable(self) -> bool:
        return bool(self.incoming) or self.ended

    @property
    def writable(self) -> bool:
        return len(self.received) < self.window

    def recv(self, size: int) -> bytes:
        if not self.readable:
            raise BlockingIOError(errno.EWOULDBLOCK, "nothing there")
        data = bytes(self.incoming[:size])
        del self.incoming[:size]
        self.calls.append(len(data))
        return data

    def send(self, data: bytes) -> int:
        room = self.window - len(self.received)
        if room <= 0:
            raise BlockingIOError(errno.EWOULDBLOCK, "full")
        self.received += data[:room]
        self.calls.append(min(room, len(data)))
        return min(room, len(data))


class SocketReactor(Clock):
    """A reactor that polls :class:`FakeSocket`, and a clock."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[Any] = set()
        self.writers: set[Any] = set()

    def addReader(self, reader: Any) -> None:
        self.readers.add(reader)

    def addWriter(self, writer: Any) -> None:
        self.writers.add(writer)

    def removeReader(self, reader: Any) -> None:
        self.readers.discard(reader)

    def removeWriter(self, writer: Any) -> None:
        self.writers.discard(writer)

    def poll(self) -> bool:
        """One turn: whether anything could be read or written."""
        moved = False
        for reader in [each for each in self.readers if each.socket.readable]:
            if reader in self.readers:
                moved = True
                self._act(reader, reader.doRead(), is_read=True)
        for writer in [each for each in self.writers if each.socket.writable]:
            if writer in self.writers:
                moved = True
                self._act(writer, writer.doWrite(), is_read=False)
        return moved

    def _act(self, transport: Any, why: Any, *, is_read: bool) -> None:
        if why is None:
            return
        self.removeReader(transport)
        reason = Failure(why)
        half = is_read and reason.check(ConnectionDone)
        if half and IHalfCloseableDescriptor.providedBy(transport):
            transport.readConnectionLost(reason)
        else:
            self.removeWriter(transport)
            transport.connectionLost(reason)

    def run(self, seconds: float) -> None:
        """Let time pass, and all happen in it that can."""
        end = self.seconds() + seconds
        while True:
            while self.poll():
                pass
            due = min((call.getTime() for call in self.getDelayedCalls()), default=end)
            self.advance(max(0.0, min(due, end) - self.seconds()))
            if due > end or (due == end and not self.getDelayedCalls()):
                return


def connect(
    protocol: Any,
    reactor: SocketReactor,
    socket: FakeSocket | None = None,
    *,
    transport: type[Metered] = MeteredTCP,
) -> Any:
    """A metered transport with ``protocol`` on it; its end is its ``socket``."""
    made: Any = transport(socket or FakeSocket(), protocol, PEER, None, 0, reactor)
    protocol.makeConnection(made)
    return made
