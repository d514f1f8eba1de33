from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from twisted.trial.unittest import SynchronousTestCase

from netsuite.ip import AddressError, IPRange


class ParseTests(SynchronousTestCase):
    def test_forms(self) -> None:
        for text, first, last in [
            ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
            ("192.0.2.0/24", "192.0.2.0", "192.0.2.255"),
            ("192.0.2.5-192.0.3.9", "192.0.2.5", "192.0.3.9"),
            (" 192.0.2.5 - 192.0.2.9 ", "192.0.2.5", "192.0.2.9"),
            ("192.0.2.5-9", "192.0.2.5", "192.0.2.9"),
            ("10.*.*.*", "10.0.0.0", "10.255.255.255"),
            ("10.1-3.*.*", "10.1.0.0", "10.3.255.255"),
            ("*.*.*.*", "0.0.0.0", "255.255.255.255"),
            ("2001:db8::", "2001:db8::", "2001:db8::"),
            ("2001:db8::/126", "2001:db8::", "2001:db8::3"),
            ("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::", "f" * 4 + ":ffff" * 7),
        ]:
            found = IPRange.parse(text)
            self.assertEqual((found.first, found.last), (ip_address(first), ip_address(last)))
            self.assertEqual(IPRange.parse(str(found)), found)

    def test_what_is_none_is_named(self) -> None:
        for text in (
            "",
            "-",
            "192.0.2.9-192.0.2.5",
            "192.0.2.1-2001:db8::1",
            "192.0.2.1-",
            "-192.0.2.1",
            "10.0.0.1/33",
            "10.*.3.*",
            "10.*.1-2.3",
            "10.1-2.3-4.*",
            "10.0.0.256-257",
            "10.0.0.9-5",
            "*.*.*",
            "10.0.0.*.*",
            "fe80::*",
            "example.com",
            "fe80::1%eth0",
            "1" * 1000,
        ):
            with self.assertRaises(AddressError) as caught:
                IPRange.parse(text)
            self.assertLess(len(str(caught.exception)), 350)
            self.assertIn("expected", str(caught.exception))

    def test_host_bits_are_shown_how_to_mend(self) -> None:
        with self.assertRaises(AddressError) as caught:
            IPRange.parse("10.0.0.1/8")
        self.assertEqual(str(caught.exception), "'10.0.0.1/8': expected no host bits: 10.0.0.0/8")


class RangeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.range = IPRange.parse("10.0.0.5-10.0.1.4")

    def test_values(self) -> None:
        self.assertEqual((self.range.version, self.range.size), (4, 256))
        self.assertEqual(str(self.range), "10.0.0.5-10.0.1.4")
        self.assertEqual(repr(self.range), "<IPRange 10.0.0.5-10.0.1.4>")
        self.assertEqual(
            list(IPRange.parse("::1-::3")), [IPv6Address(value) for value in (1, 2, 3)]
        )

    def test_it_cannot_be_changed(self) -> None:
        with self.assertRaises(AttributeError):
            self.range._key = (4, 0, 0)  # type: ignore[misc]  # that is the point

    def test_membership(self) -> None:
        for item, inside in [
            ("10.0.0.5", True),
            ("10.0.1.4", True),
            ("10.0.0.4", False),
            ("10.0.1.5", False),
            ("::ffff:10.0.0.5", False),
        ]:
            self.assertIs(ip_address(item) in self.range, inside)
        self.assertIn(ip_network("10.0.0.8/29"), self.range)
        self.assertNotIn(ip_network("10.0.0.0/29"), self.range)
        self.assertIn(self.range, self.range)
        self.assertNotIn(IPv6Address(int(IPv4Address("10.0.0.5"))), self.range)

    def test_overlap(self) -> None:
        for item, overlaps in [
            (ip_network("10.0.0.0/29"), True),
            (ip_network("10.0.0.0/30"), False),
            (IPRange.parse("10.0.1.4-10.0.9.9"), True),
            (ip_address("10.0.1.5"), False),
            (ip_network("::/0"), False),
        ]:
            self.assertIs(self.range.overlaps(item), overlaps)

    def test_prefixes(self) -> None:
        self.assertEqual(
            [str(network) for network in IPRange.parse("10.0.0.5-10.0.0.8").prefixes()],
            ["10.0.0.5/32", "10.0.0.6/31", "10.0.0.8/32"],
        )
        everything = IPRange.of(IPv6Network("::/0"))
        self.assertEqual(everything.prefix, IPv6Network("::/0"))
        self.assertEqual(IPRange.of(IPv4Network("0.0.0.0/0")).prefix, IPv4Network("0.0.0.0/0"))
        self.assertIsNone(self.range.prefix)

    def test_order(self) -> None:
        texts = ["::1-::2", "10.0.0.1", "10.0.0.0/8", "10.0.0.0-10.0.0.1"]
        self.assertEqual(
            [str(each) for each in sorted(map(IPRange.parse, texts))],
            ["10.0.0.0-10.0.0.1", "10.0.0.0-10.255.255.255", "10.0.0.1-10.0.0.1", "::1-::2"],
        )
        self.assertEqual(len({IPRange.parse("10.0.0.0/8"), IPRange.parse("10.*.*.*")}), 1)
