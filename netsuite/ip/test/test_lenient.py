import itertools
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

from twisted.trial.unittest import SynchronousTestCase

from netsuite.ip._errors import AddressError
from netsuite.ip._parse import (
    MAX_LENIENT,
    Notation,
    is_numeric_host,
    parse_lenient,
)
from netsuite.ip.test import shown

LOOPBACK = IPv4Address("127.0.0.1")
EXPECTED = "expected an address in a notation that inet_aton or getaddrinfo reads"

#: Every way to write 127.0.0.1 with up to four numbers, and its marks.
WRITINGS = {
    "127.0.0.1": Notation.STANDARD,
    "127.1": Notation.SHORT,
    "127.0.1": Notation.SHORT,
    "2130706433": Notation.INTEGER,
    "0x7f.0.0.1": Notation.HEXADECIMAL,
    "0X7F.0.0.1": Notation.HEXADECIMAL,
    "0x7f.1": Notation.HEXADECIMAL | Notation.SHORT,
    "0x7f000001": Notation.HEXADECIMAL | Notation.INTEGER,
    "0x0000000000007f.1": Notation.HEXADECIMAL | Notation.SHORT,
    "0177.0.0.1": Notation.OCTAL,
    "127.0.0.01": Notation.OCTAL,
    "127.0.00.1": Notation.OCTAL,
    "017700000001": Notation.OCTAL | Notation.INTEGER,
    "0x7f.0x1": Notation.HEXADECIMAL | Notation.SHORT,
    "0177.01": Notation.OCTAL | Notation.SHORT,
    "0177.0x1": Notation.OCTAL | Notation.HEXADECIMAL | Notation.SHORT,
    "127.0.0.1 ": Notation.TRAILING,
    "127.0.0.1\n": Notation.TRAILING,
    "127.0.0.1\tand more": Notation.TRAILING,
    "127.0.0.1 ::1": Notation.TRAILING,
    "127.1\r\n": Notation.SHORT | Notation.TRAILING,
}

#: As above, in characters that IDNA maps.
MAPPED_WRITINGS = {
    "\uff11\uff12\uff17.0.0.1": Notation.IDNA_MAPPED,  # full-width digits
    "127\u30020\uff0e0\uff611": Notation.IDNA_MAPPED,  # the other three full stops of IDNA
    "127\u20240.0.1": Notation.IDNA_MAPPED,  # a dot for leaders
    "\u2460\u2461\u2466.0.0.1": Notation.IDNA_MAPPED,  # circled
    "\u00b9\u00b2\u2077.0.0.1": Notation.IDNA_MAPPED,  # superscript
    "\U0001d7cf\U0001d7d0\U0001d7d5.0.0.1": Notation.IDNA_MAPPED,  # mathematical bold
    "\U0001fbf1\U0001fbf2\U0001fbf7.0.0.1": Notation.IDNA_MAPPED,  # younger than IDNA 2003
    "\uff10\uff587f.1": Notation.IDNA_MAPPED | Notation.HEXADECIMAL | Notation.SHORT,
    "0x7\uff26.1": Notation.IDNA_MAPPED | Notation.HEXADECIMAL | Notation.SHORT,
    "127.0.0.\u00ad1": Notation.IDNA_MAPPED,  # soft hyphen, dropped
    "127.\u200b0.0.1": Notation.IDNA_MAPPED,  # zero width space, dropped
    "12\ufe0f7.0.0.1": Notation.IDNA_MAPPED,  # variation selector, dropped
    "\uff11\uff12\uff17.1 ": Notation.IDNA_MAPPED | Notation.SHORT | Notation.TRAILING,
}


def oracle(text: str) -> IPv4Address | None:
    """What the C library reads."""
    try:
        return IPv4Address(socket.inet_aton(text))
    except OSError:
        return None


def reading(text: str) -> IPv4Address | IPv6Address | None:
    """What we read."""
    try:
        return parse_lenient(text).address
    except AddressError:
        return None


class InetAtonTests(SynchronousTestCase):
    def test_writings(self) -> None:
        for text, notation in WRITINGS.items():
            found = parse_lenient(text)
            self.assertEqual((found.address, found.notation), (LOOPBACK, notation), text)
            self.assertEqual(oracle(text), LOOPBACK, text)

    def test_leading_zero_never_is_decimal(self) -> None:
        self.assertEqual(parse_lenient("010.0.0.1").address, IPv4Address("8.0.0.1"))
        self.assertIsNone(reading("08.0.0.1"))
        self.assertIsNone(reading("127.0.0.09"))

    def test_bounds_of_each_number(self) -> None:
        for text in (
            "0",
            "4294967295",
            "4294967296",
            "0xffffffff",
            "0x100000000",
            "037777777777",
            "040000000000",
            "255.16777215",
            "255.16777216",
            "256.1",
            "1.255.65535",
            "1.255.65536",
            "1.256.1",
            "1.2.3.255",
            "1.2.3.256",
            "1.2.256.4",
            "1.2.3.4.0",
            "1.2.3.4.5",
            "99999999999999999999999999",
            "0x" + "f" * 100,
        ):
            self.assertEqual(reading(text), oracle(text), text)

    def test_like_inet_aton_for_all_short_texts(self) -> None:
        for length in range(5):
            for characters in itertools.product("0189fxX. \n-", repeat=length):
                text = "".join(characters)
                self.assertEqual(reading(text), oracle(text), text)

    def test_like_inet_aton_for_combinations_of_numbers(self) -> None:
        numbers = ("0", "00", "08", "255", "256", "0377", "0400", "0xff", "0x100", "0x", "", "1 ")
        for count in range(1, 5):
            for parts in itertools.product(numbers, repeat=count):
                text = ".".join(parts)
                self.assertEqual(reading(text), oracle(text), text)

    def test_every_character_of_ascii_behind_and_before(self) -> None:
        for code in range(1, 128):
            for text in (f"127.0.0.1{chr(code)}", f"{chr(code)}127.0.0.1", f"1.{chr(code)}.1"):
                self.assertEqual(reading(text), oracle(text), text)

    def test_null_is_refused(self) -> None:
        for text in ("127.1\0", "127.1 \0", "\000127.1"):
            self.assertIsNone(reading(text))


class MappedTests(SynchronousTestCase):
    def test_writings(self) -> None:
        for text, notation in MAPPED_WRITINGS.items():
            found = parse_lenient(text)
            self.assertEqual((found.address, found.notation), (LOOPBACK, notation), ascii(text))

    def test_a_digit_with_its_full_stop(self) -> None:
        self.assertEqual(parse_lenient("\u24882").address, IPv4Address("1.0.0.2"))

    def test_ipv6(self) -> None:
        found = parse_lenient("\uff1a\uff1a\uff11")
        self.assertEqual(found.address, IPv6Address("::1"))
        self.assertEqual(found.notation, Notation.IDNA_MAPPED)

    def test_like_the_codec_that_getaddrinfo_uses(self) -> None:
        for text in MAPPED_WRITINGS:
            if "\U0001fbf1" not in text:
                self.assertEqual(oracle(text.encode("idna").decode()), LOOPBACK, ascii(text))

    def test_what_idna_does_not_map(self) -> None:
        for text in (
            "\u0661\u0662\u0667.0.0.1",  # Arabic digits stay as they are
            "127\u00b70\u00b70\u00b71",  # middle dots
            "\u00a0127.0.0.1",  # a space, mapped, but before
            "127.0.0.1\u00a0",  # a space that C does not know
            "127\u20260.0.1",  # an ellipsis is three dots
        ):
            self.assertIsNone(reading(text), ascii(text))

    def test_what_is_behind_does_not_count_as_mapped(self) -> None:
        found = parse_lenient("127.0.0.1 \uff11")
        self.assertEqual(found.notation, Notation.TRAILING)


class IPv6Tests(SynchronousTestCase):
    def test_standard(self) -> None:
        for text in ("::1", "2001:DB8::1", "fe80::1%eth0", "::ffff:127.0.0.1"):
            found = parse_lenient(text)
            self.assertEqual(found.address, ip_address(text))
            self.assertIs(found.notation, Notation.STANDARD)

    def test_brackets(self) -> None:
        for text in ("::1", "fe80::1%eth0"):
            found = parse_lenient(f"[{text}]")
            self.assertEqual(found.address, ip_address(text))
            self.assertIs(found.notation, Notation.BRACKETED)
        found = parse_lenient("\uff3b::1\uff3d")
        self.assertEqual(found.notation, Notation.BRACKETED | Notation.IDNA_MAPPED)

    def test_others_are_refused(self) -> None:
        for text in ("[::1", "::1]", "[[::1]]", "[127.0.0.1]", "[]", "::1 ", "[::1] ", "::1%a b"):
            with self.assertRaises(AddressError) as caught:
                parse_lenient(text)
            self.assertEqual(str(caught.exception), f"{shown(text)}: {EXPECTED}")


class NotationTests(SynchronousTestCase):
    def test_readings_can_be_keys(self) -> None:
        self.assertEqual(len({parse_lenient("127.1"), parse_lenient("127.1")}), 1)
        self.assertNotEqual(parse_lenient("127.1"), parse_lenient("127.0.0.1"))

    def test_standard_is_false(self) -> None:
        self.assertFalse(Notation.STANDARD)
        self.assertTrue(Notation.OCTAL)

    def test_names(self) -> None:
        self.assertEqual(str(Notation.STANDARD), "standard")
        self.assertEqual(str(Notation.IDNA_MAPPED), "idna-mapped")
        self.assertEqual(f"{Notation.SHORT | Notation.HEXADECIMAL}", "hexadecimal, short")


class RefusalTests(SynchronousTestCase):
    def test_names(self) -> None:
        for text in ("", " ", "localhost", "example.com", "1.example", "127.0.0.1.", "0x", "+1"):
            with self.assertRaises(AddressError) as caught:
                parse_lenient(text)
            self.assertEqual(str(caught.exception), f"{shown(text)}: {EXPECTED}")

    def test_length(self) -> None:
        zeros = "0" * (MAX_LENIENT - 1) + "1"
        self.assertEqual(parse_lenient(zeros).address, IPv4Address("0.0.0.1"))
        for text in ("0" + zeros, "1" * 1_000_000, "\ufdfa" * 1_000_000, "." * 1_000_000):
            with self.assertRaises(AddressError) as caught:
                parse_lenient(text)
            self.assertEqual(
                str(caught.exception), f"{shown(text)}: {EXPECTED}, in up to 1024 characters"
            )


class NumericHostTests(SynchronousTestCase):
    def test_addresses(self) -> None:
        for text in (*WRITINGS, *MAPPED_WRITINGS, "::1", "[::1]", "fe80::1%eth0", "::1%1", "0"):
            self.assertTrue(is_numeric_host(text), ascii(text))

    def test_names(self) -> None:
        for text in ("", "localhost", "1.example", "0x7f.example", "127.0.0.1.", "08", "[a]", "a:"):
            self.assertFalse(is_numeric_host(text), text)

    def test_too_long_counts_unless_it_could_be_a_name(self) -> None:
        self.assertFalse(is_numeric_host("1" * MAX_LENIENT))
        self.assertTrue(is_numeric_host("1" * (MAX_LENIENT + 1)))
        self.assertTrue(is_numeric_host("0" * 1_000_000 + "1"))
        self.assertTrue(is_numeric_host("0x" + "0" * 1_000_000 + "1"))
        self.assertTrue(is_numeric_host("\u200b\uff10" * 1_000_000))
        self.assertTrue(is_numeric_host("fe80::1%" + "0" * 1_000_000))
        self.assertFalse(is_numeric_host("a" * 1_000_000))
        self.assertFalse(is_numeric_host("." * 1_000_000))
