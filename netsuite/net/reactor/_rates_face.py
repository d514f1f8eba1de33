"""What a connection of uvloop's has to do with rates."""

from collections.abc import Sequence
from typing import Any

from twisted.internet.interfaces import IReactorTime

from netsuite.net._meter import Meter
from netsuite.net._shaping import RateBucket
from netsuite.net.reactor._rates import Rates, rates_for
from netsuite.net.reactor._socket import Early

#: Those of a connection are its own: no dictionary comes from here.
_NO_SLOTS: tuple[str, ...] = ()


class RatesFace(Meter):
    """The part of a connection that keeps it to rates, on behalf of :class:`Rates`."""

    __slots__ = _NO_SLOTS

    disconnected: bool
    reading: bool
    _aborting: bool
    _early: Early | None
    _rates: Rates | None
    _uv: Any

    @property
    def buffered(self) -> int:
        """Bytes that are written, and not yet to the socket."""
        raise NotImplementedError

    def startReading(self) -> None:
        """Read."""
        raise NotImplementedError

    def _choose_way(self) -> None:
        raise NotImplementedError

    def _set_marks(self) -> None:
        raise NotImplementedError

    def _write_out(self, data: bytes) -> None:
        raise NotImplementedError

    def _after_write(self, size: int) -> None:
        raise NotImplementedError

    def shape(
        self, reading: Sequence[RateBucket], writing: Sequence[RateBucket], clock: IReactorTime
    ) -> None:
        """Keep to rates from now on; see :class:`~netsuite.net._meter.Meter`."""
        if self._aborting or self.disconnected:
            return
        unwritten = b"" if self._rates is None else self._rates.end()
        connection: Any = self
        rates = self._rates = rates_for(connection, reading, writing, clock)
        if self._early is not None:
            return
        self._go_by(self if rates is None else rates)
        self._choose_way()
        self._set_marks()
        if unwritten:
            self._write_out(unwritten)
            self._after_write(0)
        if self.reading:
            self.startReading()

    def _go_by(self, protocol: "RatesFace | Rates") -> None:
        """Have uvloop call this."""
        self._uv.set_protocol(protocol)
        if isinstance(protocol, Rates):
            protocol.hold()

    @property
    def throttled(self) -> bool:
        """Whether a direction waits for a rate rather than for the peer."""
        return self._rates is not None and self._rates.waiting

    @property
    def unsent(self) -> bool:
        """Whether bytes wait here for the peer to read, rather than for a rate."""
        rates = self._rates
        if rates is not None and rates.writing is not None and rates.writing.waiting:
            return False
        return self.buffered > 0

    def hold_reading(self) -> None:
        """Read no more until the rate allows it."""
        if not self.disconnected:
            self._uv.pause_reading()

    @property
    def blocked(self) -> bool:
        """Whether uvloop waits for the peer to read, or for nobody any more."""
        return self.disconnected or self._uv.get_write_buffer_size() > 0

    def write_paid(self, data: bytes | memoryview) -> None:
        """Write what the rate allows."""
        self._uv.write(data)
        if not self.buffered:
            self._after_write(0)
