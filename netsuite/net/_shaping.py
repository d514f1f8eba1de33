"""Bytes a second: who may send or receive how much, and when.

A bucket is asked for bytes ahead of their time: it says how long to wait for them, and the
next one to ask waits longer. So those who share a bucket take turns, in the order in which
they ask, and the bytes flow evenly instead of all at once at the start of each second.
"""

from collections import OrderedDict
from collections.abc import Hashable
from functools import lru_cache

#: How many times a second a shaped stream moves, while its rate allows for that.
TURNS_A_SECOND = 20

#: The least and the most that a shaped stream moves at once, in bytes.
LEAST_TURN = 512
MOST_TURN = 64 * 1024


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
