from ipaddress import IPv4Network
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from netsuite.ip import _bulk
from netsuite.ip._bulk import BLOCK, LENGTH_BITS, ipv4_intervals, ipv4_keys
from netsuite.ip._intervals import EMPTY, merge

PROPER = ("0.0.0.0/0", "10.0.0.0/8", "10.1.2.0/23", "192.0.2.1/32", "255.255.255.255/32")


def key(text: str) -> int:
    network = IPv4Network(text)
    return int(network.network_address) << LENGTH_BITS | network.prefixlen


def random_texts(count: int) -> list[str]:
    random = Random(7)
    made = []
    for _ in range(count):
        length = random.randint(1, 32)
        first = random.getrandbits(32) >> (32 - length) << (32 - length)
        made.append(str(IPv4Network((first, length))))
    return made


class KeyTests(SynchronousTestCase):
    def test_networks_and_addresses(self) -> None:
        bare = ["10.0.0.1", "255.255.255.255"]
        for texts in (list(PROPER), bare, [*PROPER, *bare], [*bare, *PROPER], PROPER):
            self.assertEqual(ipv4_keys(texts), [key(text) for text in texts])

    def test_around_a_block(self) -> None:
        texts = random_texts(2 * BLOCK + 1)
        keys = [key(text) for text in texts]
        for count in (0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 1):
            self.assertEqual(ipv4_keys(texts[:count]), keys[:count])

    def test_what_is_not_proper(self) -> None:
        """Wherever it stands, and whatever is around it."""
        for text in (
            "",
            "/",
            "/24",
            "10.0.0.0/",
            "10.0.0/24",
            "10.0.0.0.0/24",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/08",
            "10.0.0.0/8 ",
            " 10.0.0.0/8",
            "10.0.0.0/8\n",
            "10.0.0.0/8\n11.0.0.0/8",
            "10.0.0.0/8/8",
            "10.0.0.1/8",
            "0.0.0.1/0",
            "128.0.0.0/0",
            "010.0.0.0/8",
            "10.0.0.256/32",
            "10.0.0.0/255.0.0.0",
            "10.0.0.\u0660/32",
            "\uff11\uff10.0.0.0/8",
            "10.0.0.0/\uff18",
            "10.0.0.0\0/8",
            "\ud800.0.0.0/8",
            "a.0.0.0/8",
            "::/0",
        ):
            for texts in ([text], [*PROPER, text], [text, *PROPER], ["10.0.0.1", text]):
                self.assertIsNone(ipv4_keys(texts), texts)
                self.assertIsNone(ipv4_intervals(texts), texts)

    def test_slashes_are_counted_in_each_text(self) -> None:
        """Two texts that would be proper if they were cut elsewhere."""
        for texts in (
            ["1.2.3.4", "24/5.6.7.8/9"],
            ["1.2.3.0/24/5.6.7.8", "32"],
            ["1.2.3.4", "/32"],
        ):
            self.assertIsNone(ipv4_keys(texts))

    def test_what_is_no_text(self) -> None:
        for item in (b"10.0.0.0/8", 7, None, IPv4Network("10.0.0.0/8")):
            self.assertIsNone(ipv4_keys(["10.0.0.0/8", item]))  # type: ignore[list-item]  # on purpose

    def test_in_the_last_block(self) -> None:
        texts = random_texts(BLOCK)
        self.assertIsNone(ipv4_keys([*texts, "10.0.0.1/8"]))
        self.assertEqual(ipv4_keys([*texts, "10.0.0.1"]), [*map(key, texts), key("10.0.0.1/32")])


class IntervalTests(SynchronousTestCase):
    def expected(self, texts: list[str]) -> tuple[list[int], list[int]]:
        networks = map(IPv4Network, texts)
        made = merge((int(each.network_address), int(each.broadcast_address)) for each in networks)
        return list(made.starts), list(made.ends)

    def test_union(self) -> None:
        for texts in (
            ["0.0.0.0/0"],
            ["0.0.0.0/32", "255.255.255.255/32"],
            ["10.0.0.0/9", "10.128.0.0/9", "10.64.0.0/10"],
            ["10.0.0.0/24", "10.0.2.0/24"],
            # From one bucket of the sort to the next.
            ["0.63.255.255/32", "0.64.0.0/32"],
            ["0.0.0.0/8", "0.64.0.0/10", "1.0.0.0/32"],
            random_texts(3000),
        ):
            self.assertEqual(ipv4_intervals(texts), self.expected(texts))

    def test_nothing(self) -> None:
        self.assertEqual(ipv4_intervals([]), EMPTY)
        self.assertEqual(_bulk.ipv4_keys([]), [])
