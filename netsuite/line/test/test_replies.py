from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from netsuite.line import CommandError, ReplyError
from netsuite.line._lines import lines_of
from netsuite.line._replies import Replies


class ReplyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.replies = Replies(b"\r\n")

    def test_values(self) -> None:
        for value, data in (
            (None, b"OK\r\n"),
            ("text", b"text\r\n"),
            ("", b"\r\n"),
            ("é", b"\xc3\xa9\r\n"),
            (0, b"0\r\n"),
            (-12, b"-12\r\n"),
            (1.5, b"1.5\r\n"),
            (True, b"True\r\n"),
            (b"raw", b"raw"),
            (b"", b""),
            (".", b"..\r\n"),
            ("* x", b".* x\r\n"),
            ("ERR x", b".ERR x\r\n"),
        ):
            self.assertEqual(self.replies.line(value), data)

    def test_what_is_no_reply(self) -> None:
        for value in (object(), ["a"], ("a",), {}, bytearray(b"a"), 1j):
            with self.assertRaises(ReplyError):
                self.replies.line(value)

    def test_a_line_has_no_line_breaks(self) -> None:
        for text in ("a\nb", "a\rb", "\n", "a\r\n"):
            for make in (self.replies.line, self.replies.text, self.replies.push):
                with self.assertRaises(ReplyError):
                    make(text)

    def test_a_line_of_several_may_be_a_number(self) -> None:
        numbers: list[Any] = [0, 1.5, False]
        lines = [self.replies.text(each) for each in numbers]
        self.assertEqual(lines, [b"0\r\n", b"1.5\r\n", b"False\r\n"])
        others: list[Any] = [None, b"a", [], object()]
        for each in others:
            with self.assertRaisesRegex(ReplyError, "expected str, int, float or bool"):
                self.replies.text(each)

    def test_no_lines(self) -> None:
        none: Any = lines_of(None)
        self.assertEqual([*none], [])
        for value in ("a", b"a", 1):
            with self.assertRaisesRegex(ReplyError, "gives no lines"):
                lines_of(value)

    def test_bytes_that_were_no_utf_8_go_out_as_they_came_in(self) -> None:
        text = b"\xed\xff \xed\x95\x9c".decode("utf-8", "surrogateescape")
        self.assertEqual(self.replies.text(text), b"\xed\xff \xed\x95\x9c\r\n")
        self.assertEqual(self.replies.push(text), b"* \xed\xff \xed\x95\x9c\r\n")

    def test_a_surrogate_that_stands_for_no_byte(self) -> None:
        for make in (self.replies.text, self.replies.push):
            with self.assertRaises(ReplyError):
                make("\ud800")

    def test_errors(self) -> None:
        error = CommandError("bad-argument", "two\r\nlines  and \ud800")
        self.assertEqual(self.replies.error(error), b"ERR bad-argument two lines and ?\r\n")
        self.assertEqual(self.replies.broken_off(error), b". ERR bad-argument two lines and ?\r\n")
        self.assertEqual(self.replies.error(CommandError("failed", "")), b"ERR failed\r\n")
        self.assertEqual(self.replies.errors, 3)

    def test_errors_of_another_shape(self) -> None:
        replies = Replies(b"\n", lambda error: b"NO " + error.code.encode() + b"\n")
        self.assertEqual(replies.error(CommandError("failed", "x")), b"NO failed\n")
        self.assertEqual(replies.broken_off(CommandError("failed", "x")), b". ERR failed x\n")

    def test_codes(self) -> None:
        for code in ("", "A", "a b", "-a", "1", "a_b", "a\n", "é"):
            with self.assertRaises(ValueError, msg=code):
                CommandError(code, "")
        self.assertEqual(str(CommandError("a-1", " x  y ")), "a-1 x y")
