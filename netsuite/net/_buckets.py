"""Token buckets, one a client, for a bounded number of clients."""

from collections import OrderedDict
from collections.abc import Hashable


class TokenBuckets:
    """A token bucket for each key, the least recently used forgotten first.

    Each key may take ``burst`` at once and ``rate`` a second in the long run. A key that
    is forgotten starts again with a full bucket, as a key never seen does.

    :param rate: tokens that come back a second, above 0.
    :param burst: what a bucket holds, at least 1.
    :param max_keys: how many buckets are kept: the bound on memory.
    """

    def __init__(self, rate: float, burst: float, max_keys: int = 65_536) -> None:
        if not (rate > 0 and burst >= 1 and max_keys >= 1):
            raise ValueError(
                "expected rate > 0, burst >= 1 and max_keys >= 1, "
                f"not rate={rate!r}, burst={burst!r}, max_keys={max_keys!r}"
            )
        self._rate = rate
        self._burst = burst
        self._max_keys = max_keys
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: Hashable, now: float) -> bool:
        """Take one token of ``key``, if it has one.

        :param now: seconds on a clock that does not jump (``time.monotonic``).
        """
        tokens, then = self._buckets.pop(key, (self._burst, now))
        tokens = min(self._burst, tokens + max(0.0, now - then) * self._rate)
        allowed = tokens >= 1
        self._buckets[key] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > self._max_keys:
            self._buckets.popitem(last=False)
        return allowed
