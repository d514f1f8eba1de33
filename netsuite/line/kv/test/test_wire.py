"""Words and numbers as C reads them."""

from twisted.trial.unittest import SynchronousTestCase

from netsuite.line.kv._wire import block_length, cas_length, unsigned, words_of


class NumberTests(SynchronousTestCase):
    def test_long_ones_take_no_time(self) -> None:
        for word in (b"0" * 2**20 + b"x", b" " * 2**20, b"9" * 2**20, b"-" * 2**20):
            self.assertRaises(ValueError, unsigned, word)
        self.assertEqual(unsigned(b"0" * 2**20 + b"7"), 7)


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
