"""A connection of uvloop's that keeps to rates.

What is read passes here on its way from uvloop to the connection, and what is written on its
way back; tokens are bought as :class:`~netsuite.net._shaping.Direction` says.
"""

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IReactorTime

from netsuite.net._shaping import LEAST_TURN, MOST_TURN, Direction, RateBucket, turn_size

if TYPE_CHECKING:
    from netsuite.net.reactor._connection import Connection

#: What is read is taken out of it before anything else is read.
_buffer = memoryview(bytearray(MOST_TURN))


class Rates:
    """Between uvloop and a connection; the reading of slow rates is for :class:`SlowRates`.

    :param connection: whose bytes they are.
    :param reading: each of them pays for every byte that is read; none for no rate.
    :param writing: likewise for what is written.
    :param clock: for delayed calls and, by ``seconds()``, for time.
    """

    def __init__(
        self,
        connection: "Connection",
        reading: Sequence[RateBucket],
        writing: Sequence[RateBucket],
        clock: IReactorTime,
    ) -> None:
        self.connection = connection
        self.reading = Direction(reading, clock, self._read_on) if reading else None
        self.writing = Direction(writing, clock, self.write_on) if writing else None
        if self.reading is not None and any(bucket.in_debt for bucket in reading):
            self.reading.refill()  # others have read ahead: this one waits for its turn
        self._queue: deque[bytes | memoryview] = deque()
        #: Bytes that wait for the rate, or behind those.
        self.queued = 0
        # The rest of what uvloop has to say goes past us.
        self.eof_received = connection.eof_received
        self.connection_lost = connection.connection_lost
        self.pause_writing = connection.pause_writing
        self.resume_writing = connection.resume_writing

    @property
    def waiting(self) -> bool:
        """Whether a direction waits for its rate."""
        return any(each is not None and each.waiting for each in (self.reading, self.writing))

    def end(self) -> bytes:
        """Hold nothing up any more; returns what was not written."""
        for each in (self.reading, self.writing):
            if each is not None:
                each.end()
        return b"".join(self._queue)

    # Reading.

    def data_received(self, data: bytes) -> None:
        """Uvloop has read: pay for it."""
        reading = self.reading
        if reading is not None:
            reading.credit -= len(data)
            if reading.credit <= 0 and not reading.waiting:
                reading.refill()
                reading.grow()
        self.connection.data_received(data)
        self.hold()

    def hold(self) -> None:
        """Read no more before the rate allows it."""
        if self.reading is not None and self.reading.waiting:
            self.connection.hold_reading()

    def _read_on(self) -> None:
        if self.connection.reading:
            self.connection.startReading()

    # Writing.

    def write(self, data: bytes) -> None:
        """Write, or wait for the rate."""
        self._queue.append(data)
        self.queued += len(data)
        if self.queued == len(data):
            self.write_on()

    def write_on(self) -> None:
        """Write what may be written, while uvloop has nothing left."""
        writing = self.writing
        while self._queue and not self.connection.blocked:
            piece = self._queue.popleft()
            if writing is not None:
                if writing.credit <= 0 and not writing.waiting:
                    writing.refill()
                    writing.grow()
                if writing.waiting:
                    self._queue.appendleft(piece)
                    return
                if len(piece) > writing.credit:
                    whole = memoryview(piece)
                    piece = whole[: writing.credit]
                    self._queue.appendleft(whole[writing.credit :])
                writing.credit -= len(piece)
            self.queued -= len(piece)
            self.connection.write_paid(piece)


class SlowRates(Rates):
    """Rates whose turn is shorter than what uvloop reads at once."""

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to read into: no more than is paid, or what little is paid at once."""
        reading = self.reading
        if reading is None:
            return _buffer
        if reading.credit <= 0 and not reading.waiting:
            reading.refill()
            reading.grow()
        return _buffer[: LEAST_TURN if reading.waiting else min(reading.turn, reading.credit)]

    def buffer_updated(self, nbytes: int) -> None:
        """Uvloop has read."""
        if self.reading is not None:
            self.reading.credit -= nbytes
        self.connection.data_received(bytes(_buffer[:nbytes]))
        self.hold()


def rates_for(
    connection: "Connection",
    reading: Sequence[RateBucket],
    writing: Sequence[RateBucket],
    clock: IReactorTime,
) -> Rates | None:
    """What keeps a connection to these rates; None where there are none."""
    if not reading and not writing:
        return None
    slow = any(turn_size(bucket.rate) < MOST_TURN for bucket in reading)
    return (SlowRates if slow else Rates)(connection, reading, writing, clock)
