from datetime import UTC, datetime

from twisted.trial.unittest import SynchronousTestCase

from netsuite.echo._wire import (
    CHARGEN_CYCLE,
    MAX_QUOTE,
    QUOTES,
    chargen_line,
    daytime_line,
    parse_quotes,
    quote_of_the_day,
    time_value,
)


class ChargenTests(SynchronousTestCase):
    """The figure on the last page of RFC 864, line by line."""

    def test_first_lines(self) -> None:
        self.assertEqual(
            chargen_line(0),
            b" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefg\r\n",
        )
        self.assertEqual(
            chargen_line(1),
            b"!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefgh\r\n",
        )

    def test_the_pattern_wraps_inside_a_line(self) -> None:
        self.assertEqual((chargen_line(24)[:3], chargen_line(24)[-4:]), (b"89:", b"~ \r\n"))
        self.assertEqual(
            chargen_line(94),
            b"~ !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdef\r\n",
        )

    def test_the_cycle_is_95_lines_of_72_columns(self) -> None:
        lines = CHARGEN_CYCLE.split(b"\r\n")
        self.assertEqual(lines.pop(), b"")
        self.assertEqual((len(lines), {len(line) for line in lines}), (95, {72}))
        self.assertEqual(len(set(lines)), 95)
        self.assertEqual(chargen_line(95), chargen_line(0))


def seconds(*when: int) -> float:
    return datetime(*when, tzinfo=UTC).timestamp()  # type: ignore[misc,arg-type]  # year, month, ...


class DaytimeTests(SynchronousTestCase):
    def test_the_example_of_the_rfc(self) -> None:
        # RFC 867: "Tuesday, February 22, 1982 17:37:43-PST", which was in fact a Monday.
        self.assertEqual(
            daytime_line(seconds(1982, 2, 22, 17, 37, 43)),
            b"Monday, February 22, 1982 17:37:43-UTC\r\n",
        )

    def test_two_digits_for_the_clock_one_for_the_day(self) -> None:
        self.assertEqual(
            daytime_line(seconds(2026, 11, 1, 4, 5, 6)),
            b"Sunday, November 1, 2026 04:05:06-UTC\r\n",
        )


class TimeTests(SynchronousTestCase):
    """The examples of RFC 868, and the wrap that it foresees."""

    def test_the_examples_of_the_rfc(self) -> None:
        for when, expected in [
            ((1970, 1, 1), 2_208_988_800),
            ((1976, 1, 1), 2_398_291_200),
            ((1980, 1, 1), 2_524_521_600),
            ((1983, 5, 1), 2_629_584_000),
            ((1858, 11, 17), -1_297_728_000),
        ]:
            self.assertEqual(time_value(seconds(*when)), (expected % 2**32).to_bytes(4, "big"))

    def test_it_wraps_in_2036(self) -> None:
        last = seconds(2036, 2, 7, 6, 28, 15)
        self.assertEqual(time_value(last), b"\xff\xff\xff\xff")
        self.assertEqual(time_value(last + 1), b"\0\0\0\0")
        self.assertEqual(time_value(last + 2), b"\0\0\0\x01")


class QuoteTests(SynchronousTestCase):
    def test_quotes_are_separated_by_percent_lines(self) -> None:
        self.assertEqual(
            parse_quotes("one\ntwo\n%\nthree\n%\n\n%\n"), (b"one\r\ntwo\r\n", b"three\r\n")
        )

    def test_a_percent_in_a_line_separates_nothing(self) -> None:
        self.assertEqual(parse_quotes("100 %\n% off"), (b"100 %\r\n% off\r\n",))

    def test_the_longest_quote(self) -> None:
        self.assertEqual(len(parse_quotes("x" * (MAX_QUOTE - 2))[0]), MAX_QUOTE)
        with self.assertRaises(ValueError) as caught:
            parse_quotes("fine\n%\n" + "x" * (MAX_QUOTE - 1))
        self.assertIn("line 3: the quote has 513 bytes", str(caught.exception))

    def test_not_ascii(self) -> None:
        with self.assertRaises(ValueError) as caught:
            parse_quotes("caf\u00e9")
        self.assertIn("line 1", str(caught.exception))

    def test_no_quote(self) -> None:
        for text in ("", "\n \n", "%\n%\n"):
            with self.assertRaises(ValueError):
                parse_quotes(text)

    def test_ours_fit(self) -> None:
        self.assertTrue(QUOTES)
        self.assertTrue(all(len(quote) <= MAX_QUOTE for quote in QUOTES))

    def test_one_a_day_in_turn(self) -> None:
        quotes = (b"a", b"b")
        days = [
            quote_of_the_day(quotes, day * 86_400 + second)
            for day in range(3)
            for second in (0, 86_399)
        ]
        self.assertEqual(days, [b"a", b"a", b"b", b"b", b"a", b"a"])
