from collections.abc import Iterator
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from twisted.trial.unittest import SynchronousTestCase

from netsuite.ip._embed import EmbeddingKind, embedded_ipv4
from netsuite.ip._multicast_data import IPV4_MULTICAST
from netsuite.ip._rate import IPAddress, IPNetwork
from netsuite.ip._registry import Entry, classify, effective, entries, is_global
from netsuite.ip._registry_data import IPV4_SPECIAL, IPV6_SPECIAL

GLOBAL_IPV6 = IPv6Network("2000::/3")
LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")


def boundaries(block: IPNetwork) -> Iterator[IPAddress]:
    """The first and last address, and those just outside."""
    first, last = int(block.network_address), int(block.broadcast_address)
    kind = type(block.network_address)
    for value in (first - 1, first, last, last + 1):
        if 0 <= value < 2**block.max_prefixlen:
            yield kind(value)


def every_boundary() -> set[IPAddress]:
    return {address for entry in entries() for address in boundaries(entry.block)}


def expected(address: IPAddress) -> str:
    """Block of the most specific row, the slow way."""
    found = [entry.block for entry in entries() if address in entry.block]
    if found:
        return str(max(found, key=lambda block: block.prefixlen))
    if isinstance(address, IPv4Address):
        return "0.0.0.0/0"
    return "2000::/3" if address in GLOBAL_IPV6 else "::/0"


def expected_global(address: IPAddress) -> bool:
    """By the rows alone, for an address that carries no other."""
    found = [entry for entry in entries() if address in entry.block]
    if found:
        return max(found, key=lambda entry: entry.block.prefixlen).globally_reachable is True
    return isinstance(address, IPv4Address) or address in GLOBAL_IPV6


class RowTests(SynchronousTestCase):
    def test_every_row_is_an_entry(self) -> None:
        known = {entry.block: entry for entry in entries()}
        letters = {True: "Y", False: "N", None: "-"}
        for block, name, rfc, answers in IPV4_SPECIAL + IPV6_SPECIAL:
            entry = known[ip_network(block)]
            got = (
                entry.source,
                entry.destination,
                entry.forwardable,
                entry.globally_reachable,
                entry.reserved_by_protocol,
            )
            self.assertEqual((entry.name, entry.rfc), (name, rfc))
            self.assertEqual("".join(letters[answer] for answer in got), answers)

    def test_no_block_is_there_twice(self) -> None:
        blocks = [entry.block for entry in entries()]
        self.assertEqual(len(blocks), len(set(blocks)))

    def test_the_rows_of_the_registries(self) -> None:
        self.assertEqual((len(IPV4_SPECIAL), len(IPV6_SPECIAL)), (26, 25))

    def test_a_whole_entry(self) -> None:
        self.assertEqual(
            classify(IPv4Address("192.0.0.8")),
            Entry(
                block=IPv4Network("192.0.0.8/32"),
                name="IPv4 dummy address",
                rfc="RFC 7600",
                source=True,
                destination=False,
                forwardable=False,
                globally_reachable=False,
                reserved_by_protocol=False,
            ),
        )

    def test_ipv4_multicast_has_no_gap(self) -> None:
        next_first = int(IPv4Address("224.0.0.0"))
        for block, *_ in IPV4_MULTICAST:
            first, _, last = block.partition("-")
            self.assertEqual(int(IPv4Address(first)), next_first)
            next_first = int(IPv4Address(last)) + 1
        self.assertEqual(next_first, int(IPv4Address("240.0.0.0")))


class ClassifyTests(SynchronousTestCase):
    def test_every_boundary_against_the_rows(self) -> None:
        addresses = every_boundary()
        self.assertGreater(len(addresses), 300)
        for address in addresses:
            self.assertEqual(str(classify(address).block), expected(address), str(address))

    def test_what_is_in_no_registry(self) -> None:
        for text, name in (
            ("8.8.8.8", "Global unicast"),
            ("2600::1", "Global unicast"),
            ("2000::", "Global unicast"),
            ("3fff:1000::", "Global unicast"),
            ("4000::", "Unallocated"),
            ("::2", "Unallocated"),
            ("fe00::", "Unallocated"),
            ("200::", "Unallocated"),
        ):
            entry = classify(ip_address(text))
            self.assertEqual((entry.name, entry.rfc), (name, ""), text)

    def test_more_specific_blocks_within_others(self) -> None:
        for text, name in (
            ("192.0.0.7", "IPv4 Service Continuity Prefix"),
            ("192.0.0.11", "IETF Protocol Assignments"),
            ("192.0.0.171", "NAT64/DNS64 Discovery"),
            ("255.255.255.254", "Reserved"),
            ("255.255.255.255", "Limited Broadcast"),
            ("0.0.0.0", '"This host on this network"'),
            ("0.0.0.1", '"This network"'),
            ("2001:1::4", "IETF Protocol Assignments"),
            ("2001::1", "TEREDO"),
        ):
            self.assertEqual(classify(ip_address(text)).name, name)

    def test_multicast(self) -> None:
        for text, name in (
            ("224.0.0.251", "Local Network Control Block"),
            ("224.0.2.0", "AD-HOC Block I"),
            ("232.1.2.3", "Source-Specific Multicast Block"),
            ("233.252.0.1", "MCAST-TEST-NET (documentation)"),
            ("239.255.255.255", "Organization-Local Scope"),
            ("ff02::9", "Link-Local multicast scope"),
            ("ff12::9", "Link-Local multicast scope"),
            ("ff3e::8000:1", "Global multicast scope"),
            ("ff06::1", "Multicast of no assigned scope"),
        ):
            self.assertEqual(classify(ip_address(text)).name, name)

    def test_zone_makes_no_difference(self) -> None:
        self.assertEqual(classify(ip_address("fe80::1%eth0")).name, "Link-Local Unicast")

    def test_an_address_is_not_unwrapped(self) -> None:
        self.assertEqual(classify(ip_address("::ffff:10.0.0.1")).name, "IPv4-mapped Address")


class EffectiveTests(SynchronousTestCase):
    def check(self, text: str, *expected: str) -> None:
        self.assertEqual([str(each) for each in effective(ip_address(text))], list(expected))

    def test_plain(self) -> None:
        self.check("10.0.0.1", "10.0.0.1")
        self.check("2001:db8::1", "2001:db8::1")
        self.check("fe80::1%eth0", "fe80::1")
        self.check("::", "::")
        self.check("::1", "::1")

    def test_another_way_of_writing_an_ipv4_address(self) -> None:
        self.check("::ffff:127.0.0.1", "127.0.0.1")
        self.check("64:ff9b::127.0.0.1", "127.0.0.1")
        self.check("2002:7f00:1::1", "127.0.0.1")

    def test_teredo_has_two(self) -> None:
        self.check("2001:0:4136:e378:8000:63bf:3fff:fdd2", "65.54.227.120", "192.0.2.45")

    def test_an_address_of_its_own_beside_the_ipv4_address(self) -> None:
        self.check("::127.0.0.1", "::7f00:1", "127.0.0.1")
        self.check("2001:db8::5efe:127.0.0.1", "2001:db8::5efe:7f00:1", "127.0.0.1")

    def test_isatap_on_6to4(self) -> None:
        self.check("2002:808:808::5efe:a00:1", "8.8.8.8", "10.0.0.1")

    def test_prefixes_of_this_network(self) -> None:
        inner = effective(ip_address("64:ff9b:1:7f00:0:100::"), [LOCAL_NAT64])
        self.assertEqual(inner, (IPv4Address("127.0.0.1"),))
        self.assertEqual(
            effective(ip_address("64:ff9b::127.0.0.1"), []),
            (ip_address("64:ff9b::127.0.0.1"),),
        )


class IsGlobalTests(SynchronousTestCase):
    def test_every_boundary_as_it_is_and_in_disguise(self) -> None:
        for address in every_boundary():
            if isinstance(address, IPv4Address):
                value, want = int(address), expected_global(address)
                self.assertEqual(is_global(address), want, str(address))
                for disguise in (
                    IPv6Address(0xFFFF << 32 | value),
                    IPv6Address(0x64_FF9B << 96 | value),
                    IPv6Address(0x2002 << 112 | value << 80 | 1),
                ):
                    self.assertEqual(is_global(disguise), want, f"{disguise} of {address}")
                self.assertFalse(is_global(IPv6Address(value)), f"compatible {address}")
                isatap = IPv6Address(0x2600 << 112 | 0x5EFE << 32 | value)
                self.assertEqual(is_global(isatap), want, str(isatap))
            elif not embedded_ipv4(address):
                self.assertEqual(is_global(address), expected_global(address), str(address))

    def test_boundaries_that_carry_an_ipv4_address(self) -> None:
        kinds = set()
        for address in every_boundary():
            for embedding in embedded_ipv4(address) if isinstance(address, IPv6Address) else ():
                kinds.add(embedding.kind)
                if not expected_global(embedding.ipv4):
                    self.assertFalse(is_global(address), str(address))
        self.assertEqual(kinds, set(EmbeddingKind) - {EmbeddingKind.ISATAP})

    def test_what_ipaddress_gets_wrong(self) -> None:
        not_global = (
            *("192.0.0.8", "64:ff9b:1::1", "100:0:0:1::1", "3fff::1", "5f00::1"),
            *("2002:7f00:1::1", "64:ff9b::7f00:1", "64:ff9b::127.0.0.1", "::127.0.0.1"),
            *("224.0.0.1", "ff02::1", "fec0::1", "::ffff:127.0.0.1", "2002:7f00:1::"),
        )
        is_one = ("2001:1::1", "2001:1::2", "2001:1::3", "2001:3::1", "2001:4:112::1")
        for text in not_global:
            self.assertFalse(is_global(ip_address(text)), text)
        for text in (*is_one, "2001:20::1", "2001:30::1", "192.0.0.9", "192.0.0.10"):
            self.assertTrue(is_global(ip_address(text)), text)

    def test_the_ordinary(self) -> None:
        for text in ("8.8.8.8", "2600::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "192.88.98.1"):
            self.assertTrue(is_global(ip_address(text)), text)
        for text in (
            *("10.0.0.1", "100.64.0.1", "169.254.169.254", "0.0.0.0", "255.255.255.255"),
            *("::", "::1", "fe80::1%eth0", "fc00::1", "fd00::1", "2001:db8::1", "4000::1"),
            *("::ffff:0:127.0.0.1", "fe80::5efe:8.8.8.8", "2600::5efe:10.0.0.1"),
        ):
            self.assertFalse(is_global(ip_address(text)), text)

    def test_no_answer_is_not_global(self) -> None:
        self.assertIs(classify(ip_address("192.88.99.1")).globally_reachable, None)
        self.assertFalse(is_global(ip_address("192.88.99.1")))
        self.assertFalse(is_global(ip_address("2001:10::1")))
        self.assertFalse(is_global(ip_address("ff0e::1")))

    def test_teredo_needs_both(self) -> None:
        hidden = 0xFFFF_FFFF ^ int(IPv4Address("8.8.8.8"))
        public, private = IPv4Address("1.1.1.1"), IPv4Address("10.0.0.1")
        for server, want in ((public, True), (private, False)):
            address = IPv6Address(0x2001_0000 << 96 | int(server) << 64 | hidden)
            self.assertEqual(is_global(address), want)

    def test_translator_of_this_network(self) -> None:
        public = ip_address("64:ff9b:1:808:8:800::")
        self.assertFalse(is_global(public))
        self.assertTrue(is_global(public, [LOCAL_NAT64]))
        self.assertFalse(is_global(ip_address("64:ff9b:1:a00:0:100::"), [LOCAL_NAT64]))
