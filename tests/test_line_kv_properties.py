"""The kv application, whatever is sent to it and stored in it; and other wires of one's own."""

import ctypes
from collections import OrderedDict
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from netsuite.line.kv._store import ITEM_OVERHEAD
from netsuite.line.kv._wire import flags_of, signed, unsigned, words_of
from netsuite.line.kv.test.test_commands import CommandsCase
from netsuite.line.kv.test.test_store import made
from netsuite.line.test.test_verbatim import VerbatimCase

pytestmark = pytest.mark.once

# Words and numbers.

_C = ctypes.CDLL(None, use_errno=True)
_C.strtol.restype = ctypes.c_long
_C.strtoull.restype = ctypes.c_ulonglong

TEXTS = st.text(alphabet=" \t\v0123456789+-x\0", max_size=24).map(str.encode)
NUMBERS = st.integers(-(2**66), 2**66).map(lambda value: b"%d" % value)


def _c(function: str, word: bytes) -> int | None:
    """As memcached has it (``safe_strtol`` and its kin in util.c)."""
    buffer = ctypes.create_string_buffer(word)
    end = ctypes.c_void_p()
    ctypes.set_errno(0)
    value = int(getattr(_C, function)(buffer, ctypes.byref(end), 10))
    length = (end.value or 0) - ctypes.addressof(buffer)
    behind = buffer.raw[length : length + 1]
    if ctypes.get_errno() or not length or behind not in b"\0 \t\n\v\f\r":
        return None
    if function == "strtoull" and value >= 2**63 and b"-" in buffer.value:
        return None
    return value


def number(function: Callable[[bytes], int], word: bytes) -> int | None:
    """What a word is for us; None if it is refused."""
    try:
        return function(word)
    except ValueError:
        return None


@given(TEXTS | NUMBERS)
@example(b"-18446744073709551615")
@example(b"0" * 30 + b"5")
@example(b"9223372036854775808")
def test_signed_numbers_are_those_of_c(word: bytes) -> None:
    value = _c("strtol", word)
    expected = None if value is None else ctypes.c_int32(value).value
    assert number(signed, word) == expected


@given(TEXTS | NUMBERS)
@example(b"-18446744073709551615")
@example(b"-18446744073709551616")
@example(b"18446744073709551615 -")
def test_unsigned_numbers_are_those_of_c(word: bytes) -> None:
    value = _c("strtoull", word)
    assert number(unsigned, word) == value
    assert number(flags_of, word) == (None if value is None else value % 2**32)


@given(st.binary(max_size=40).filter(lambda line: b"\n" not in line))
@example(b"get  a \0b\r")
@example(b"\r")
def test_words_are_those_of_c(line: bytes) -> None:
    wanted = line.removesuffix(b"\r").split(b"\0")[0]
    assert words_of(line) == [word for word in wanted.split(b" ") if word]


# The store.


class Model(RuleBasedStateMachine):
    """The store beside a dictionary that says what has to be there."""

    MOST = 8

    def __init__(self) -> None:
        super().__init__()
        self.store, self.clock = made(self.MOST * (ITEM_OVERHEAD + 3), 2)
        self.model: OrderedDict[bytes, tuple[bytes, float]] = OrderedDict()

    keys = st.sampled_from([bytes([97 + n]) for n in range(12)])
    values = st.sampled_from([b"10", b"5 ", b"ab"])

    def _there(self, key: bytes) -> bool:
        return key in self.model and not 0 < self.model[key][1] <= self.clock.seconds()

    def _put(self, key: bytes, value: bytes, expires: float) -> None:
        self.model[key] = value, expires
        self.model.move_to_end(key)

    @rule(key=keys, value=values, expires=st.sampled_from([0, 1, 3]))
    def set(self, key: bytes, value: bytes, expires: int) -> None:
        self.store.set(key, value, 0, expires)
        self._put(key, value, expires and self.clock.seconds() + expires)

    @rule(key=keys, value=values)
    def add(self, key: bytes, value: bytes) -> None:
        new = not self._there(key)
        assert self.store.add(key, value) is new
        if new:
            self._put(key, value, 0)
        else:
            self.model.move_to_end(key)

    @rule(key=keys)
    def get(self, key: bytes) -> None:
        item = self.store.get(key)
        # What is not there may have been evicted; what is there has to be right.
        if item is not None:
            assert self._there(key)
            assert item[:1] == self.model[key][:1]
            self.model.move_to_end(key)

    @rule(key=keys)
    def delete(self, key: bytes) -> None:
        self.store.delete(key)
        self.model.pop(key, None)

    @rule(seconds=st.sampled_from([0.5, 1, 2]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def flush(self) -> None:
        self.store.flush()
        self.model.clear()

    @invariant()
    def accounting(self) -> None:
        items = self.store._items
        assert self.store.bytes == sum(
            len(key) + len(item[0]) + ITEM_OVERHEAD for key, item in items.items()
        )
        assert self.store.bytes <= self.store.memory

    @invariant()
    def the_latest_are_there(self) -> None:
        # What has expired takes a place among them, until it is found.
        for key in [*self.model][-self.MOST :]:
            assert key in self.store._items or not self._there(key)
        for key in [*self.model]:
            if key not in self.store._items:
                del self.model[key]


TestStore = Model.TestCase
TestStore.settings = settings(max_examples=60, stateful_step_count=40)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 300)), max_size=60))
def test_a_store_never_takes_more_than_its_memory(stored: list[tuple[int, int]]) -> None:
    store, _ = made(4000)
    for key, size in stored:
        store.set(b"%d" % key, bytes(size))
        assert store.bytes <= 4000
        assert store.get(b"%d" % key) is not None


# What peers send.


class CommandsTests(CommandsCase):
    words = st.sampled_from(
        b"get gets gat set add append cas incr delete touch flush_all quit noreply".split()
        + b"a b 0 1 5 -1 200".split()
        + [b"\r\n", b"\n", b"\0", b" ", b"\r\n7\r\n"]
    )

    @given(st.lists(words, max_size=40).map(b" ".join) | st.binary(), st.lists(st.integers(0, 200)))
    def test_no_bytes_crash_it_however_they_are_split(self, data: bytes, places: list[int]) -> None:
        replies = []
        for cuts in (
            [0, len(data)],
            [0, *sorted(place for place in places if place < len(data)), len(data)],
        ):
            self.setUp()
            replies.append(b"")
            for a, b in pairwise(cuts):
                if a != b and not self.wire.disconnecting:
                    replies[-1] += self.say(data[a:b])
        self.assertEqual(*replies)
        self.assertEqual(self.flushLoggedErrors(), [])


class BlockTests(VerbatimCase):
    @given(st.lists(st.integers(0, 70)))
    def test_wherever_they_are_split(self, places: list[int]) -> None:
        self.connect()
        data = b"put:5\nab\ncdecho:1\nput:12\n0123456789\n\nput:x\nquiet:1\n\n\necho:2\nput:1\n."
        cuts = [0, *sorted(places), len(data)]
        said = b"".join(self.say(data[a:b]) for a, b in pairwise(cuts) if a != b)
        self.assertEqual(said, b"5=ab\ncd\necho|1\n12=none\nx=none\n? \necho|2\n1=.\n")
