"""Clients that close one direction at a time."""

import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable

from tests.running import PATIENCE

CHUNK = 256 * 1024


def payload(size: int) -> bytes:
    """``size`` bytes in which a lost, doubled or moved block shows: counted words."""
    return struct.pack(f"!{size // 8 + 1}Q", *range(size // 8 + 1))[:size]


def read_all(connection: socket.socket) -> bytes:
    """Everything until the peer closes."""
    parts: list[bytes] = []
    while data := connection.recv(CHUNK):
        parts.append(data)
    return b"".join(parts)


def exchange(connection: socket.socket, data: bytes) -> bytes:
    """Send ``data``, close the sending direction, and read all that comes back."""

    def send() -> None:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        return read_all(connection)
    finally:
        sender.join()


class TLSExchange:
    """A TLS client that can say ``close_notify`` and go on reading (RFC 8446 section 6.1).

    :param progress: called each time that something has come back.
    :param go_on: until it is set, no more than half of ``data`` is sent.
    :ivar received: all that came back.
    :ivar saw_close: whether the peer's ``close_notify`` came.
    """

    def __init__(
        self,
        connection: socket.socket,
        data: bytes,
        *,
        close_notify: bool,
        fin: bool,
        version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
        progress: Callable[[], object] = lambda: None,
        go_on: threading.Event | None = None,
    ) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.maximum_version = version
        self._connection = connection
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        self._to_encrypt = memoryview(data)
        self._to_send = b""
        self._close_notify, self._fin = close_notify, fin
        self._said_close = self._sent_fin = self._ended = False
        self._parts: list[bytes] = []
        self._progress = progress
        self._go_on = go_on
        self._half = len(data) // 2
        self.saw_close = False
        self._handshake()
        connection.setblocking(False)
        while not (self._ended or self.saw_close):
            self._step()

    @property
    def received(self) -> bytes:
        return b"".join(self._parts)

    def _handshake(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._connection.sendall(self._outgoing.read())
                self._incoming.write(self._connection.recv(CHUNK))
            else:
                return

    def _step(self) -> None:
        self._encrypt()
        if self._outgoing.pending and not self._to_send:
            self._to_send = self._outgoing.read()
        if self._done_sending() and self._fin and not self._sent_fin:
            self._sent_fin = True
            self._connection.shutdown(socket.SHUT_WR)
        writers = [self._connection] if self._to_send else []
        halted = self._halted()
        patience = 0.05 if halted else PATIENCE
        readable, writable, _ = select.select([self._connection], writers, [], patience)
        assert readable or writable or halted, "neither direction moves"
        if writable:
            self._to_send = self._to_send[self._connection.send(self._to_send) :]
        if readable:
            self._read()

    def _encrypt(self) -> None:
        if self._to_send or self._outgoing.pending or self._halted():
            return
        if self._to_encrypt:
            self._tls.write(self._to_encrypt[:CHUNK])
            self._to_encrypt = self._to_encrypt[CHUNK:]
        elif self._close_notify and not self._said_close:
            self._said_close = True
            try:
                self._tls.unwrap()
            except ssl.SSLWantReadError:
                return  # said, and not answered yet

    def _halted(self) -> bool:
        """Whether half is sent, and the rest has to wait."""
        waits = self._go_on is not None and not self._go_on.is_set()
        return waits and len(self._to_encrypt) <= self._half

    def _done_sending(self) -> bool:
        said = self._said_close or not self._close_notify
        return said and not (self._to_encrypt or self._to_send or self._outgoing.pending)

    def _read(self) -> None:
        data = self._connection.recv(CHUNK)
        if not data:
            self._ended = True
            return
        self._incoming.write(data)
        while not self.saw_close:
            try:
                plain = self._tls.read(CHUNK)
            except ssl.SSLWantReadError:
                return
            except ssl.SSLZeroReturnError:
                plain = b""
            self._parts.append(plain)
            self.saw_close = not plain
            self._progress()


class TLSTransfer(threading.Thread):
    """Sends ``data`` over TLS and reads it back; half of it waits for ``go_on``.

    :ivar begun: set once something has come back.
    """

    def __init__(self, port: int, data: bytes, go_on: threading.Event) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._data = data
        self._go_on = go_on
        self.begun = threading.Event()
        self.received = b""

    def run(self) -> None:
        with socket.create_connection(("127.0.0.1", self._port), PATIENCE) as connection:
            done = TLSExchange(
                connection,
                self._data,
                close_notify=True,
                fin=False,
                progress=self.begun.set,
                go_on=self._go_on,
            )
            self.received = done.received
