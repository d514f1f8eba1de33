"""Words and numbers as C reads them."""

import ctypes

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from netsuite.line.kv._wire import block_length, cas_length, flags_of, signed, unsigned, words_of

_C = ctypes.CDLL(None, use_errno=True)
_C.strtol.restype = ctypes.c_long
_C.strtoull.restype = ctypes.c_ulonglong

_texts = st.text(alphabet=" \t\v0123456789+-x\0", max_size=24).map(str.encode)
_numbers = st.integers(-(2**66), 2**66).map(lambda number: b"%d" % number)


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


class NumberTests(SynchronousTestCase):
    @given(_texts | _numbers)
    @example(b"-18446744073709551615")
    @example(b"0" * 30 + b"5")
    @example(b"9223372036854775808")
    def test_signed(self, word: bytes) -> None:
        value = _c("strtol", word)
        if value is None:
            self.assertRaises(ValueError, signed, word)
        else:
            self.assertEqual(signed(word), ctypes.c_int32(value).value)

    @given(_texts | _numbers)
    @example(b"-18446744073709551615")
    @example(b"-18446744073709551616")
    @example(b"18446744073709551615 -")
    def test_unsigned(self, word: bytes) -> None:
        value = _c("strtoull", word)
        if value is None:
            self.assertRaises(ValueError, unsigned, word)
            self.assertRaises(ValueError, flags_of, word)
        else:
            self.assertEqual(unsigned(word), value)
            self.assertEqual(flags_of(word), value % 2**32)

    def test_long_ones_take_no_time(self) -> None:
        for word in (b"0" * 2**20 + b"x", b" " * 2**20, b"9" * 2**20, b"-" * 2**20):
            self.assertRaises(ValueError, unsigned, word)
        self.assertEqual(unsigned(b"0" * 2**20 + b"7"), 7)


class WordTests(SynchronousTestCase):
    @given(st.binary(max_size=40).filter(lambda line: b"\n" not in line))
    @example(b"get  a \0b\r")
    @example(b"\r")
    def test_words(self, line: bytes) -> None:
        wanted = line.removesuffix(b"\r").split(b"\0")[0]
        self.assertEqual(words_of(line), [word for word in wanted.split(b" ") if word])


class LengthTests(SynchronousTestCase):
    def length(self, line: bytes) -> int | None:
        words = words_of(line)
        return cas_length(words) if words[0] == b"cas" else block_length(words)

    def test_line_end_included(self) -> None:
        self.assertEqual(self.length(b"set a 0 0 10"), 12)
        self.assertEqual(self.length(b"set a 0 0 0 noreply"), 2)
        self.assertEqual(self.length(b"cas a 0 0 10 7"), 12)
        self.assertEqual(self.length(b"set a +1 -1 4294967297"), 3)
        self.assertEqual(self.length(b"set a 0 0 2147483645"), 2147483647)

    def test_none(self) -> None:
        for line in (
            b"set",
            b"set a 0 0",
            b"set a 0 0 1 2 3",
            b"set a x 0 1",
            b"set a 0 x 1",
            b"set a 0 0 x",
            b"set a 0 0 -1",
            b"set a 0 0 2147483646",
            b"set a 18446744073709551616 0 1",
            b"set a 0 9223372036854775808 1",
            b"set " + b"k" * 251 + b" 0 0 1",
            b"cas a 0 0 1",
            b"cas a 0 0 1 x",
            b"cas a 0 0 1 2 3 4",
            b"cas " + b"k" * 251 + b" 0 0 1 2",
        ):
            self.assertIsNone(self.length(line), line)
        self.assertEqual(self.length(b"set " + b"k" * 250 + b" 0 0 1"), 3)
