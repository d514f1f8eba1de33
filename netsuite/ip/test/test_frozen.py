from ipaddress import IPv4Address, IPv6Address

from twisted.trial.unittest import SynchronousTestCase

from netsuite.ip import PrefixMap, _frozen

ROUTES = {
    "0.0.0.0/1": "half",
    "10.0.0.0/15": "fifteen",
    "10.0.0.0/16": "sixteen",
    "10.1.128.0/17": "seventeen",
    "10.2.3.0/24": "twenty-four",
    "10.2.3.128/25": "twenty-five",
    "10.2.3.255/32": "host",
    "255.255.255.255/32": "last",
    "::/128": "first6",
    "2001:db8::/31": "thirty-one",
    "2001:db8::/33": "thirty-three",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128": "last6",
}


class FrozenTests(SynchronousTestCase):
    def test_the_same_answers_whatever_the_arrays(self) -> None:
        """At both ends of each network, and one further on."""
        made = PrefixMap(ROUTES)
        ends = {4: {0, 2**32 - 1}, 6: {0, 2**128 - 1}}
        for network in made:
            first, last = int(network.network_address), int(network.broadcast_address)
            for value in (first - 1, first, last, last + 1):
                if 0 <= value < 2**network.max_prefixlen:
                    ends[network.version].add(value)
        for many in (0, 2**20):
            self.patch(_frozen, "_MANY", many)
            frozen = made.freeze()
            self.assertEqual(len(frozen), len(ROUTES))
            for version, kind in ((4, IPv4Address), (6, IPv6Address)):
                for value in ends[version]:
                    expected = made.lookup_int(value, version)
                    self.assertEqual(frozen.lookup_int(value, version), expected, (many, value))
                    self.assertEqual(frozen.lookup(kind(value)), made.lookup(kind(value)))

    def test_a_value_is_found_as_the_object_it_is(self) -> None:
        """Equal values may differ: only the same object is kept once."""
        one, other = [0], [0]
        frozen = PrefixMap({"10.0.0.0/8": one, "10.1.0.0/16": other, "::/0": one}).freeze()
        for address, expected in (("10.0.0.1", one), ("10.1.0.1", other), ("::1", one)):
            found = frozen.lookup(address)
            assert found is not None
            self.assertIs(found[1], expected)

    def test_none_is_a_value(self) -> None:
        frozen = PrefixMap({"0.0.0.0/32": None, "::/128": None}).freeze()
        self.assertEqual(frozen.lookup_int(0, 4), (0, 32, None))
        self.assertEqual(frozen.lookup_int(0, 6), (0, 128, None))
        self.assertIsNone(frozen.lookup_int(1, 4))
        self.assertIsNone(frozen.lookup_int(1, 6))
