"""Transports that count their bytes and keep to a rate, under unchanged protocols.

:func:`meter` makes a listening port build them, unless its reactor's own transports are metered
(:mod:`netsuite.net.reactor`). They are Twisted's TCP and UNIX transports, which count what
passes the socket, say whether the peer owes them reading, and can be held to a rate. Reading
too fast is answered by not reading, writing too fast by not writing: the kernel's buffers fill
and TCP tells the peer, our own fills and the producer is paused. Nothing is buffered for a
rate's sake.

What a protocol writes while it is given bytes is sent as soon as it has been given them, all of it
together: mostly the socket takes it, and no turn of the reactor is waited for.

A connection under a rate takes its tokens one turn ahead (:mod:`netsuite.net._shaping`), so
a byte's way costs a subtraction and a comparison, and the clock is asked once a turn.
"""

from collections.abc import Callable, Sequence
from errno import ENOBUFS, EWOULDBLOCK
from socket import IPPROTO_TCP, SO_ERROR, SOL_SOCKET, TCP_NODELAY
from typing import Any

from twisted.internet import main, tcp, unix
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IListeningPort, IReactorTime
from twisted.python.failure import Failure

from netsuite.net._meter import Meter
from netsuite.net._shaping import (
    MOST_TURN,
    SHORTEST_WAIT,
    ClientBuckets,
    Direction,
    RateBucket,
    stream_bucket,
)
from netsuite.net.endpoints import listening_ports

_TRY_AGAIN = (EWOULDBLOCK, ENOBUFS)


class Metered(Meter):
    """What is added to Twisted's server transports; see the module."""

    # In slots, because Twisted's transports fill their dictionaries to the brim: a few more
    # attributes would double them.
    __slots__ = (
        "_answer",
        "_reading",
        "_wants_reading",
        "_writing",
        "bufferSize",
        "bytes_received",
        "bytes_sent",
        "on_lost",
    )
    bytes_sent: int  # counted here
    #: Whether something is to be sent of what the protocol has written while it was given
    #: bytes; None while it is not being given any.
    _answer: bool | None
    _reading: Direction | None
    _writing: Direction | None
    doRead: Callable[[], Any]

    def __init__(self, *arguments: Any) -> None:
        self.bufferSize = MOST_TURN  # what Twisted has too
        self.bytes_received = 0
        self.bytes_sent = 0
        self.on_lost: Callable[[Failure], object] | None = None
        self._reading = self._writing = None
        self._wants_reading = False
        self._answer = None
        super().__init__(*arguments)

    def shape(
        self, reading: Sequence[RateBucket], writing: Sequence[RateBucket], clock: IReactorTime
    ) -> None:
        """Keep to rates from now on, instead of those given before.

        :param reading: each of them pays for every byte that is read; none for no rate.
        :param writing: likewise for what is written.
        """
        if self._aborting:  # type: ignore[attr-defined]  # the transport's
            return
        self._end_shaping()
        if reading:
            self._reading = Direction(reading, clock, self._read_on)
            self.doRead = self._read_within_rate
            self.bufferSize = self._reading.turn
        if writing:
            self._writing = Direction(writing, clock, self._write_on)
        self._read_on()
        self._write_on()

    @property
    def throttled(self) -> bool:
        """Whether a direction waits for a rate rather than for the peer."""
        return any(each is not None and each.waiting for each in (self._reading, self._writing))

    @property
    def unsent(self) -> bool:
        """Whether bytes wait here for the peer to read, rather than for a rate."""
        if self._writing is not None and self._writing.waiting:
            return False
        return bool(self.dataBuffer or self._tempDataBuffer)  # type: ignore[attr-defined]  # the transport's

    # Reading.

    def _dataReceived(self, data: bytes | None) -> Any:
        if not data:
            self._wants_reading = False  # there is nothing more to read
            return main.CONNECTION_DONE
        size = len(data)
        self.bytes_received += size
        if self._reading is not None:
            self._reading.credit -= size
        self._answer = False
        try:
            self.protocol.dataReceived(data)  # type: ignore[attr-defined]  # the transport's
        finally:
            wanted, self._answer = self._answer, None
            if wanted and not self._is_simple():
                self.startWriting()
                wanted = False
        return self._send_answer() if wanted else None

    def _read_within_rate(self) -> Any:
        """Stands in for ``doRead``: tokens are bought when there is something to read."""
        reading = self._reading
        if reading is not None:
            if reading.credit <= 0 and not reading.waiting:
                reading.refill()
                # What one call reads is what was just paid, up to a turn.
                self.bufferSize = min(reading.turn, reading.credit)
                reading.grow()
            if reading.waiting:
                self.reactor.removeReader(self)  # type: ignore[attr-defined]  # the transport's
                return None
        return super().doRead()  # type: ignore[misc]  # the transport's

    def startReading(self) -> None:
        """Read on, or as soon as the rate allows it."""
        self._wants_reading = True
        if self._reading is None or not self._reading.waiting:
            super().startReading()  # type: ignore[misc]  # the transport's

    def stopReading(self) -> None:
        """Read no more."""
        self._wants_reading = False
        super().stopReading()  # type: ignore[misc]  # the transport's

    def _read_on(self) -> None:
        if self._wants_reading:
            self.startReading()

    # Writing.

    def startWriting(self) -> None:
        """Write when the peer can take it; an answer to bytes that it has sent, once it is whole.

        An answer can mostly go out at once, and need not be waited for.
        """
        if self._answer is None:
            super().startWriting()  # type: ignore[misc]  # the transport's
        else:
            self._answer = True

    def stopWriting(self) -> None:
        """Write no more for now."""
        if self._answer:
            self._answer = False
        super().stopWriting()  # type: ignore[misc]  # the transport's

    def _is_simple(self) -> bool:
        """Whether there is nothing to do but to send, and nobody to ask."""
        transport: Any = self
        return bool(
            self._writing is None
            and transport.connected
            and not transport.disconnecting
            and not transport._writeDisconnecting
            and not transport._aborting
        )

    def _send_answer(self) -> Any:
        transport: Any = self
        lost = transport.doWrite()
        if lost is None and self.unsent:
            self.startWriting()
        return lost

    def writeSomeData(self, data: Any) -> Any:
        """Write what the rate allows; the number of bytes, or why the connection is lost."""
        writing = self._writing
        if writing is not None and data:
            if writing.credit <= 0 and not writing.waiting:
                writing.refill()
                writing.grow()
            if writing.waiting:
                self.stopWriting()
                return 0
            if len(data) > writing.credit:
                data = memoryview(data)[: writing.credit]
        sent = self._send(data)
        if sent.__class__ is int:
            self.bytes_sent += sent
            if writing is not None:
                writing.credit -= sent
        return sent

    def _send(self, data: Any) -> Any:
        return super().writeSomeData(data)  # type: ignore[misc]  # the transport's

    def _write_on(self) -> None:
        if self.connected and self.unsent:  # type: ignore[attr-defined]  # the transport's
            self.startWriting()

    # The end.

    def connectionLost(self, reason: Failure) -> None:
        """The connection is gone."""
        try:
            super().connectionLost(reason)  # type: ignore[misc]  # the transport's
        finally:
            self._end_shaping()
            on_lost, self.on_lost = self.on_lost, None
            if on_lost is not None:
                on_lost(reason)

    def _end_shaping(self) -> None:
        if self._reading is None and self._writing is None:
            return  # without touching its attributes: they would take more memory from then on
        for direction in (self._reading, self._writing):
            if direction is not None:
                direction.end()
        self._reading = self._writing = None
        self.bufferSize = MOST_TURN
        vars(self).pop("doRead", None)


class MeteredTCP(Metered, tcp.Server):
    """A metered TCP connection."""

    def _send(self, data: Any) -> Any:
        # What Twisted does, without what it takes for systems that we do not run on.
        if len(data) > self.SEND_LIMIT:
            data = memoryview(data)[: self.SEND_LIMIT]
        try:
            return self.socket.send(data)
        except OSError as error:
            return 0 if error.args[0] in _TRY_AGAIN else main.CONNECTION_LOST


class MeteredUNIX(Metered, unix.Server):
    """A metered connection to a UNIX socket.

    One that the peer has closed hangs up before we have closed it too, which Twisted takes for a
    connection that was lost, though all of it has been read and sent.
    """

    _peer_ended = False

    def _dataReceived(self, data: bytes | None) -> Any:
        self._peer_ended = not data
        return super()._dataReceived(data)

    def connectionLost(self, reason: Failure) -> None:
        """The connection is gone."""
        if self._peer_ended and reason.check(ConnectionLost) and not self._has_failed():
            reason = Failure(main.CONNECTION_DONE)
        super().connectionLost(reason)

    def _has_failed(self) -> bool:
        transport: Any = self
        if transport.dataBuffer or transport._tempDataBuffer or not transport.connected:
            return True
        return bool(transport.socket.getsockopt(SOL_SOCKET, SO_ERROR))


_METERED = {tcp.Server: MeteredTCP, unix.Server: MeteredUNIX}


def _send_at_once(port: Any) -> None:
    """Have no byte wait for an acknowledgement, which is 40 ms where a rate cuts a write in two.

    The connections that a listening socket accepts have its options.
    """
    listener = getattr(port, "socket", None)
    if listener is not None:
        listener.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)


def meter(port: IListeningPort) -> bool:
    """Have a listening port meter the connections that it will accept.

    :returns: whether all of its sockets can; those of other kinds stay as they are.
    """
    metered = True
    for single in listening_ports(port):
        kind = getattr(single, "transport", object)
        if kind in _METERED:
            single.transport = _METERED[kind]  # type: ignore[attr-defined]  # Twisted: "it can be replaced"
            if kind is tcp.Server:
                _send_at_once(single)
        elif not issubclass(kind, Meter):
            metered = False
    return metered


__all__ = [
    "SHORTEST_WAIT",
    "ClientBuckets",
    "Direction",
    "Meter",
    "Metered",
    "MeteredTCP",
    "MeteredUNIX",
    "RateBucket",
    "meter",
    "stream_bucket",
]
