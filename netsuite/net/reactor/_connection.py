"""A TCP connection on uvloop's transport, with the face of Twisted's.

The way of the bytes is short: :meth:`Connection.data_received` gives what uvloop has read to the
protocol, and :meth:`Connection.write` gives what the protocol writes to uvloop, as long as
nothing special is going on (``_out`` is set). What is special (TLS by ``startTLS``, a pull
producer, rates, closing) takes :meth:`Connection.write_below`.

uvloop writes at once, so there is no buffer of ours: what the kernel does not take is libuv's,
with the marks of Twisted's transports: a streaming producer is paused above 64 KiB, and
resumed when all is written.
"""

import os
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from socket import SO_LINGER, SOL_SOCKET
from typing import TYPE_CHECKING, Any

from twisted.internet import error, main
from twisted.internet._newtls import startTLS
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    ILoggingContext,
    IPushProducer,
    ISystemHandle,
    ITCPTransport,
    ITLSTransport,
)
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python import log
from twisted.python.failure import Failure
from zope.interface import implementer

from netsuite.net.reactor._below_tls import TLS_PIECE, BelowTLS, RecordsWay
from netsuite.net.reactor._rates import Rates
from netsuite.net.reactor._rates_face import RatesFace
from netsuite.net.reactor._socket import Early, Handle, Pieces, SocketFace, accepted, joined

if TYPE_CHECKING:
    from netsuite.net.reactor._reactor import UVReactor

#: A streaming producer is paused when more waits to be written, in bytes: what Twisted has.
BUFFER_SIZE = 64 * 1024

_DONE = Failure(main.CONNECTION_DONE)
_LOST = Failure(main.CONNECTION_LOST)
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@implementer(
    IConsumer,
    ILoggingContext,
    IPushProducer,
    ISystemHandle,
    ITCPTransport,
    ITLSTransport,
)
class Connection(SocketFace, RatesFace):
    """A connected transport.

    :param peer: the address of the peer's socket.

    :ivar reading: whether the protocol wants to read.
    """

    # Most of these are of every connection, so that there is no dictionary for each.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_due",
        "_early",
        "_no_delay",
        "_out",
        "_uv",
        "_written",
        "bytes_received",
        "connected",
        "disconnected",
        "disconnecting",
        "on_lost",
        "peer",
        "producer",
        "producerPaused",
        "protocol",
        "reactor",
        "reading",
        "streamingProducer",
    )

    TLS = False
    _buffer_size = BUFFER_SIZE
    _aborting = False
    _socket: Handle | None = None
    _writeDisconnecting = False
    _writeDisconnected = False
    _tlsClientDefault = False
    #: Under TLS, what is written until the loop's next turn.
    _gathered: Pieces | None = None
    _rates: Rates | None = None

    logstr: str

    def __init__(self, protocol: Any, peer: tuple[Any, ...], reactor: "UVReactor") -> None:
        self.protocol = protocol
        self.peer = peer
        self.reactor = reactor
        self.connected = True
        self.disconnected = self.disconnecting = False
        self.producer: Any = None
        self.streamingProducer = self.producerPaused = False
        self.reading = True
        self.bytes_received = 0
        self.on_lost: Callable[[Failure], object] | None = None
        self._due = False
        self._written = 0
        self._no_delay = None
        self._uv: Any = None
        self._out: Any = None
        self._early: Early | None = None

    # From the socket to uvloop.

    def begin_with(self, descriptor: int) -> None:
        """Begin with a connected socket's descriptor, which is ours from now on.

        uvloop takes it when there is something to do: until then a connection costs little
        more than its protocol.
        """
        self._early = Early(descriptor)
        self.reactor.park(self, descriptor)

    def take(self) -> None:
        """Have uvloop take the connection, in the loop's next turn."""
        early = self._early
        if early is None or not early.parked:
            return
        early.parked = False
        reactor = self.reactor
        reactor.unpark(early.descriptor)
        accepted.family = self.family
        accepted.number = early.descriptor
        taking = reactor.loop.connect_accepted_socket(self._itself, accepted)  # type: ignore[arg-type]  # all of a socket that uvloop asks for
        try:
            taking.send(None)
        except OSError:  # the socket is not one any more
            early.parked = True
            self._lose(_LOST)
            return
        # Of the handles of the next turn this one comes right after connection_made.
        reactor.loop.call_soon(self._taken, taking)

    def _itself(self) -> Any:
        return self

    def connection_made(self, transport: Any) -> None:
        """Uvloop has taken the connection."""
        self._uv = transport

    def _taken(self, taking: Any) -> None:
        """Catch up with what has happened in the meantime; nothing has been read yet."""
        with suppress(StopIteration):
            taking.send(None)
        early, self._early = self._early, None
        if self.disconnected:
            self._end()
            return
        if not self.reading:
            self._uv.pause_reading()
        if self._no_delay is False:
            self.setTcpNoDelay(False)  # uvloop has just set it
        if self._rates is not None:
            self._go_by(self._rates)
        self._choose_way()
        if self.producer is not None or self._rates is not None:
            self._set_marks()
        if early is not None and early.written is not None and not self._aborting:
            self._write_out(early.written.joined())
            self._after_write(early.size)
        if self.disconnecting or self._writeDisconnecting:
            self._when_written()

    def _choose_way(self) -> None:
        """Let writes go straight to uvloop, if that is all there is to them."""
        direct = not (
            self._early is not None
            or self.TLS
            or self.disconnecting
            or self._writeDisconnecting
            or self._aborting
            or (self.producer is not None and not self.streamingProducer)
            or self._buffer_size != BUFFER_SIZE
            or (self._rates is not None and self._rates.writing is not None)
        )
        if not direct:
            self._out = None
        elif isinstance(self.protocol, TLSMemoryBIOProtocol):
            self._out = RecordsWay(self)
        else:
            self._out = self._uv

    # Reading.

    def data_received(self, data: bytes) -> None:
        """Uvloop has read."""
        self.bytes_received += len(data)
        reactor = self.reactor
        reactor.speaker = self
        try:
            self.protocol.dataReceived(data)
        except BaseException:  # noqa: BLE001 - it is the program's, and logged
            self._failed()
        reactor.speaker = None

    def eof_received(self) -> bool:
        """The peer will send no more (RFC 9293 section 3.6)."""
        self.reactor.speaker = self
        try:
            self.readConnectionLost(_DONE)
        except BaseException:  # noqa: BLE001 - it is the program's, and logged
            self._failed()
        self.reactor.speaker = None
        return True  # closing is up to us

    def readConnectionLost(self, reason: Failure) -> None:
        """Tell a protocol that knows half-close, or close."""
        protocol: Any = IHalfCloseableProtocol(self.protocol, None)
        if protocol is None:
            self.connectionLost(reason)
        else:
            self.reading = False
            protocol.readConnectionLost()

    def startReading(self) -> None:
        """Read."""
        self.reading = True
        if self._early is None and not self.disconnected:
            rates = self._rates
            if rates is None or rates.reading is None or not rates.reading.waiting:
                self._uv.resume_reading()

    def stopReading(self) -> None:
        """Do not read."""
        self.reading = False
        if self._early is None and not self.disconnected:
            self._uv.pause_reading()

    def pauseProducing(self) -> None:
        """Do not read."""
        self.stopReading()

    def resumeProducing(self) -> None:
        """Read on."""
        if self.connected and not self.disconnecting:
            self.startReading()

    def stopProducing(self) -> None:
        """Close."""
        self.loseConnection()

    # Writing.

    def write(self, data: bytes) -> None:
        """Write; what the peer does not read yet is kept."""
        out = self._out
        if out is not None and data.__class__ is bytes:
            size = len(data)
            self._written += size
            out.write(data)
            if size > BUFFER_SIZE:
                self._after_write(size)
        elif not self.TLS:
            self.write_below(data)
        elif self.connected:
            self.protocol.write(data)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """Write some pieces, as one."""
        self.write(joined(iovec))

    def write_below(self, data: bytes) -> None:
        """Write, below TLS, whatever else is going on."""
        if not isinstance(data, bytes):
            raise TypeError("Data must be bytes")
        if not self.connected or self._writeDisconnected or self._aborting or not data:
            return
        tls = isinstance(self.protocol, TLSMemoryBIOProtocol)
        if tls and self.protocol._aborted:
            return
        self._written += len(data)
        if self._early is not None:
            self._early.add(data)
            self.take()
        elif tls and (self._gathered is not None or len(data) >= TLS_PIECE):
            self.gather(data)
        else:
            self._write_out(data)
        self._after_write(len(data))

    def _write_out(self, data: bytes) -> None:
        if self._rates is not None and self._rates.writing is not None:
            self._rates.write(data)
        else:
            self._uv.write(data)

    def take_back(self, size: int) -> None:
        """So many bytes are not written after all."""
        self._written -= size

    def gather(self, data: bytes) -> None:
        """Write in the loop's next turn, as one, what TLS writes piece by piece."""
        if self._gathered is None:
            self._gathered = Pieces()
            self.reactor.loop.call_soon(self._write_gathered)
        self._gathered.add(data)

    def _write_gathered(self) -> None:
        gathered, self._gathered = self._gathered, None
        if gathered is not None and not self.disconnected and not self._aborting:
            self._write_out(gathered.joined())
            self._after_write(0)

    def _after_write(self, size: int) -> None:
        """Keep a producer to what it may write at once, and take up again what waits for it.

        Twisted's transports pause a producer that writes more than that, even where the kernel
        would take it all.
        """
        buffered = self.buffered
        if max(size, buffered) > self.bufferSize:
            self._pause_producer()
            if 0 < buffered <= BUFFER_SIZE and self._early is None and not self.disconnected:
                # Of less than its mark uvloop would not say when it is written.
                self._uv.set_write_buffer_limits(0, 0)
        if not buffered and (
            self.producer is not None or self.disconnecting or self._writeDisconnecting
        ):
            self._soon()

    def _pause_producer(self) -> None:
        if self.producer is not None and self.streamingProducer and not self.producerPaused:
            self.producerPaused = True
            self.producer.pauseProducing()

    @property
    def bufferSize(self) -> int:
        """A streaming producer is paused when more waits to be written, in bytes."""
        return self._buffer_size

    @bufferSize.setter
    def bufferSize(self, size: int) -> None:
        self._buffer_size = size
        if self._early is None and not self.disconnected:
            self._choose_way()

    @property
    def _tempDataBuffer(self) -> range:
        """Programs look there for whether something is left to be written."""
        return range(self.buffered)

    @property
    def buffered(self) -> int:
        """Bytes that are written, and not yet to the socket."""
        if self._early is not None:
            return self._early.size
        if self.disconnected:
            return 0
        size = int(self._uv.get_write_buffer_size())
        if self._gathered is not None:
            size += self._gathered.size
        return size if self._rates is None else size + self._rates.queued

    @property
    def bytes_sent(self) -> int:
        """To the socket, which under TLS is ciphertext."""
        return self._written - self.buffered

    def pause_writing(self) -> None:
        """Uvloop keeps more than its mark."""
        if self.buffered > self.bufferSize:
            self._pause_producer()

    def resume_writing(self) -> None:
        """Uvloop keeps less than its other mark."""
        if self._rates is not None:
            self._rates.write_on()
        self._all_written()

    def _when_written(self) -> None:
        """Go on in :meth:`_all_written` when nothing is left to write."""
        early = self._early
        if early is not None:
            if early.parked and self.disconnecting:
                self._soon()
            else:
                self.take()
            return
        self._choose_way()
        self._uv.set_write_buffer_limits(0, 0)
        if not self.buffered:
            self._soon()

    def _soon(self) -> None:
        if not self._due:
            self._due = True
            self.reactor.loop.call_soon(self._all_written)

    def _all_written(self) -> None:
        """There may be nothing left to write: whose turn is it?"""
        self._due = False
        if self.disconnected or self.buffered:
            return
        self.reactor.speaker = self
        try:
            producer = self.producer
            if producer is not None and (not self.streamingProducer or self.producerPaused):
                self.producerPaused = False
                self._set_marks()
                producer.resumeProducing()
            elif self.disconnecting:
                self.connectionLost(_DONE)
            elif self._writeDisconnecting and not self._writeDisconnected:
                self._writeDisconnected = True
                self._uv.write_eof()
                protocol: Any = IHalfCloseableProtocol(self.protocol, None)
                if protocol is not None:
                    protocol.writeConnectionLost()
        except BaseException:  # noqa: BLE001 - it is the program's, and logged
            self._failed()
        self.reactor.speaker = None

    # Producers.

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Have a producer, which is paused and resumed."""
        if self.TLS:
            self.protocol.registerProducer(producer, streaming)
        else:
            self.register_below(producer, streaming)

    def register_below(self, producer: Any, streaming: bool) -> None:
        """The same, below TLS."""
        if self.producer is not None:
            raise RuntimeError(
                f"Cannot register producer {producer}, because producer {self.producer} "
                "was never unregistered."
            )
        if self.disconnected:
            producer.stopProducing()
            return
        self.producer = producer
        self.streamingProducer = streaming
        self.producerPaused = False
        if self._early is None:
            self._choose_way()
            self._set_marks()
        if not streaming:
            producer.resumeProducing()
            if self._written:
                self._soon()  # Twisted's transports would still be writing what came before

    def _set_marks(self) -> None:
        self._uv.set_write_buffer_limits(0 if self._out is None else BUFFER_SIZE, 0)

    def unregisterProducer(self) -> None:
        """Have no producer any more."""
        if self.TLS:
            self.protocol.unregisterProducer()
        else:
            self.unregister_below()

    def unregister_below(self) -> None:
        """The same, below TLS."""
        self.producer = None
        if self._early is None and not self.disconnected:
            self._choose_way()
            if self.disconnecting:
                self._when_written()

    def stopConsuming(self) -> None:
        """A producer is gone: close."""
        self.unregisterProducer()
        self.loseConnection()

    # Closing.

    def loseConnection(self) -> None:
        """Close when all is written, and no producer has more."""
        if not self.TLS:
            self.lose_below()
        elif self.connected and not self.disconnecting:
            self.protocol.loseConnection()

    def lose_below(self) -> None:
        """The same, below TLS."""
        if not self.connected or self.disconnecting:
            return
        self.stopReading()
        if self._writeDisconnected:
            self.connectionLost(_DONE)
        else:
            self.disconnecting = True
            self._when_written()

    def loseWriteConnection(self) -> None:
        """Say that we send no more, when all is written."""
        self._writeDisconnecting = True
        if self.connected:
            self._when_written()

    def abortConnection(self) -> None:
        """Close with a reset, and drop what is not yet written."""
        if self.disconnected or self._aborting:
            return
        self._aborting = True
        self.stopReading()
        self._out = None
        self.reactor.loop.call_soon(self._aborted)

    def _aborted(self) -> None:
        self._lose(Failure(error.ConnectionAborted()))

    def connection_lost(self, exception: Exception | None) -> None:
        """Uvloop has lost the connection, or has closed it for us."""
        if not self.disconnected:
            self._lose(_DONE if exception is None else _LOST)
        self._uv = None

    def _failed(self) -> None:
        """Code of the program's has raised: the connection is not to be relied on."""
        failure = Failure()
        log.err(failure)
        self._lose(failure)

    def _lose(self, reason: Failure) -> None:
        self.reactor.speaker = self
        try:
            self.connectionLost(reason)
        except BaseException:  # noqa: BLE001 - it is the program's, and logged
            log.err()
        self.reactor.speaker = None

    def connectionLost(self, reason: Failure) -> None:
        """The connection is over: tell everybody, once."""
        if self.disconnected:
            return
        producer, self.producer = self.producer, None
        try:
            if producer is not None:
                producer.stopProducing()
        finally:
            self.forsake()
            protocol = self.protocol
            del self.protocol
            try:
                protocol.connectionLost(reason)
            finally:
                on_lost, self.on_lost = self.on_lost, None
                if on_lost is not None:
                    on_lost(reason)

    def forsake(self) -> None:
        """Close the socket, and tell nobody."""
        self._written -= self.buffered  # it will not be sent
        self.disconnected, self.connected = True, False
        self.reading = False
        self._out = None
        if self._rates is not None:
            self._rates.end()
        self.reactor.connections.discard(self)
        early = self._early
        if early is None or early.parked:
            self._end()

    def _end(self) -> None:
        """Close the socket."""
        if self._aborting:
            self._ask_socket("setsockopt", SOL_SOCKET, SO_LINGER, _RESET_ON_CLOSE)
        if self._socket is not None:
            self._socket.detach()  # its descriptor is closed here
        if self._early is None:
            self._uv.abort()
        else:
            self.reactor.unpark(self._early.descriptor)
            os.close(self._early.descriptor)

    # Names.

    def logPrefix(self) -> str:
        """What the log calls this connection."""
        return self.logstr

    # TLS.

    def startTLS(self, ctx: Any, normal: bool = True) -> None:
        """Start TLS on this connection (RFC 8446)."""
        startTLS(self, ctx, normal, BelowTLS)
        self._choose_way()
