from ipaddress import ip_address, ip_network

from twisted.trial.unittest import SynchronousTestCase

from netsuite.ip import (
    AddressError,
    IPRange,
    IPSet,
    collapse,
    next_network,
    spanning,
    subtract,
    summarize,
)


class ListTests(SynchronousTestCase):
    def test_collapse(self) -> None:
        self.assertEqual(
            collapse(["10.0.0.0/25", "10.0.0.128/25", "10.0.0.7", "::/1"]),
            [ip_network("10.0.0.0/24"), ip_network("::/1")],
        )

    def test_subtract(self) -> None:
        self.assertEqual(
            subtract(["10.0.0.0/24"], ["10.0.0.64/26", "10.0.0.200"])[:2],
            [ip_network("10.0.0.0/26"), ip_network("10.0.0.128/26")],
        )

    def test_spanning(self) -> None:
        for items, expected in [
            (["10.0.0.1"], "10.0.0.1/32"),
            (["10.0.0.1", "10.0.0.2"], "10.0.0.0/30"),
            (["10.0.0.0/24", "10.0.3.0/24"], "10.0.0.0/22"),
            (["0.0.0.0", "255.255.255.255"], "0.0.0.0/0"),
            (["2001:db8::", "2001:db8::1"], "2001:db8::/127"),
        ]:
            self.assertEqual(spanning(map(IPRange.parse, items)), ip_network(expected))
        for items in ([], ["10.0.0.1", "::1"]):
            with self.assertRaises(AddressError):
                spanning(map(IPRange.parse, items))

    def test_next_network(self) -> None:
        network = ip_network("10.0.0.0/24")
        self.assertEqual(next_network(network), ip_network("10.0.1.0/24"))
        self.assertEqual(next_network(network, -1), ip_network("9.255.255.0/24"))
        self.assertEqual(next_network(network, 256), ip_network("10.1.0.0/24"))
        for end, steps in [("255.255.255.0/24", 1), ("0.0.0.0/8", -1), ("::/0", 1)]:
            with self.assertRaises(AddressError):
                next_network(ip_network(end), steps)


class SummarizeTests(SynchronousTestCase):
    def test_what_fits_is_left_as_it_is(self) -> None:
        summary = summarize(["10.0.0.0/24", "10.0.2.0/24"], 2)
        self.assertEqual(summary.prefixes, (ip_network("10.0.0.0/24"), ip_network("10.0.2.0/24")))
        self.assertEqual(summary.extra, IPSet())

    def test_the_cheapest_join_comes_first(self) -> None:
        summary = summarize(["10.0.0.0/24", "10.0.2.0/24", "10.9.0.0/16"], 2)
        self.assertEqual(summary.prefixes, (ip_network("10.0.0.0/22"), ip_network("10.9.0.0/16")))
        self.assertEqual(summary.extra, IPSet(["10.0.1.0/24", "10.0.3.0/24"]))

    def test_one_for_each_family(self) -> None:
        items = ["10.0.0.0/24", "10.0.2.0/24", "2001:db8::1", "2001:db8::2"]
        summary = summarize(items, 2)
        self.assertEqual(
            summary.prefixes, (ip_network("10.0.0.0/22"), ip_network("2001:db8::/126"))
        )
        with self.assertRaises(ValueError):
            summarize(items, 1)

    def test_a_join_takes_in_what_lies_inside(self) -> None:
        items = ["10.0.0.0/32", "10.0.0.2/32", "10.0.0.4/32", "10.0.0.7/32", "10.0.1.0/32"]
        for most in (4, 3, 2, 1):
            summary = summarize(items, most)
            made = IPSet(summary.prefixes)
            self.assertLessEqual(len(summary.prefixes), most)
            self.assertTrue(IPSet(items) <= made)
            self.assertEqual(summary.extra, made - IPSet(items))
            self.assertEqual(sum(net.num_addresses for net in summary.prefixes), made.size)

    def test_nothing(self) -> None:
        self.assertEqual(summarize([], 0).prefixes, ())
        self.assertEqual(summarize([ip_address("10.0.0.1")], 1).extra, IPSet())
