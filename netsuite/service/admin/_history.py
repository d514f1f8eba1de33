"""What the last minutes were like, so that charts are full when a page opens."""

from collections import deque
from collections.abc import Callable

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from netsuite.service._stats import ServiceStats

#: Seconds that a service has to tell how it is.
STATS_TIMEOUT = 5.0
#: Seconds between two samples, and how many are kept: a quarter of an hour.
INTERVAL = 1.0
MAX_SAMPLES = 900

#: One sample: the numbers that :data:`COLUMNS` names, then the counts of two histograms.
Sample = tuple[float | list[int], ...]
COLUMNS = (
    "time",
    "active",
    "accepted",
    "refused",
    "cut",
    "received",
    "sent",
    "durations",
    "lag",
)


class StatsReader:
    """Asks a service how it is: one question at a time, however many want to know.

    :param ask: the question; see :meth:`AdminSource.stats`.
    """

    def __init__(self, ask: Callable[[], Deferred[ServiceStats]], clock: IReactorTime) -> None:
        self._ask = ask
        self._clock = clock
        self._waiters: list[Deferred[ServiceStats]] = []

    def read(self) -> Deferred[ServiceStats]:
        """This moment.

        :returns: fails with what the question failed with, or with
            :exc:`~twisted.internet.defer.TimeoutError` after :data:`STATS_TIMEOUT` seconds.
        """
        waiter: Deferred[ServiceStats] = Deferred()
        self._waiters.append(waiter)
        if len(self._waiters) == 1:
            asking = maybeDeferred(self._ask)
            asking.addTimeout(STATS_TIMEOUT, self._clock)
            asking.addBoth(self._answered)
        return waiter

    def _answered(self, result: ServiceStats | Failure) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(result)  # a Failure makes it fail


class History:
    """The last samples of a service, taken one a second while it runs.

    :param now: seconds since 1970-01-01 00:00 UTC.
    """

    _log = Logger()

    def __init__(self, reader: StatsReader, clock: IReactorTime, now: Callable[[], float]) -> None:
        self._reader = reader
        self._clock = clock
        self._now = now
        self._timer: IDelayedCall | None = None
        self._running = False
        self._samples: deque[Sample] = deque(maxlen=MAX_SAMPLES)

    @property
    def samples(self) -> list[Sample]:
        """What was seen, the oldest first."""
        return list(self._samples)

    def start(self) -> None:
        """Take a sample, and go on."""
        self._running = True
        self._take()

    def stop(self) -> None:
        """Take no more."""
        self._running = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _take(self) -> None:
        self._timer = None
        self._reader.read().addCallbacks(self._keep, self._failed).addBoth(self._next)

    def _keep(self, stats: ServiceStats) -> None:
        self._samples.append(sample(stats, self._now()))

    def _failed(self, failure: Failure) -> None:
        self._log.debug("admin: no sample: {reason}", reason=failure.getErrorMessage())

    def _next(self, _: object) -> None:
        if self._running:
            self._timer = self._clock.callLater(INTERVAL, self._take)


def sample(stats: ServiceStats, now: float) -> Sample:
    """What of ``stats`` the charts show.

    :param now: seconds since 1970-01-01 00:00 UTC.
    """
    listeners = stats.listeners
    return (
        round(now, 3),
        stats.active,
        sum(each.accepted for each in listeners),
        sum(sum(each.refused.values()) for each in listeners),
        sum(sum(each.cut.values()) for each in listeners),
        sum(each.bytes_received for each in listeners),
        sum(each.bytes_sent for each in listeners),
        list(stats.durations.counts),
        list(stats.reactor_lag.counts),
    )
