from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address, ip_network

from twisted.trial.unittest import SynchronousTestCase

from netsuite.ip._errors import AddressError
from netsuite.ip._names import from_ptr, ptr_name, ptr_zones
from netsuite.ip.test import shown

V6 = "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
EXPECTED = "expected a name under in-addr.arpa or ip6.arpa, as in 1.2.0.192.in-addr.arpa"


class PtrNameTests(SynchronousTestCase):
    def test_addresses(self) -> None:
        self.assertEqual(ptr_name(IPv4Address("192.0.2.10")), "10.2.0.192.in-addr.arpa")
        self.assertEqual(ptr_name(IPv6Address("2001:db8::567:89ab")), V6)

    def test_zone_id_is_left_behind(self) -> None:
        """The property of the standard library raises for it."""
        with_zone, without = IPv6Address("fe80::1%eth0"), IPv6Address("fe80::1")
        self.assertEqual(ptr_name(with_zone), without.reverse_pointer)

    def test_in_a_classless_zone(self) -> None:
        """The examples of RFC 2317 section 4."""
        for address, zone, name in (
            ("192.0.2.1", "192.0.2.0/25", "1.0/25.2.0.192.in-addr.arpa"),
            ("192.0.2.129", "192.0.2.128/26", "129.128/26.2.0.192.in-addr.arpa"),
            ("192.0.2.255", "192.0.2.192/26", "255.192/26.2.0.192.in-addr.arpa"),
            ("192.0.2.255", "192.0.2.254/31", "255.254/31.2.0.192.in-addr.arpa"),
        ):
            self.assertEqual(ptr_name(IPv4Address(address), zone=IPv4Network(zone)), name)

    def test_not_in_that_zone(self) -> None:
        for address, zone in (
            ("192.0.2.64", "192.0.2.0/26"),
            ("192.0.2.1", "192.0.2.0/24"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("2001:db8::1", "192.0.2.0/26"),
        ):
            with self.assertRaises(AddressError) as caught:
                ptr_name(ip_address(address), zone=IPv4Network(zone))
            self.assertEqual(
                str(caught.exception),
                f"{zone!r}: expected an IPv4 network of length 25 to 31 with {address} in it",
            )


class PtrZonesTests(SynchronousTestCase):
    def zones(self, network: str, *, classless: bool = False) -> list[str]:
        return ptr_zones(ip_network(network), classless=classless)

    def test_on_a_boundary(self) -> None:
        for network, zone in {
            "0.0.0.0/0": "in-addr.arpa",
            "10.0.0.0/8": "10.in-addr.arpa",
            "192.168.0.0/16": "168.192.in-addr.arpa",
            "192.0.2.0/24": "2.0.192.in-addr.arpa",
            "::/0": "ip6.arpa",
            "2001:db8::/32": "8.b.d.0.1.0.0.2.ip6.arpa",
            "2001:db8::567:89ab/128": V6,
        }.items():
            for classless in (False, True):
                self.assertEqual(self.zones(network, classless=classless), [zone])

    def test_between_octets(self) -> None:
        self.assertEqual(
            self.zones("192.0.2.0/23"), ["2.0.192.in-addr.arpa", "3.0.192.in-addr.arpa"]
        )
        many = self.zones("128.0.0.0/1")
        self.assertEqual(len(many), 128)
        self.assertEqual((many[0], many[-1]), ("128.in-addr.arpa", "255.in-addr.arpa"))

    def test_between_nibbles(self) -> None:
        self.assertEqual(
            self.zones("2001:db8::/31"), ["8.b.d.0.1.0.0.2.ip6.arpa", "9.b.d.0.1.0.0.2.ip6.arpa"]
        )
        many = self.zones("2001:db8::/33")
        self.assertEqual(len(many), 8)
        self.assertEqual(many[-1], "7.8.b.d.0.1.0.0.2.ip6.arpa")

    def test_longer_than_24(self) -> None:
        for length in (25, 28, 31, 32):
            self.assertEqual(self.zones(f"192.0.2.128/{length}"), ["2.0.192.in-addr.arpa"])

    def test_classless(self) -> None:
        self.assertEqual(ptr_zones(IPv4Network("192.0.2.0/25")), ["2.0.192.in-addr.arpa"])
        self.assertEqual(
            self.zones("192.0.2.128/25", classless=True), ["128/25.2.0.192.in-addr.arpa"]
        )
        self.assertEqual(self.zones("192.0.2.2/31", classless=True), ["2/31.2.0.192.in-addr.arpa"])
        self.assertEqual(self.zones("192.0.2.2/32", classless=True), ["2.0.192.in-addr.arpa"])

    def test_zones_of_any_length_are_read_back_as_a_cover(self) -> None:
        for text in ("192.0.2.128", "2001:db8::567:89ab"):
            for length in range(ip_address(text).max_prefixlen + 1):
                network = ip_network((text, length), strict=False)
                covered = 0
                for zone in ptr_zones(network):
                    part = ip_network(from_ptr(zone))
                    if length <= 24 or part.version == 6:
                        self.assertTrue(part.subnet_of(network))  # type: ignore[arg-type]  # same
                        covered += part.num_addresses
                    else:
                        self.assertTrue(network.subnet_of(part))  # type: ignore[arg-type]  # same
                        covered = network.num_addresses
                self.assertEqual(covered, network.num_addresses)


class FromPtrTests(SynchronousTestCase):
    def test_addresses(self) -> None:
        self.assertEqual(from_ptr("10.2.0.192.in-addr.arpa"), IPv4Address("192.0.2.10"))
        self.assertEqual(from_ptr(V6), IPv6Address("2001:db8::567:89ab"))

    def test_case_and_final_dot(self) -> None:
        self.assertEqual(from_ptr("10.2.0.192.IN-ADDR.Arpa."), IPv4Address("192.0.2.10"))
        self.assertEqual(from_ptr(V6.upper() + "."), IPv6Address("2001:db8::567:89ab"))

    def test_networks(self) -> None:
        for name, network in {
            "in-addr.arpa": "0.0.0.0/0",
            "10.in-addr.arpa": "10.0.0.0/8",
            "2.0.192.in-addr.arpa": "192.0.2.0/24",
            "ip6.arpa": "::/0",
            "2.ip6.arpa": "2000::/4",
            "8.b.d.0.1.0.0.2.ip6.arpa": "2001:db8::/32",
        }.items():
            self.assertEqual(from_ptr(name), ip_network(network))

    def test_classless(self) -> None:
        for name in ("0/26.2.0.192.in-addr.arpa", "0-26.2.0.192.in-addr.arpa."):
            self.assertEqual(from_ptr(name), IPv4Network("192.0.2.0/26"))
        self.assertEqual(from_ptr("254/31.2.0.192.in-addr.arpa"), IPv4Network("192.0.2.254/31"))
        for name in ("129.128/25.2.0.192.in-addr.arpa", "129.128-25.2.0.192.in-addr.arpa"):
            self.assertEqual(from_ptr(name), IPv4Address("192.0.2.129"))

    def test_others_are_refused(self) -> None:
        for name in (
            "",
            ".",
            "arpa",
            "example.com",
            "1.2.0.192.in-addr.arpa.example.com",
            ".in-addr.arpa",
            "in-addr.arpa..",
            "1..0.192.in-addr.arpa",
            "1.2.0.192..in-addr.arpa",
            "256.2.0.192.in-addr.arpa",
            "999.in-addr.arpa",
            "01.2.0.192.in-addr.arpa",
            "-1.2.0.192.in-addr.arpa",
            "x.2.0.192.in-addr.arpa",
            "\uff11.2.0.192.in-addr.arpa",
            "0.1.2.0.192.in-addr.arpa",
            "0.0.1.2.0.192.in-addr.arpa",
            "1.2.0.192.in-addr.arpa\n",
            "10.ip6.arpa",
            "g.ip6.arpa",
            ".ip6.arpa",
            "\uff11.ip6.arpa",
            "0." * 33 + "ip6.arpa",
            # Classless: a length that is none, bits behind the prefix, an address elsewhere.
            "0/24.2.0.192.in-addr.arpa",
            "0/32.2.0.192.in-addr.arpa",
            "0/026.2.0.192.in-addr.arpa",
            "1/26.2.0.192.in-addr.arpa",
            "00/26.2.0.192.in-addr.arpa",
            "256/26.2.0.192.in-addr.arpa",
            "0-63.2.0.192.in-addr.arpa",
            "0/26.0.192.in-addr.arpa",
            "0/26.2.0.999.in-addr.arpa",
            "64.0/26.2.0.192.in-addr.arpa",
            "300.0/26.2.0.192.in-addr.arpa",
            "1.1.0/26.2.0.192.in-addr.arpa",
            "0/27.0/26.2.0.192.in-addr.arpa",
        ):
            with self.assertRaises(AddressError) as caught:
                from_ptr(name)
            self.assertTrue(str(caught.exception).startswith(f"{shown(name)}: {EXPECTED}"), name)

    def test_length(self) -> None:
        self.assertEqual(len(V6 + "."), 73)
        for name in (V6 + "..", "0." * 500_000 + "ip6.arpa"):
            with self.assertRaises(AddressError) as caught:
                from_ptr(name)
            self.assertEqual(
                str(caught.exception), f"{shown(name)}: {EXPECTED}, in up to 73 characters"
            )
