"""Items in memory, within a limit, the least recently used ones going first. No sockets, no clock.

Every operation takes the same time however many items there are: those that have expired or were
flushed are found when they are asked for, and some at the old end with each item that is stored.
"""

import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import islice

from netsuite.line.kv._wire import unsigned

MIB = 1024 * 1024

#: Expiry times up to this, in seconds, count from now; larger ones from 1970.
RELATIVE = 30 * 24 * 60 * 60

_ROUNDED = 15  # bytes that an object's memory is rounded up by, at most
_NUMBERS = 3 * 32  # flags, time and number of an item
_PLACE = 200  # in the dictionary, just after that has grown to six times what it needs

#: What an item costs beside its key and its value, in bytes, at most.
ITEM_OVERHEAD = (
    2 * (sys.getsizeof(b"") + _ROUNDED)
    + sys.getsizeof((b"", 0, 0.0, 0))
    + _ROUNDED
    + _NUMBERS
    + _PLACE
)

#: An item: its value, flags, when it expires (seconds since 1970; 0 for never), and a number that
#: no other has had, and that it has until it is stored again. A plain tuple: a class would take
#: as much again, and the garbage collector would look at every one of them.
Item = tuple[bytes, int, float, int]

_WRAPS = 2**64
_EXPIRED = -1.0
_RECLAIM_EVERY = 16  # items stored
_RECLAIMED = 64  # items looked at then
_FLUSHED = 1000  # items looked at when all have been flushed
_LOOKS = 5  # at the old end, for a dead item rather than a living one


class TooLargeError(Exception):
    """An item does not fit into the store, were it the only one."""


class NotANumberError(ValueError):
    """A value is to be counted up or down and is no number."""


@dataclass(slots=True)
class Counts:
    """What has happened since the store was made, or since :meth:`Store.reset`.

    The names are memcached's.
    """

    cmd_set: int = 0
    cmd_flush: int = 0
    get_hits: int = 0
    get_misses: int = 0
    get_expired: int = 0
    get_flushed: int = 0
    delete_misses: int = 0
    delete_hits: int = 0
    incr_misses: int = 0
    incr_hits: int = 0
    decr_misses: int = 0
    decr_hits: int = 0
    cas_misses: int = 0
    cas_hits: int = 0
    cas_badval: int = 0
    touch_hits: int = 0
    touch_misses: int = 0
    store_too_large: int = 0
    store_no_memory: int = 0
    total_items: int = 0
    evictions: int = 0
    reclaimed: int = 0


class Store:
    """Items by key, as memcached has them.

    Where a method takes ``expires``: 0 is never, up to 30 days are seconds from now, more are
    seconds since 1970, and less is at once.

    :param memory: bytes that all items may take, keys and what Python needs for each included.
    :param value_size: bytes of the longest value.
    :param now: seconds since 1970.
    :ivar bytes: how much the items take.
    :ivar now: as it was given.
    :ivar counts: what has happened.
    :raises ValueError: for a limit below 1.
    """

    def __init__(
        self, memory: int = 64 * MIB, *, value_size: int = MIB, now: Callable[[], float]
    ) -> None:
        if memory < 1:
            raise ValueError(f"memory {memory}: expected 1 byte or more")
        if value_size < 1:
            raise ValueError(f"value_size {value_size}: expected 1 byte or more")
        self.memory = memory
        self.value_size = value_size
        self.bytes = 0
        self.counts = Counts()
        self.now = now
        self._begun = now()
        self._items: OrderedDict[bytes, Item] = OrderedDict()
        self._unique = 0
        # A flush: items with a number up to this are gone; and one that is still to come.
        self._flushed = 0
        self._flush_at = 0.0

    def __len__(self) -> int:
        """How many items there are, those among them that have expired and not been found."""
        return len(self._items)

    # Reading.

    def get(self, key: bytes) -> Item | None:
        """An item, which is then the one used last; None if there is none."""
        item = self._items.get(key)
        # What is asked first spares the common case a call.
        if item is None or (
            (item[2] or self._flush_at or item[3] <= self._flushed) and self._is_gone(key, item)
        ):
            self.counts.get_misses += 1
            return None
        self._items.move_to_end(key)
        self.counts.get_hits += 1
        return item

    def get_and_touch(self, key: bytes, expires: int) -> Item | None:
        """An item, which expires at another time from now on; None if there is none."""
        item = self._live(key)
        if item is None:
            self.counts.touch_misses += 1
            return None
        value, flags, _, unique = item
        item = self._items[key] = value, flags, self._time(expires), unique
        self._items.move_to_end(key)
        self.counts.touch_hits += 1
        return item

    def touch(self, key: bytes, expires: int) -> bool:
        """Have an item expire at another time; whether there is one."""
        return self.get_and_touch(key, expires) is not None

    # Storing.

    def set(self, key: bytes, value: bytes, flags: int = 0, expires: int = 0) -> None:
        """Store an item.

        :raises TooLargeError: if nothing could make room for it; what there was is gone.
        """
        self.counts.cmd_set += 1
        try:
            self._put(key, value, flags, self._time(expires) if expires else 0)
        except TooLargeError:
            self.discard(key)
            raise

    def add(self, key: bytes, value: bytes, flags: int = 0, expires: int = 0) -> bool:
        """Store an item if there is none; whether it was stored.

        :raises TooLargeError: if nothing could make room for it.
        """
        self.counts.cmd_set += 1
        item = self._live(key)
        if item is not None:
            self._items.move_to_end(key)
            return False
        self._put(key, value, flags, self._time(expires))
        return True

    def replace(self, key: bytes, value: bytes, flags: int = 0, expires: int = 0) -> bool:
        """Store an item if there is one; whether it was stored.

        :raises TooLargeError: if nothing could make room for it.
        """
        self.counts.cmd_set += 1
        if self._live(key) is None:
            return False
        self._put(key, value, flags, self._time(expires))
        return True

    def append(self, key: bytes, value: bytes) -> bool:
        """Put bytes behind a value; whether there is one, and it is not too long then."""
        return self._join(key, b"", value)

    def prepend(self, key: bytes, value: bytes) -> bool:
        """Put bytes before a value; whether there is one, and it is not too long then."""
        return self._join(key, value, b"")

    def cas(self, key: bytes, value: bytes, flags: int, expires: int, unique: int) -> bool | None:
        """Store an item unless it was stored since; whether it was, None if there is none.

        :param unique: the number that the item had.
        :raises TooLargeError: if nothing could make room for it.
        """
        counts = self.counts
        counts.cmd_set += 1
        item = self._live(key)
        if item is None:
            counts.cas_misses += 1
            return None
        if item[3] != unique:
            counts.cas_badval += 1
            return False
        self._put(key, value, flags, self._time(expires))
        counts.cas_hits += 1
        return True

    def incr(self, key: bytes, delta: int) -> int | None:
        """Count up, modulo 2 to the 64th; the number then, None if there is no item.

        :raises NotANumberError: for a value that is none.
        """
        item = self._live(key)
        if item is None:
            self.counts.incr_misses += 1
            return None
        number = (self._number(item) + delta) % _WRAPS
        self.counts.incr_hits += 1
        return self._count(key, item, number)

    def decr(self, key: bytes, delta: int) -> int | None:
        """Count down, to 0 and not below; the number then, None if there is no item.

        A number that has become shorter has spaces behind it.

        :raises NotANumberError: for a value that is none.
        """
        item = self._live(key)
        if item is None:
            self.counts.decr_misses += 1
            return None
        number = max(0, self._number(item) - delta)
        self.counts.decr_hits += 1
        return self._count(key, item, number)

    # Forgetting.

    def delete(self, key: bytes) -> bool:
        """Forget an item; whether there was one."""
        item = self._live(key)
        if item is None:
            self.counts.delete_misses += 1
            return False
        self._forget(key, item)
        self.counts.delete_hits += 1
        return True

    def discard(self, key: bytes) -> None:
        """Forget an item, if there is one, without counting."""
        item = self._items.get(key)
        if item is not None:
            self._forget(key, item)

    def flush(self, when: int = 0) -> None:
        """Forget all items that are here at a time.

        :param when: as ``expires``, but 0 is now. Another flush that was to come does not.
        """
        self._flush_at = 0.0
        at = self._time(when)
        if when > 0 and at <= self._begun:
            return  # nothing was there
        if when > 0 and at > self.now():
            self._flush_at = at
            return
        self._flushed = self._unique
        self._reclaim(_FLUSHED)

    def reset(self) -> None:
        """Count from the beginning."""
        self.counts = Counts()

    def statistics(self) -> dict[str, int]:
        """What has happened and how it is, by memcached's names."""
        counts = asdict(self.counts)
        return {
            "cmd_get": counts["get_hits"] + counts["get_misses"],
            "cmd_touch": counts["touch_hits"] + counts["touch_misses"],
            **counts,
            "limit_maxbytes": self.memory,
            "bytes": self.bytes,
            "curr_items": len(self._items),
        }

    # How it is done.

    def _time(self, expires: int) -> float:
        """When an item expires, in seconds since 1970; 0 for never."""
        if expires == 0:
            return 0
        if expires < 0:
            return _EXPIRED
        return self.now() + expires if expires <= RELATIVE else expires

    def _live(self, key: bytes) -> Item | None:
        """An item, unless it is gone."""
        item = self._items.get(key)
        return None if item is None or self._is_gone(key, item) else item

    def _is_gone(self, key: bytes, item: Item) -> bool:
        """Whether an item that somebody asks for has expired or was flushed; then forget it."""
        now = self.now()
        self._flush_if_due(now)
        if not self._is_dead(item, now):
            return False
        self._forget(key, item)
        if item[3] <= self._flushed:
            self.counts.get_flushed += 1
        else:
            self.counts.get_expired += 1
        return True

    def _is_dead(self, item: Item, now: float) -> bool:
        return 0 != item[2] <= now or item[3] <= self._flushed

    def _flush_if_due(self, now: float) -> None:
        if self._flush_at and self._flush_at <= now:
            self._flushed = self._unique
            self._flush_at = 0.0

    def _put(self, key: bytes, value: bytes, flags: int, expires: float) -> None:
        items = self._items
        size = len(key) + len(value) + ITEM_OVERHEAD
        old = items.get(key)
        if self._flush_at:
            self._flush_if_due(self.now())  # those before it go, this one does not
        if size > self.memory:
            self.counts.store_no_memory += 1
            raise TooLargeError(f"expected at most {self.memory} bytes, not {size}")
        self._unique += 1
        items[key] = value, flags, expires, self._unique
        if old is None:
            self.bytes += size
        else:
            self.bytes += len(value) - len(old[0])
            items.move_to_end(key)
        self.counts.total_items += 1
        if not self._unique % _RECLAIM_EVERY:
            self._reclaim(_RECLAIMED)
        if self.bytes > self.memory:
            self._evict()

    def _join(self, key: bytes, before: bytes, behind: bytes) -> bool:
        self.counts.cmd_set += 1
        item = self._live(key)
        if item is None:
            return False
        value, flags, expires, _ = item
        size = len(before) + len(value) + len(behind)
        if size > self.value_size or len(key) + size + ITEM_OVERHEAD > self.memory:
            return False
        self._put(key, before + value + behind, flags, expires)
        return True

    def _number(self, item: Item) -> int:
        try:
            return unsigned(item[0])
        except ValueError as error:
            raise NotANumberError(str(error)) from None

    def _count(self, key: bytes, item: Item, number: int) -> int:
        value, flags, expires, _ = item
        shown = b"%d" % number
        in_place = len(shown) <= len(value)
        self._put(key, shown.ljust(len(value)), flags, expires)
        self.counts.total_items -= in_place
        return number

    def _forget(self, key: bytes, item: Item) -> None:
        del self._items[key]
        self.bytes -= len(key) + len(item[0]) + ITEM_OVERHEAD

    def _reclaim(self, most: int) -> None:
        """Forget dead items at the old end, up to so many."""
        items, now = self._items, self.now()
        self._flush_if_due(now)
        for _ in range(min(most, len(items))):
            key = next(iter(items))
            if not self._is_dead(items[key], now):
                return
            self._forget(key, items[key])
            self.counts.reclaimed += 1

    def _evict(self) -> None:
        """Make room: dead items at the old end go first, then the least recently used."""
        items, now = self._items, self.now()
        self._flush_if_due(now)
        for key, item in [*islice(items.items(), _LOOKS)]:
            if self._is_dead(item, now):
                self._forget(key, item)
                self.counts.reclaimed += 1
        while self.bytes > self.memory:
            key, item = items.popitem(last=False)
            self.bytes -= len(key) + len(item[0]) + ITEM_OVERHEAD
            self.counts.evictions += 1
