import time
from ipaddress import ip_address

from twisted.trial.unittest import SynchronousTestCase

from netsuite.ip._errors import AddressError
from netsuite.ip._forwarded import (
    MAX_FIELD,
    MAX_HOPS,
    TrustedProxies,
    node_address,
    parse_forwarded,
    parse_x_forwarded_for,
)


class NodeTests(SynchronousTestCase):
    def test_addresses(self) -> None:
        for node, text in (
            ("192.0.2.43", "192.0.2.43"),
            ("192.0.2.43:47011", "192.0.2.43"),
            ("192.0.2.43:_port-1.x", "192.0.2.43"),
            ("[2001:db8:cafe::17]", "2001:db8:cafe::17"),
            ("[2001:db8:cafe::17]:4711", "2001:db8:cafe::17"),
            ("2001:db8:cafe::17", "2001:db8:cafe::17"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("[::ffff:192.0.2.1]:80", "192.0.2.1"),
        ):
            self.assertEqual(node_address(node), ip_address(text), node)

    def test_none(self) -> None:
        for node in (
            *("", "unknown", "Unknown", "_hidden", "_SEVKISEK", "example.org", "example.org:80"),
            *("192.0.2.1:", "192.0.2.1:port", "192.0.2.1:123456", "192.0.2.01", "127.1"),
            *("[192.0.2.1]", "[::1", "::1]", "[::1]x", "[::1]:", "[]", "[]:80", "[[::1]]"),
            *("fe80::1%eth0", "[fe80::1%25eth0]", "192.0.2.1 ", "192.0.2.1,192.0.2.2", '"::1"'),
            *("\u0661.2.3.4", "1" * 5000),
        ):
            self.assertIs(node_address(node), None, node)


class XForwardedForTests(SynchronousTestCase):
    def test_chain(self) -> None:
        self.assertEqual(
            parse_x_forwarded_for(["203.0.113.9, 10.0.0.2,\t2001:db8::1 ", "10.0.0.3"]),
            ("203.0.113.9", "10.0.0.2", "2001:db8::1", "10.0.0.3"),
        )

    def test_empty_elements_do_not_count(self) -> None:
        self.assertEqual(parse_x_forwarded_for(["", ",,1.2.3.4, ,", " "]), ("1.2.3.4",))
        self.assertEqual(parse_x_forwarded_for([]), ())

    def test_quotes_mean_nothing(self) -> None:
        self.assertEqual(parse_x_forwarded_for(['"a, 1.2.3.4']), ('"a', "1.2.3.4"))


class ForwardedTests(SynchronousTestCase):
    def test_examples_of_the_rfc(self) -> None:
        for value, chain in (
            ('for="_gazonk"', ("_gazonk",)),
            ('For="[2001:db8:cafe::17]:4711"', ("[2001:db8:cafe::17]:4711",)),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", ("192.0.2.60",)),
            ("for=192.0.2.43, for=198.51.100.17", ("192.0.2.43", "198.51.100.17")),
            (
                'for=192.0.2.43, for="[2001:db8:cafe::17]";by=_x',
                ("192.0.2.43", "[2001:db8:cafe::17]"),
            ),
            ("for=192.0.2.43,for=unknown", ("192.0.2.43", "unknown")),
        ):
            self.assertEqual(parse_forwarded([value]), chain, value)

    def test_more_fields_than_one(self) -> None:
        self.assertEqual(parse_forwarded(["for=a, for=b", "for=c"]), ("a", "b", "c"))

    def test_quoted_strings(self) -> None:
        self.assertEqual(parse_forwarded([r'for="a, \"b\\";by="x;y,z"', "for=c"]), ('a, "b\\', "c"))

    def test_what_is_no_hop_with_a_name(self) -> None:
        for element in (
            *("by=10.0.0.1", "for", "for=", "for =a", "=a", 'for="a', 'for="a"b', "for=a b"),
            *("for=a;for=a", 'for="a";;x', "\x00", "for=a=b c"),
        ):
            chain = parse_forwarded([f"for=a, {element}, for=b"])
            self.assertEqual(chain[-1], "b", element)
            self.assertIn("unknown", chain[:-1], element)

    def test_spaces_and_empty_pairs(self) -> None:
        self.assertEqual(parse_forwarded(["for=a ; by=b;; ,, ;for=c;"]), ("a", "c"))

    def test_open_quote_on_the_left_spoils_nothing_on_the_right(self) -> None:
        for left in ('for="', '"', 'for="x\\', 'by="a, for=1.1.1.1', '\\"', 'for=1.1.1.1;by="'):
            chain = parse_forwarded([f'{left}, for="[2001:db8::1]:1", for="10.0.0.\\1"'])
            self.assertEqual(chain[-2:], ("[2001:db8::1]:1", "10.0.0.1"), left)


class BoundTests(SynchronousTestCase):
    def test_hops(self) -> None:
        names = [f"10.0.0.{number}" for number in range(1, MAX_HOPS + 2)]
        self.assertEqual(parse_x_forwarded_for([",".join(names[1:])]), tuple(names[1:]))
        self.assertEqual(parse_x_forwarded_for([",".join(names)]), tuple(names[1:]))
        self.assertEqual(parse_x_forwarded_for(names), tuple(names[1:]))
        fields = [",".join(f"for={name}" for name in names)]
        self.assertEqual(parse_forwarded(fields), tuple(names[1:]))

    def test_length(self) -> None:
        whole = "1.2.3.4" + " " * (MAX_FIELD - 15) + ",1.2.3.5"
        self.assertEqual(len(whole), MAX_FIELD)
        self.assertEqual(parse_x_forwarded_for([whole]), ("1.2.3.4", "1.2.3.5"))
        self.assertEqual(parse_x_forwarded_for(["1" + whole]), ("1.2.3.5",))

    def test_time(self) -> None:
        started = time.perf_counter()
        for unit in ('"', '\\"', ",", "for=a;", '"\\', 'for="', "=", ";", " ", "a=", 'a="\\"'):
            for separator in ("", ",", '"'):
                parse_forwarded([unit * 1_000_000 + separator])
                parse_x_forwarded_for([unit * 1_000_000 + separator])
        self.assertLess(time.perf_counter() - started, 10)


class TrustedProxiesTests(SynchronousTestCase):
    proxies = TrustedProxies(["10.0.0.0/8", "2001:db8:1::/48"])

    def check(self, client: str, peer: str, *forwarded: str) -> None:
        self.assertEqual(self.proxies.client(ip_address(peer), forwarded), ip_address(client))

    def test_peer_that_is_not_trusted_is_the_client(self) -> None:
        self.check("192.0.2.1", "192.0.2.1", "1.1.1.1", "10.0.0.1")
        self.check("192.0.2.1", "::ffff:192.0.2.1", "1.1.1.1")
        self.check("fe80::1", "fe80::1%eth0", "1.1.1.1")

    def test_from_the_right_through_trusted_hops_only(self) -> None:
        self.check("203.0.113.9", "10.0.0.1", "203.0.113.9")
        self.check("203.0.113.9", "10.0.0.1", "1.1.1.1", "203.0.113.9", "10.0.0.2")
        self.check("203.0.113.9", "2001:db8:1::1", "10.0.0.7", "203.0.113.9")
        self.check("203.0.113.9", "::ffff:10.0.0.1", "203.0.113.9")
        self.check("203.0.113.9", "10.0.0.1", "203.0.113.9", "::ffff:10.0.0.2")

    def test_client_within_the_trusted_networks(self) -> None:
        self.check("10.0.0.3", "10.0.0.1", "10.0.0.3", "10.0.0.2")
        self.check("10.0.0.1", "10.0.0.1")

    def test_a_hop_without_address_ends_the_walk(self) -> None:
        for hop in ("unknown", "_hidden", "", "example.org", "127.1"):
            self.check("10.0.0.2", "10.0.0.1", "1.1.1.1", hop, "10.0.0.2")

    def test_long_chains(self) -> None:
        self.check("10.0.0.9", "10.0.0.1", "1.1.1.1", *["10.0.0.9"] * MAX_HOPS)
        self.check("1.1.1.1", "10.0.0.1", "1.1.1.1", *["10.0.0.9"] * (MAX_HOPS - 1))

    def test_nobody_is_trusted(self) -> None:
        client = TrustedProxies([]).client(ip_address("10.0.0.1"), ["1.1.1.1"])
        self.assertEqual(client, ip_address("10.0.0.1"))

    def test_wrong_proxies(self) -> None:
        with self.assertRaises(AddressError):
            TrustedProxies(["10.0.0.0/33"])
