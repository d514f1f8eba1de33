from twisted.trial.unittest import SynchronousTestCase

from netsuite.line._wire import (
    leading_words,
    literal_length,
    quote,
    stuffed,
    unstuffed,
    words_of,
)


class StuffingTests(SynchronousTestCase):
    def test_what_could_be_something_else_gets_a_dot(self) -> None:
        for line in (".", "..", ". ERR no", ".x", "*", "* push", "ERR", "ERR a b"):
            self.assertEqual(stuffed(line.encode()), b"." + line.encode())
            self.assertEqual(unstuffed(stuffed(line.encode()).decode()), line)

    def test_other_lines_are_sent_as_they_are(self) -> None:
        for line in ("", "OK", "ERRATIC", "ERROR", "ERR\tx", "err", " .", "a.", "é"):
            self.assertEqual(stuffed(line.encode()), line.encode())
            self.assertEqual(unstuffed(line), line)


class QuotingTests(SynchronousTestCase):
    def test_words_that_need_no_quotes(self) -> None:
        for word in ("a", "1.5", "key:with/much", "é", 'a"b', "a\\b", "{3"[1:], "-"):
            self.assertEqual(quote(word), word)

    def test_words_that_need_quotes(self) -> None:
        for word, shown in (
            ("", '""'),
            (" ", '" "'),
            ("a b", '"a b"'),
            ('"', '"\\""'),
            ('"a" b\\', '"\\"a\\" b\\\\"'),
            ("\n\r\t", '"\\n\\r\\t"'),
            ("\0\x1f\x7f", '"\\x00\\x1f\\x7f"'),
            ("{3}", '"{3}"'),
            ("a\u00a0b", '"a\u00a0b"'),
        ):
            self.assertEqual(quote(word), shown)
            self.assertEqual(words_of(shown.encode()), [word.encode()])


class WordsTests(SynchronousTestCase):
    def test_words_and_quotes(self) -> None:
        for line, words in (
            (b"", []),
            (b" \t\r", []),
            (b"a", [b"a"]),
            (b"  a\t b\v\fc\r", [b"a", b"b", b"c"]),
            (b'""', [b""]),
            (b'a "b c"  d', [b"a", b"b c", b"d"]),
            (b'"\\"\\\\\\n\\r\\t\\x41\\xfF"', [b'"\\\n\r\tA\xff']),
            (b'a"b c"', [b'a"b', b'c"']),
            (b'"\xc3\xa9 \xff"', [b"\xc3\xa9 \xff"]),
            (b'"a\rb"', [b"a\rb"]),
        ):
            self.assertEqual(words_of(line), words, line)

    def test_quotes_that_do_not_match(self) -> None:
        for line in (
            b'"',
            b'"a',
            b'a "',
            b'"a"b',
            b'"a""b"',
            b'"\\"',
            b'"\\a"',
            b'"\\x4"',
            b'"\\xgg"',
            b'"' + b"a" * 8000,
            b'"' + b"\\x41" * 2000,
        ):
            with self.assertRaises(ValueError, msg=line):
                words_of(line)

    def test_the_first_words_and_the_rest_as_it_is(self) -> None:
        for line, count, words, rest in (
            (b"a b c", 1, [b"a"], b"b c"),
            (b'a "b c"  d "e ', 2, [b"a", b"b c"], b' d "e '),
            (b" a\t\tb\t", 1, [b"a"], b"\tb\t"),
            (b"a", 1, [b"a"], None),
            (b"a ", 1, [b"a"], b""),
            (b"a  ", 1, [b"a"], b" "),
            (b"a", 2, [b"a"], None),
            (b'"a"  ', 2, [b"a"], None),
        ):
            self.assertEqual(leading_words(line, count), (words, rest), line)
        with self.assertRaises(ValueError):
            leading_words(b'a "b c', 2)


class LiteralTests(SynchronousTestCase):
    def test_a_length(self) -> None:
        for line, found in (
            (b"STORE key {3}", (b"STORE key ", 3)),
            (b"STORE key {3+}", (b"STORE key ", 3)),
            (b"STORE {0}", (b"STORE ", 0)),
            (b"{0012}", (b"", 12)),
            (b"x {99999999999999999}", (b"x ", 10**17 - 1)),
            (b"x {100000000000000001}", (b"x ", 10**18)),
            (b"x {%b}" % (b"9" * 5000), (b"x ", 10**18)),
        ):
            self.assertEqual(literal_length(line), found)

    def test_no_length(self) -> None:
        for line in (
            b"",
            b"STORE",
            b"STORE {}",
            b"STORE {-1}",
            b"STORE {1} ",
            b"STORE {1}\n",
            b"STORE {1} x",
            b"STORE {1++}",
            b"STORE {\xd9\xa1}",
        ):
            self.assertIsNone(literal_length(line), line)
