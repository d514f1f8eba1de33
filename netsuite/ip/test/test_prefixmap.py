from collections.abc import MutableMapping
from ipaddress import ip_address, ip_network

from twisted.trial.unittest import SynchronousTestCase

from netsuite.ip import AddressError, FrozenPrefixMap, IPNetwork, PrefixMap
from netsuite.ip._bulk import BLOCK

ROUTES = {
    "0.0.0.0/0": "default",
    "10.0.0.0/8": "ten",
    "10.1.0.0/16": "one",
    "10.1.2.0/24": "two",
    "10.1.2.128/25": "half",
    "10.1.2.130/32": "host",
    "192.0.2.0/24": "test",
    "2001:db8::/32": "doc",
    "2001:db8:1::/48": "site",
    "2001:db8:1::7/128": "host6",
}


class MappingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.map = PrefixMap(ROUTES)

    def test_it_is_a_mapping(self) -> None:
        self.assertIsInstance(self.map, MutableMapping)
        self.assertEqual(len(self.map), len(ROUTES))
        self.assertEqual([str(network) for network in self.map], list(ROUTES))
        self.assertEqual(self.map[ip_network("10.0.0.0/8")], "ten")
        self.assertEqual(self.map["10.0.0.0/8"], "ten")
        self.assertIn("10.0.0.0/8", self.map)
        self.assertNotIn("10.0.0.0/9", self.map)
        self.assertNotIn(7, self.map)
        self.assertEqual(self.map.get(ip_network("10.0.0.0/9")), None)
        with self.assertRaises(KeyError):
            self.map["10.0.0.0/9"]

    def test_change_and_removal(self) -> None:
        self.map["10.1.2.0/24"] = "new"
        self.assertEqual(self.map.value_of("10.1.2.1", ""), "new")
        del self.map["10.1.2.0/24"]
        self.assertEqual(self.map.value_of("10.1.2.1", ""), "one")
        with self.assertRaises(KeyError):
            del self.map["10.1.2.0/24"]
        with self.assertRaises(KeyError):
            del self.map["10.1.2.0/23"]
        self.map.clear()
        self.assertEqual((len(self.map), self.map.lookup("10.1.2.1")), (0, None))

    def test_ways_to_make_one(self) -> None:
        pairs = list(ROUTES.items())
        networks = [(ip_network(network), value) for network, value in pairs]
        self.assertEqual(dict(PrefixMap(pairs)), dict(self.map))
        self.assertEqual(dict(PrefixMap(networks)), dict(self.map))
        ipv4_only = [(network, value) for network, value in pairs if ":" not in network]
        self.assertEqual(len(PrefixMap(ipv4_only)), 7)

    def test_more_than_are_read_at_a_time(self) -> None:
        """Of two values for a network, the later one counts, however both are written."""
        texts = [f"10.{number >> 8}.{number & 255}.0/24" for number in range(BLOCK)]
        pairs: list[tuple[IPNetwork | str, int]] = [(text, 1) for text in texts]
        pairs += [(ip_network(texts[0]), 2), ("2001:db8::/32", 3), (texts[1], 4), ("10.0.3.0", 5)]
        pairs += [(text, 6) for text in texts[2:BLOCK]]
        made = PrefixMap(iter(pairs))
        self.assertEqual(len(made), BLOCK + 2)
        self.assertEqual([made[text] for text in texts], [2, 4] + [6] * (BLOCK - 2))
        self.assertEqual((made["2001:db8::/32"], made["10.0.3.0/32"]), (3, 5))
        with self.assertRaises(AddressError):
            PrefixMap([*pairs, ("10.0.0.1/24", 7)])

    def test_what_is_no_network(self) -> None:
        for text in ("10.0.0.1/8", "x", "10.0.0.0/"):
            with self.assertRaises(AddressError):
                PrefixMap([(text, 1)])
            with self.assertRaises(AddressError):
                self.map[text] = "x"
        with self.assertRaises(AddressError):
            self.map.lookup("10.0.0.0/8")


class SearchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.map = PrefixMap(ROUTES)

    def test_lookup(self) -> None:
        frozen = self.map.freeze()
        self.assertIsInstance(frozen, FrozenPrefixMap)
        self.assertEqual(len(frozen), len(self.map))
        for address, network in [
            ("10.1.2.130", "10.1.2.130/32"),
            ("10.1.2.129", "10.1.2.128/25"),
            ("10.1.2.127", "10.1.2.0/24"),
            ("10.1.3.0", "10.1.0.0/16"),
            ("10.255.255.255", "10.0.0.0/8"),
            ("11.0.0.0", "0.0.0.0/0"),
            ("255.255.255.255", "0.0.0.0/0"),
            ("192.0.2.255", "192.0.2.0/24"),
            ("2001:db8:1::7", "2001:db8:1::7/128"),
            ("2001:db8:1::8", "2001:db8:1::/48"),
            ("2001:db8:2::", "2001:db8::/32"),
        ]:
            expected = (ip_network(network), ROUTES[network])
            where = ip_address(address)
            row = (int(expected[0].network_address), expected[0].prefixlen, expected[1])
            for each in (self.map, frozen):
                self.assertEqual(each.lookup(address), expected)
                self.assertEqual(each.lookup(where), expected)
                self.assertEqual(each.lookup_int(int(where), where.version), row)
        for each in (self.map, frozen):
            self.assertIsNone(each.lookup("2001:db7::"))
            self.assertIsNone(each.lookup_int(0, 6))
            with self.assertRaises(AddressError):
                each.lookup("nowhere")

    def test_the_families_are_kept_apart(self) -> None:
        """A map that shares one tree for both lets 10.0.0.0/8 answer for a01:101::."""
        only4 = PrefixMap({"10.0.0.0/8": "v4"})
        only6 = PrefixMap({"a00::/8": "v6"})
        for kind in (only4, only4.freeze()):
            self.assertIsNone(kind.lookup("a01:101::"))
            self.assertIsNone(kind.lookup("::ffff:10.0.0.1"))
            self.assertIsNone(kind.lookup("::a00:1"))
        for kind6 in (only6, only6.freeze()):
            self.assertIsNone(kind6.lookup("10.1.1.1"))

    def test_nothing_at_all(self) -> None:
        empty: PrefixMap[int] = PrefixMap()
        self.assertIsNone(empty.lookup("10.0.0.1"))
        self.assertIsNone(empty.freeze().lookup("10.0.0.1"))
        self.assertIsNone(empty.freeze().lookup("::"))

    def test_a_frozen_map_stays_as_it_was(self) -> None:
        frozen = self.map.freeze()
        self.map["10.1.2.130/32"] = "changed"
        self.assertEqual(frozen.lookup("10.1.2.130"), (ip_network("10.1.2.130/32"), "host"))

    def values(self, found: object) -> list[str]:
        return [value for _, value in found]  # type: ignore[attr-defined]  # pairs

    def test_covering(self) -> None:
        self.assertEqual(
            self.values(self.map.covering(ip_address("10.1.2.130"))),
            ["host", "half", "two", "one", "ten", "default"],
        )
        self.assertEqual(
            self.values(self.map.covering("10.1.2.0/24")), ["two", "one", "ten", "default"]
        )
        self.assertEqual(self.values(self.map.covering("::/0")), [])

    def test_covered(self) -> None:
        self.assertEqual(
            self.values(self.map.covered("10.1.0.0/16")), ["one", "two", "half", "host"]
        )
        self.assertEqual(self.values(self.map.covered("0.0.0.0/0"))[0], "default")
        self.assertEqual(self.values(self.map.covered("10.1.2.131/32")), [])

    def test_parent(self) -> None:
        for network, expected in [
            ("10.1.2.130/32", "half"),
            ("10.1.2.0/25", "two"),
            ("10.0.0.0/8", "default"),
            ("2001:db8:1::/48", "doc"),
        ]:
            found = self.map.parent(network)
            assert found is not None
            self.assertEqual(found[1], expected)
        self.assertIsNone(self.map.parent("0.0.0.0/0"))

    def test_children(self) -> None:
        self.assertEqual(self.values(self.map.children("0.0.0.0/0")), ["ten", "test"])
        self.assertEqual(self.values(self.map.children("10.1.2.0/24")), ["half"])
        self.assertEqual(self.values(self.map.children(ip_network("::/0"))), ["doc"])

    def test_walk(self) -> None:
        self.assertEqual(
            [(value, depth) for _, value, depth in self.map.walk()],
            [
                ("default", 0),
                ("ten", 1),
                ("one", 2),
                ("two", 3),
                ("half", 4),
                ("host", 5),
                ("test", 1),
                ("doc", 0),
                ("site", 1),
                ("host6", 2),
            ],
        )
