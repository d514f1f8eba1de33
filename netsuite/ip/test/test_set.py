from ipaddress import ip_address, ip_network
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from netsuite.ip import AddressError, IPRange, IPSet, _set


def texts(items: IPSet) -> list[str]:
    return [str(network) for network in items.prefixes()]


class MakingTests(SynchronousTestCase):
    def test_any_mix(self) -> None:
        made = IPSet(
            [
                "10.0.0.0/25",
                ip_network("10.0.0.128/25"),
                "10.0.1.0-10.0.1.255",
                ip_address("10.0.2.0"),
                IPRange.parse("10.0.2.1-255"),
                "10.0.3.*",
                IPSet(["2001:db8::/33", "2001:db8:8000::/33"]),
                "192.0.2.1",
            ]
        )
        self.assertEqual(texts(made), ["10.0.0.0/22", "192.0.2.1/32", "2001:db8::/32"])
        self.assertEqual(
            [str(each) for each in made.ranges()],
            [
                "10.0.0.0-10.0.3.255",
                "192.0.2.1-192.0.2.1",
                "2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
            ],
        )

    def test_the_whole_of_it(self) -> None:
        everything = IPSet(["0.0.0.0/0", "::/0"])
        self.assertEqual(everything.size, 2**32 + 2**128)
        self.assertEqual(~IPSet(), everything)
        self.assertEqual(~everything, IPSet())

    def test_a_text_that_is_none_is_named(self) -> None:
        for text in ("10.0.0.1/8", "10.0.0.0/", "10.0.0/24", "010.0.0.0/8", "10.0.0.0/33", "x"):
            for around in ([text], ["10.0.0.0/8", text], ["::1", text]):
                with self.assertRaises(AddressError) as caught:
                    IPSet(around)
                self.assertIn(repr(text), str(caught.exception))

    def test_builder(self) -> None:
        builder = IPSet.builder()
        for number in range(4):
            builder.add(f"10.0.{number}.0/24")
        builder.remove("10.0.1.0/24", ip_address("10.0.2.7")).add("10.0.2.7")
        self.assertEqual(texts(builder.build()), ["10.0.0.0/24", "10.0.2.0/23"])
        self.assertEqual(texts(builder.remove("10.0.0.0/8").build()), [])


class AskingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.set = IPSet(["10.0.0.0/24", "10.0.2.0/24", "2001:db8::/126"])

    def test_an_index_gives_the_same_answers(self) -> None:
        """Large sets have one: at the ends of ranges, of each /16, and of the address space."""
        for texts in (
            ["0.0.0.0/32", "10.0.0.0/16", "10.2.0.0/15", "10.5.255.255/32", "255.255.255.255/32"],
            ["0.0.0.1/32", "10.0.255.0/24", "10.1.0.0/24", "10.2.0.0/32", "255.255.255.254/32"],
            ["0.0.0.0/1", "192.0.2.0/24"],
            ["128.0.0.0/1", "10.0.0.0/8"],
        ):
            made = IPSet(texts)
            ends = {0, 2**32 - 1} | {number << 16 for number in (1, 0x0A00, 0x0A01, 0x0A02, 0x0A06)}
            for each in made.ranges():
                ends |= {int(each.first), int(each.last)}
            values = {end + step for end in ends for step in (-1, 0, 1)} - {-1, 2**32}
            self.patch(_set, "_INDEXED", 2**20)
            expected = {value: made.contains_int(value, 4) for value in values}
            self.assertIsNone(made._index)
            self.patch(_set, "_INDEXED", 1)
            self.assertEqual({value: made.contains_int(value, 4) for value in values}, expected)
            self.assertIsNotNone(made._index)
            self.assertIs(made.contains_int(0, 6), False)

    def test_membership(self) -> None:
        for item, inside in [
            ("10.0.0.0", True),
            ("10.0.0.255", True),
            ("10.0.1.0", False),
            ("9.255.255.255", False),
            ("255.255.255.255", False),
            ("2001:db8::3", True),
            ("2001:db8::4", False),
            ("::ffff:10.0.0.0", False),
            ("10.0.0.0/25", True),
            ("10.0.0.0/23", False),
            ("10.0.0.9-10.0.0.99", True),
            ("10.0.0.9-10.0.2.9", False),
        ]:
            self.assertIs(item in self.set, inside, item)
            self.assertIs(IPRange.parse(item) in self.set, inside, item)
        self.assertTrue(self.set.contains_int(0x0A0000FF, 4))
        self.assertFalse(self.set.contains_int(0x0A000100, 4))
        self.assertFalse(self.set.contains_int(0x0A000000, 6), "the families are kept apart")

    def test_size_and_places(self) -> None:
        self.assertEqual(self.set.size, 256 + 256 + 4)
        for place, address in [
            (0, "10.0.0.0"),
            (255, "10.0.0.255"),
            (256, "10.0.2.0"),
            (512, "2001:db8::"),
            (-1, "2001:db8::3"),
            (-516, "10.0.0.0"),
        ]:
            self.assertEqual(self.set.nth(place), ip_address(address))
        for place in (516, -517):
            with self.assertRaises(IndexError):
                self.set.nth(place)
        self.assertTrue(self.set)
        self.assertFalse(IPSet())

    def test_samples(self) -> None:
        for count in (0, 1, 100, 400, 516):
            sample = self.set.sample(count, Random(1))
            self.assertEqual(len(set(sample)), count)
            self.assertTrue(all(address in self.set for address in sample))
        self.assertEqual(len(IPSet(["::/0"]).sample(10, Random(1))), 10)
        for count in (-1, 517):
            with self.assertRaises(ValueError):
                self.set.sample(count)

    def test_overlap(self) -> None:
        for item, overlaps in [
            (ip_network("10.0.0.0/8"), True),
            (ip_network("10.0.1.0/24"), False),
            (ip_address("10.0.2.255"), True),
            (IPRange.parse("10.0.1.0-10.0.2.0"), True),
            (IPSet(["2001:db8::3"]), True),
            (IPSet(["10.0.1.1"]), False),
        ]:
            self.assertIs(self.set.overlaps(item), overlaps)
        self.assertTrue(self.set.isdisjoint(IPSet(["10.0.1.0/24"])))


class AlgebraTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.one = IPSet(["10.0.0.0/23", "2001:db8::/126"])
        self.other = IPSet(["10.0.1.0/24", "10.0.2.0/24", "2001:db8::2/127"])

    def test_operations(self) -> None:
        for made, expected in [
            (self.one | self.other, ["10.0.0.0/23", "10.0.2.0/24", "2001:db8::/126"]),
            (self.one & self.other, ["10.0.1.0/24", "2001:db8::2/127"]),
            (self.one - self.other, ["10.0.0.0/24", "2001:db8::/127"]),
            (self.one ^ self.other, ["10.0.0.0/24", "10.0.2.0/24", "2001:db8::/127"]),
            (self.one.complement(IPSet(["10.0.0.0/22"])), ["10.0.2.0/23"]),
        ]:
            self.assertEqual(texts(made), expected)

    def test_order_is_inclusion(self) -> None:
        part = self.one & self.other
        self.assertTrue(part <= self.one and part < self.one and self.one >= part)
        self.assertTrue(self.one > part and self.one <= self.one and not self.one < self.one)
        self.assertFalse(self.one <= self.other or self.other <= self.one)
        self.assertTrue(IPSet() < part)

    def test_equal_sets_are_equal_however_made(self) -> None:
        again = IPSet(["10.0.0.0/24", "2001:db8::-2001:db8::3", "10.0.1.0/24"])
        self.assertEqual(self.one, again)
        self.assertEqual(hash(self.one), hash(again))
        self.assertNotEqual(self.one, self.other)
        self.assertNotEqual(self.one, "10.0.0.0/23")
        self.assertEqual(hash(IPSet(["10.0.0.1"]) - IPSet(["10.0.0.1"])), hash(IPSet()))

    def test_with_anything_else_there_is_no_algebra(self) -> None:
        with self.assertRaises(TypeError):
            self.one | ["10.0.0.0/8"]  # type: ignore[operator]  # that is the point


class FreePrefixTests(SynchronousTestCase):
    def test_first_and_smallest(self) -> None:
        free = IPSet(["10.0.0.0/16", "10.2.0.0/23", "10.4.0.0/28"])
        for policy, expected in [("first", "10.0.0.0/24"), ("smallest", "10.2.0.0/24")]:
            found = free.free_prefix(24, policy=policy)
            assert found is not None
            network, rest = found
            self.assertEqual(str(network), expected)
            self.assertEqual(rest, free - IPSet([network]))

    def test_until_there_is_none(self) -> None:
        free = IPSet(["10.0.0.0/30"])
        handed_out = []
        while found := free.free_prefix(32):
            handed_out.append(str(found[0]))
            free = found[1]
        self.assertEqual(handed_out, [f"10.0.0.{number}/32" for number in range(4)])

    def test_ipv6(self) -> None:
        found = IPSet(["10.0.0.0/8", "2001:db8::/32"]).free_prefix(64, 6)
        assert found is not None
        self.assertEqual(str(found[0]), "2001:db8::/64")

    def test_what_there_is_not(self) -> None:
        for arguments in [(33, 4, "first"), (-1, 4, "first"), (8, 5, "first"), (8, 4, "best")]:
            with self.assertRaises(ValueError):
                IPSet().free_prefix(*arguments[:2], policy=arguments[2])


class TextTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.set = IPSet(["10.0.0.0/23", "192.0.2.1-192.0.2.3", "2001:db8::/32"])

    def test_round_trips(self) -> None:
        self.assertEqual(IPSet.from_text(self.set.to_text()), self.set)
        self.assertEqual(IPSet.from_json(self.set.to_json()), self.set)
        self.assertEqual(
            self.set.to_json(), '["10.0.0.0/23", "192.0.2.1/32", "192.0.2.2/31", "2001:db8::/32"]'
        )

    def test_comments_and_blank_lines(self) -> None:
        self.assertEqual(IPSet.from_text("# ours\n\n10.0.0.0/8  # all\n"), IPSet(["10.0.0.0/8"]))

    def test_a_bad_line_is_numbered(self) -> None:
        with self.assertRaises(AddressError) as caught:
            IPSet.from_text("10.0.0.0/8\n\nnonsense\n")
        self.assertIn("'nonsense'", str(caught.exception))
        self.assertIn("(line 3)", str(caught.exception))

    def test_bad_json(self) -> None:
        for text in ("{", "{}", "[1]", '["x"]'):
            with self.assertRaises(AddressError):
                IPSet.from_json(text)

    def test_repr_is_short(self) -> None:
        self.assertEqual(repr(IPSet()), "<IPSet empty>")
        self.assertEqual(repr(IPSet(["::/8"])), "<IPSet ::/8>")
        many = IPSet([f"10.0.{number}.0/24" for number in range(0, 200, 2)])
        self.assertEqual(
            repr(many), "<IPSet 10.0.0.0/24, 10.0.2.0/24, 10.0.4.0/24, 10.0.6.0/24, ...>"
        )
