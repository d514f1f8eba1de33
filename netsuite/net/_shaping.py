"""Bytes a second: who may send or receive how much, and when.

A bucket is asked for bytes ahead of their time: it says how long to wait for them, and the
next one to ask waits longer. So those who share a bucket take turns, in the order in which
they ask, and the bytes flow evenly instead of all at once at the start of each second.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache

from twisted.internet.interfaces import IDelayedCall, IReactorTime

#: How many times a second a shaped stream moves, while its rate allows for that.
TURNS_A_SECOND = 20

#: The least and the most that a shaped stream moves at once, in bytes.
LEAST_TURN = 512
MOST_TURN = 64 * 1024

#: A shorter wait is not worth a timer, in seconds: what comes next waits longer for it.
SHORTEST_WAIT = 0.002


@lru_cache
def turn_size(rate: float) -> int:
    """How many bytes to move at once at so many bytes a second."""
    return int(min(max(rate / TURNS_A_SECOND, LEAST_TURN), MOST_TURN))


class RateBucket:
    """A token bucket for bytes; tokens are bytes, and may be taken before they are there.

    :param rate: bytes that come back a second, above 0.
    :param burst: bytes that may go at once after a silence.
    """

    __slots__ = ("_burst", "_then", "_tokens", "rate")

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self._burst = burst
        self._tokens = burst
        self._then: float | None = None

    def reserve(self, count: int, now: float) -> float:
        """Take so many tokens; returns the seconds until they are there.

        :param now: seconds on a clock that does not jump.
        """
        if self._then is not None and now > self._then:
            self._tokens = min(self._burst, self._tokens + (now - self._then) * self.rate)
        self._then = now
        self._tokens -= count
        return max(0.0, -self._tokens / self.rate)

    @property
    def in_debt(self) -> bool:
        """Whether more tokens were taken than were there, when that was last looked at."""
        return self._tokens < 0

    def give_back(self, count: int) -> None:
        """Return tokens that were taken and not used; below 0, those that were not paid yet."""
        self._tokens = min(self._burst, self._tokens + count)


def stream_bucket(rate: float) -> RateBucket:
    """A bucket for a stream: its burst is two turns."""
    return RateBucket(rate, _burst(rate))


@lru_cache
def _burst(rate: float) -> int:
    return 2 * turn_size(rate)  # one number for all streams of a rate


class ClientBuckets:
    """A bucket for each client, for a bounded number of clients.

    A client that comes back finds the bucket that it left, so closing a connection and
    making another gains nothing. The least recently joined is forgotten first.

    :param rate: bytes a second for each client.
    :param max_clients: how many buckets are kept: the bound on memory.
    """

    def __init__(self, rate: float, max_clients: int = 65_536) -> None:
        self.rate = rate
        self._max_clients = max_clients
        self._buckets: OrderedDict[Hashable, RateBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def join(self, client: Hashable) -> RateBucket:
        """The bucket of a client that has a new connection."""
        bucket = self._buckets.pop(client, None) or stream_bucket(self.rate)
        self._buckets[client] = bucket
        if len(self._buckets) > self._max_clients:
            self._buckets.popitem(last=False)
        return bucket


class Direction:
    """One direction of a shaped connection: the tokens in hand, and the wait for more.

    :param buckets: each of them pays for every byte.
    :param clock: for delayed calls and, by ``seconds()``, for time.
    :param release: called when a wait is over.
    """

    __slots__ = ("_buckets", "_clock", "_rate", "_release", "_wait", "credit", "step", "turn")

    def __init__(
        self, buckets: Sequence[RateBucket], clock: IReactorTime, release: Callable[[], object]
    ) -> None:
        self._buckets = buckets
        self._clock = clock
        self._release = release
        self._wait: IDelayedCall | None = None
        self._rate = min(bucket.rate for bucket in buckets)
        self.turn = turn_size(self._rate)
        #: What is bought at once: it grows to a turn, so that a connection that says little
        #: does not take from its client's others what it has no use for.
        self.step = LEAST_TURN
        #: Bytes that may move now; what was read beyond it is paid later.
        self.credit = 0

    @property
    def waiting(self) -> bool:
        """Whether nothing may move now."""
        return self._wait is not None

    def refill(self) -> None:
        """Buy as much as it takes to have credit, and wait until it is there.

        Where :data:`SHORTEST_WAIT` is worth many turns it buys more, and leaves at least half of
        what needs no timer to those who share a bucket.
        """
        now = self._clock.seconds()
        wait = self._buy(self.step * (-self.credit // self.step + 1), now)
        more = int((SHORTEST_WAIT / 2 - wait) * self._rate / 2)
        if more >= self.turn:
            wait = self._buy(more, now)
        if wait > SHORTEST_WAIT:
            self._wait = self._clock.callLater(wait, self._over)

    def grow(self) -> None:
        """Buy more the next time."""
        self.step = min(2 * self.step, self.turn)

    def _buy(self, count: int, now: float) -> float:
        self.credit += count
        return max([bucket.reserve(count, now) for bucket in self._buckets])

    def _over(self) -> None:
        self._wait = None
        self._release()

    def end(self) -> None:
        """Stop waiting, and give back what was not used, or pay for what was read beyond it."""
        if self._wait is not None:
            self._wait.cancel()
            self._wait = None
        unused, self.credit = self.credit, 0
        for bucket in self._buckets:
            bucket.give_back(unused)
