"""The store: what it keeps, for how long, and within which memory."""

import tracemalloc

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from netsuite.line.kv import Item, NotANumberError, Store, TooLargeError
from netsuite.line.kv._store import ITEM_OVERHEAD, RELATIVE

START = 1_800_000_000


def made(memory: int = 1024 * 1024, value_size: int = 1024) -> tuple[Store, Clock]:
    clock = Clock()
    clock.advance(START)
    return Store(memory, value_size=value_size, now=clock.seconds), clock


def there(store: Store, key: bytes) -> Item:
    item = store.get(key)
    assert item is not None
    return item


class ExpiryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store, self.clock = made()

    def value(self, key: bytes = b"a") -> bytes | None:
        item = self.store.get(key)
        return None if item is None else item[0]

    def test_never(self) -> None:
        self.store.set(b"a", b"1")
        self.clock.advance(10 * RELATIVE)
        self.assertEqual(self.value(), b"1")

    def test_seconds_from_now(self) -> None:
        self.store.set(b"a", b"1", expires=10)
        self.clock.advance(9.5)
        self.assertEqual(self.value(), b"1")
        self.clock.advance(0.5)
        self.assertIsNone(self.value())
        self.assertEqual(self.store.counts.get_expired, 1)
        self.assertEqual(self.store.bytes, 0)

    def test_up_to_thirty_days_are_from_now(self) -> None:
        self.store.set(b"a", b"1", expires=RELATIVE)
        self.clock.advance(RELATIVE - 1)
        self.assertEqual(self.value(), b"1")
        self.clock.advance(1)
        self.assertIsNone(self.value())

    def test_one_second_more_is_since_1970(self) -> None:
        self.store.set(b"a", b"1", expires=RELATIVE + 1)
        self.assertIsNone(self.value())
        self.store.set(b"a", b"1", expires=START + 5)
        self.assertEqual(self.value(), b"1")
        self.clock.advance(5)
        self.assertIsNone(self.value())

    def test_below_zero_is_at_once(self) -> None:
        self.store.set(b"a", b"1", expires=-1)
        self.assertEqual(len(self.store), 1)
        self.assertIsNone(self.value())
        self.assertEqual(len(self.store), 0)

    def test_touch(self) -> None:
        self.store.set(b"a", b"1", 7, expires=10)
        before = there(self.store, b"a")
        self.assertTrue(self.store.touch(b"a", 100))
        self.clock.advance(50)
        after = there(self.store, b"a")
        self.assertEqual((before[0], before[1], before[3]), (after[0], after[1], after[3]))
        self.assertTrue(self.store.touch(b"a", 0))
        self.clock.advance(1000)
        self.assertEqual(self.value(), b"1")
        self.assertFalse(self.store.touch(b"b", 0))
        self.assertIsNone(self.store.get_and_touch(b"b", 0))

    def test_what_has_expired_is_there_for_no_operation(self) -> None:
        operations = {
            "get": lambda: self.store.get(b"a"),
            "get_and_touch": lambda: self.store.get_and_touch(b"a", 0),
            "touch": lambda: self.store.touch(b"a", 0) or None,
            "replace": lambda: self.store.replace(b"a", b"2") or None,
            "append": lambda: self.store.append(b"a", b"2") or None,
            "prepend": lambda: self.store.prepend(b"a", b"2") or None,
            "cas": lambda: self.store.cas(b"a", b"2", 0, 0, 1),
            "incr": lambda: self.store.incr(b"a", 1),
            "decr": lambda: self.store.decr(b"a", 1),
            "delete": lambda: self.store.delete(b"a") or None,
        }
        for name, operation in operations.items():
            self.store.set(b"a", b"1", expires=10)
            self.clock.advance(10)
            self.assertIsNone(operation(), name)
        self.store.set(b"a", b"1", expires=10)
        self.clock.advance(10)
        self.assertTrue(self.store.add(b"a", b"2"))


class FlushTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store, self.clock = made()
        for number in range(2000):
            self.store.set(b"%d" % number, b"x")

    def test_now(self) -> None:
        self.store.flush()
        self.assertIsNone(self.store.get(b"1999"))
        self.store.set(b"1999", b"y")
        self.assertIsNotNone(self.store.get(b"1999"))

    def test_what_was_flushed_goes_bit_by_bit(self) -> None:
        self.store.flush()
        self.assertEqual(len(self.store), 1000)
        for number in range(1000):
            self.store.set(b"new %d" % number, b"x")
        self.assertEqual(len(self.store), 1000)
        self.assertEqual(
            self.store.bytes, sum(ITEM_OVERHEAD + 5 + len(b"%d" % n) for n in range(1000))
        )

    def test_later(self) -> None:
        self.store.flush(10)
        self.clock.advance(5)
        self.store.set(b"between", b"x")
        self.assertIsNotNone(self.store.get(b"between"))
        self.clock.advance(5)
        self.store.set(b"after", b"x")
        self.assertIsNone(self.store.get(b"between"))
        self.assertIsNone(self.store.get(b"7"))
        self.assertIsNotNone(self.store.get(b"after"))

    def test_another_one_takes_its_place(self) -> None:
        self.store.flush(10)
        self.store.flush()
        self.store.set(b"a", b"x")
        self.clock.advance(20)
        self.assertIsNotNone(self.store.get(b"a"))

    def test_at_a_time_before_the_store_was_made(self) -> None:
        self.store.flush(10)
        self.store.flush(START - 5)
        self.clock.advance(20)
        self.assertIsNotNone(self.store.get(b"7"))

    def test_at_a_time_since(self) -> None:
        self.clock.advance(20)
        self.store.flush(START + 5)
        self.assertIsNone(self.store.get(b"7"))

    def test_below_zero_is_now(self) -> None:
        self.store.flush(-1)
        self.assertIsNone(self.store.get(b"7"))


class ChangeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store, self.clock = made()

    def test_add_and_replace(self) -> None:
        self.assertFalse(self.store.replace(b"a", b"0"))
        self.assertTrue(self.store.add(b"a", b"1", 1))
        self.assertFalse(self.store.add(b"a", b"2", 2))
        self.assertEqual(there(self.store, b"a")[:2], (b"1", 1))
        self.assertTrue(self.store.replace(b"a", b"3", 3))
        self.assertEqual(there(self.store, b"a")[:2], (b"3", 3))

    def test_append_and_prepend_keep_flags_and_expiry(self) -> None:
        self.store.set(b"a", b"1", 7, 100)
        self.assertTrue(self.store.append(b"a", b"2"))
        self.assertTrue(self.store.prepend(b"a", b"0"))
        self.assertEqual(self.store.get(b"a"), (b"012", 7, START + 100, 3))
        self.assertFalse(self.store.append(b"b", b"2"))

    def test_append_up_to_the_largest_value(self) -> None:
        self.store.set(b"a", bytes(1000))
        self.assertTrue(self.store.append(b"a", bytes(24)))
        self.assertFalse(self.store.append(b"a", b"x"))
        self.assertFalse(self.store.prepend(b"a", b"x"))
        self.assertEqual(there(self.store, b"a")[0], bytes(1024))

    def test_cas(self) -> None:
        self.assertIsNone(self.store.cas(b"a", b"1", 0, 0, 1))
        self.store.set(b"a", b"1")
        unique = there(self.store, b"a")[3]
        self.assertFalse(self.store.cas(b"a", b"2", 0, 0, unique + 1))
        self.assertTrue(self.store.cas(b"a", b"2", 0, 0, unique))
        self.assertFalse(self.store.cas(b"a", b"3", 0, 0, unique))
        counts = self.store.counts
        self.assertEqual((counts.cas_misses, counts.cas_badval, counts.cas_hits), (1, 2, 1))

    def test_count(self) -> None:
        self.store.set(b"n", b"99")
        self.assertEqual(self.store.incr(b"n", 1), 100)
        self.assertEqual(self.store.decr(b"n", 91), 9)
        self.assertEqual(there(self.store, b"n")[0], b"9  ")
        self.assertEqual(self.store.decr(b"n", 10), 0)
        self.assertEqual(self.store.incr(b"n", 2**64 - 1), 2**64 - 1)
        self.assertEqual(self.store.incr(b"n", 2), 1)
        self.assertIsNone(self.store.incr(b"m", 1))
        self.assertIsNone(self.store.decr(b"m", 1))

    def test_what_is_no_number(self) -> None:
        for value in (b"", b"x", b"1x", b"-1", b"18446744073709551616"):
            self.store.set(b"n", value)
            self.assertRaises(NotANumberError, self.store.incr, b"n", 1)
            self.assertRaises(NotANumberError, self.store.decr, b"n", 1)

    def test_delete(self) -> None:
        self.store.set(b"a", b"1")
        self.assertTrue(self.store.delete(b"a"))
        self.assertFalse(self.store.delete(b"a"))
        self.store.discard(b"a")
        self.assertEqual((self.store.bytes, len(self.store)), (0, 0))

    def test_statistics(self) -> None:
        self.store.set(b"a", b"1")
        self.store.get(b"a")
        self.store.get(b"b")
        found = self.store.statistics()
        self.assertEqual((found["cmd_get"], found["get_hits"], found["get_misses"]), (2, 1, 1))
        self.assertEqual((found["curr_items"], found["total_items"]), (1, 1))
        self.assertEqual(found["bytes"], ITEM_OVERHEAD + 2)
        self.store.reset()
        found = self.store.statistics()
        self.assertEqual((found["cmd_get"], found["cmd_set"], found["curr_items"]), (0, 0, 1))


class MemoryTests(SynchronousTestCase):
    def test_limits(self) -> None:
        for memory, value_size in ((0, 1), (1, 0)):
            self.assertRaises(ValueError, Store, memory, value_size=value_size, now=int)

    def test_the_least_recently_used_go_first(self) -> None:
        store, _ = made(4 * (ITEM_OVERHEAD + 2))
        for key in (b"a", b"b", b"c", b"d"):
            store.set(key, b"1")
        self.assertEqual(store.bytes, store.memory)
        store.get(b"a")
        store.set(b"b", b"2")
        store.touch(b"c", 0)
        store.set(b"e", b"1")
        self.assertEqual(
            [store.get(each) is None for each in (b"d", b"a", b"b", b"c", b"e")],
            [True] + [False] * 4,
        )
        self.assertEqual(store.counts.evictions, 1)

    def test_at_the_limit_and_one_past_it(self) -> None:
        store, _ = made(ITEM_OVERHEAD + 100)
        store.set(b"k" * 50, bytes(50))
        self.assertEqual((len(store), store.bytes), (1, store.memory))
        self.assertRaises(TooLargeError, store.set, b"k" * 50, bytes(51))
        self.assertEqual((len(store), store.bytes), (0, 0))
        store.set(b"a", b"1")
        self.assertRaises(TooLargeError, store.replace, b"a", bytes(100))
        self.assertFalse(store.append(b"a", bytes(99)))
        self.assertEqual(there(store, b"a")[0], b"1")
        self.assertEqual(store.counts.store_no_memory, 2)

    def test_dead_items_at_the_old_end_go_before_living_ones(self) -> None:
        store, clock = made(3 * (ITEM_OVERHEAD + 2))
        store.set(b"a", b"1")
        store.set(b"b", b"1", expires=10)
        store.set(b"c", b"1")
        clock.advance(10)
        store.set(b"d", b"1")
        self.assertEqual((store.counts.evictions, store.counts.reclaimed), (0, 1))
        self.assertIsNotNone(store.get(b"a"))

    def test_what_has_expired_goes_while_others_are_stored(self) -> None:
        store, clock = made()
        for number in range(500):
            store.set(b"%d" % number, b"x", expires=10)
        clock.advance(10)
        for number in range(200):
            store.set(b"new %d" % number, b"x")
        self.assertEqual(len(store), 200)
        self.assertEqual(store.counts.reclaimed, 500)

    def test_python_needs_no_more_than_is_accounted_for(self) -> None:
        most = 2**16 // 3 + 100  # items for which a dictionary that is full grows to six times that
        for size in (0, 100):
            store, _ = made(most * (ITEM_OVERHEAD + 10 + size))
            tracemalloc.start()
            try:
                for number in range(2 * most):
                    store.set(b"key %06d" % number, bytes(size), 1_000_000 + number, 1000)
                used, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            self.assertEqual(len(store), most)
            self.assertLess(used, store.bytes)
            self.assertGreater(used, 0.8 * store.bytes)
