from collections.abc import Callable
from typing import Any, ClassVar

from twisted.trial.unittest import SynchronousTestCase

from netsuite.service._quantities import (
    parse_boolean,
    parse_byte_rate,
    parse_number,
    parse_seconds,
    parse_size,
    parse_whole,
)


class QuantityTests(SynchronousTestCase):
    GOOD: ClassVar[list[tuple[Callable[[str], Any], str, object]]] = [
        (parse_seconds, "10", 10.0),
        (parse_seconds, "1.5", 1.5),
        (parse_seconds, ".5", 0.5),
        (parse_seconds, "500ms", 0.5),
        (parse_seconds, "7ms", 0.007),
        (parse_seconds, "30s", 30.0),
        (parse_seconds, "2m", 120.0),
        (parse_seconds, "1.5h", 5400.0),
        (parse_seconds, "1d", 86_400.0),
        (parse_seconds, " 3 s ", 3.0),
        (parse_seconds, "0", 0.0),
        (parse_byte_rate, "64000", 64_000.0),
        (parse_byte_rate, "500k", 500_000.0),
        (parse_byte_rate, "500K", 500_000.0),
        (parse_byte_rate, "2M", 2_000_000.0),
        (parse_byte_rate, "1.5G", 1_500_000_000.0),
        (parse_size, "65536", 65_536),
        (parse_size, "64k", 64_000),
        (parse_size, "64Ki", 65_536),
        (parse_size, "1.5Mi", 1_572_864),
        (parse_size, "1Gi", 2**30),
        (parse_number, "0.5", 0.5),
        (parse_whole, "100", 100),
        (parse_whole, "999999999999999999", 10**18 - 1),
        (parse_whole, "100\x1f", 100),  # which str.strip takes off, and int does not
        (parse_boolean, "1", True),
        (parse_boolean, "Yes", True),
        (parse_boolean, "on", True),
        (parse_boolean, "TRUE", True),
        (parse_boolean, "0", False),
        (parse_boolean, "no", False),
        (parse_boolean, "off", False),
        (parse_boolean, "false", False),
    ]

    def test_what_people_write(self) -> None:
        for parse, text, value in self.GOOD:
            self.assertEqual(parse(text), value, text)

    BAD: ClassVar[list[tuple[Callable[[str], Any], str, str]]] = [
        (parse_seconds, "soon", "'soon' is not a number: expected seconds, such as"),
        (parse_seconds, "", "'' is not a number: expected seconds"),
        (parse_seconds, "10x", "'10x' is not a number"),
        (parse_seconds, "10M", "'10M' is not a number"),
        (parse_seconds, "-1", "'-1' is less than 0: expected seconds"),
        (parse_seconds, "-inf", "'-inf' is less than 0"),
        (parse_seconds, "nan", "'nan' is not a finite number: expected seconds"),
        (parse_seconds, "inf", "'inf' is not a finite number"),
        (parse_seconds, "9" * 400, "is too large: expected seconds"),
        (parse_seconds, "1e3", "'1e3' is not written as expected: seconds"),
        (parse_seconds, "1_000", "'1_000' is not written as expected"),
        (parse_seconds, "٣", "'٣' is not written as expected"),
        (parse_byte_rate, "2m", "'2m' is not a number: expected bytes a second"),
        (parse_byte_rate, "1T", "'1T' is not a number"),
        (parse_size, "64ki", "'64ki' is not a number: expected bytes, such as 65536, or"),
        (parse_number, "20k", "'20k' is not a number: expected a number of 0 or more"),
        (parse_whole, "1.5", "'1.5' is not written as expected: a whole number, such as 100"),
        (parse_whole, "many", "'many' is not a number: expected a whole number"),
        (parse_whole, "-3", "'-3' is less than 0"),
        (parse_whole, "1" * 19, "is not written as expected"),
        (parse_boolean, "maybe", "'maybe' is neither yes nor no: expected 1, true, yes or on"),
        (parse_boolean, "", "'' is neither yes nor no"),
    ]

    def test_what_cannot_be_says_what_was_expected(self) -> None:
        for parse, text, complaint in self.BAD:
            error = self.assertRaises(ValueError, parse, text)
            self.assertIn(complaint, str(error))
            self.assertEqual(str(error).count("\n"), 0)
