"""How late the reactor is: what a connection waits for before anybody looks at it."""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from netsuite.service._stats import LAG_BOUNDS, Histogram

#: Seconds between two timers of a probe.
INTERVAL = 0.25
#: What one late timer counts at most: a process that was stopped for a day is not a day of lag.
MAX_MISSED = 240


class LagProbe:
    """Asks the reactor for a timer again and again, and notes how late it comes.

    A reactor that was busy for a second has missed more than one timer, and each of them
    would have been late. They are counted too, up to :data:`MAX_MISSED`: else the worst
    moments would be those with the fewest values.

    :param clock: usually the reactor.
    :param monotonic: a clock that never jumps, such as :func:`time.monotonic`. The reactor's
        own is the wall clock, and setting that is no lag.
    :param interval: seconds between two timers.
    :param histogram: where to count; a new one with :data:`LAG_BOUNDS` if None.
    """

    def __init__(
        self,
        clock: IReactorTime,
        monotonic: Callable[[], float],
        interval: float = INTERVAL,
        histogram: Histogram | None = None,
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._interval = interval
        self._timer: IDelayedCall | None = None
        self._due = 0.0
        #: What it has found, in seconds.
        self.histogram = Histogram(LAG_BOUNDS) if histogram is None else histogram

    def start(self) -> None:
        """Begin, unless it has begun."""
        if self._timer is None:
            self._ask()

    def stop(self) -> None:
        """End; what was found stays."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ask(self) -> None:
        self._due = self._monotonic() + self._interval
        self._timer = self._clock.callLater(self._interval, self._came)

    def _came(self) -> None:
        late = self._monotonic() - self._due
        self.histogram.observe(max(0.0, late))
        for missed in range(1, MAX_MISSED):
            if late - missed * self._interval <= 0:
                break
            self.histogram.observe(late - missed * self._interval)
        self._ask()
