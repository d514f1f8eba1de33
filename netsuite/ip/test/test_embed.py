from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from twisted.trial.unittest import SynchronousTestCase

from netsuite.ip._embed import (
    WELL_KNOWN_NAT64,
    EmbeddingKind,
    TeredoParts,
    embedded_ipv4,
    eui64_address,
    isatap_address,
    mac_of,
    mapped_address,
    multicast_mac,
    nat64_address,
    six_to_four_network,
    solicited_node,
    teredo_address,
    teredo_parts,
)
from netsuite.ip._errors import AddressError
from netsuite.ip._mac import MAC
from netsuite.ip.test import shown

LOOPBACK = IPv4Address("127.0.0.1")
HOST = IPv4Address("192.0.2.33")

#: RFC 6052 section 2.4, table 1 and the table after it.
NAT64_EXAMPLES = {
    "2001:db8::/32": "2001:db8:c000:221::",
    "2001:db8:100::/40": "2001:db8:1c0:2:21::",
    "2001:db8:122::/48": "2001:db8:122:c000:2:2100::",
    "2001:db8:122:300::/56": "2001:db8:122:3c0:0:221::",
    "2001:db8:122:344::/64": "2001:db8:122:344:c0:2:2100::",
    "2001:db8:122:344::/96": "2001:db8:122:344::192.0.2.33",
    "64:ff9b::/96": "64:ff9b::192.0.2.33",
}


def found(text: str, *prefixes: str) -> list[tuple[str, str]]:
    """What is in an address, as text."""
    networks = [IPv6Network(prefix) for prefix in prefixes] or [WELL_KNOWN_NAT64]
    return [
        (embedding.kind.value, str(embedding.ipv4))
        for embedding in embedded_ipv4(IPv6Address(text), networks)
    ]


class EmbeddedTests(SynchronousTestCase):
    def test_mapped(self) -> None:
        self.assertEqual(found("::ffff:127.0.0.1"), [("mapped", "127.0.0.1")])
        self.assertEqual(found("::ffff:0.0.0.0"), [("mapped", "0.0.0.0")])
        self.assertEqual(found("::ffff:255.255.255.255"), [("mapped", "255.255.255.255")])
        self.assertEqual(found("::fffe:127.0.0.1"), [])
        self.assertEqual(found("::1:ffff:127.0.0.1"), [])

    def test_compatible(self) -> None:
        self.assertEqual(found("::127.0.0.1"), [("compatible", "127.0.0.1")])
        self.assertEqual(found("::2"), [("compatible", "0.0.0.2")])
        self.assertEqual(found("::255.255.255.255"), [("compatible", "255.255.255.255")])
        self.assertEqual(found("::1:0:0"), [])

    def test_unspecified_and_loopback_carry_none(self) -> None:
        self.assertEqual(found("::"), [])
        self.assertEqual(found("::1"), [])

    def test_6to4(self) -> None:
        self.assertEqual(found("2002:7f00:1::1"), [("6to4", "127.0.0.1")])
        self.assertEqual(found("2002:ffff:ffff:ffff::"), [("6to4", "255.255.255.255")])
        self.assertEqual(found("2001:ffff::"), [])
        self.assertEqual(found("2003::"), [])

    def test_nat64_at_every_length(self) -> None:
        for prefix, address in NAT64_EXAMPLES.items():
            self.assertEqual(found(address, prefix), [("nat64", "192.0.2.33")])

    def test_nat64_suffix_and_octet_do_not_count(self) -> None:
        """A translator takes the octet out without looking at it (RFC 6052 section 2.3)."""
        self.assertEqual(
            found("2001:db8:122:344:ffc0:2:21ff:ffff", "2001:db8:122:344::/64"),
            [("nat64", "192.0.2.33")],
        )
        self.assertEqual(
            found("2001:db8:122:3c0:ff00:221:ffff:ffff", "2001:db8:122:300::/56"),
            [("nat64", "192.0.2.33")],
        )

    def test_nat64_only_under_its_prefix(self) -> None:
        self.assertEqual(found("64:ff9b::127.0.0.1"), [("nat64", "127.0.0.1")])
        self.assertEqual(found("64:ff9b::1:7f00:1"), [])
        self.assertEqual(found("64:ff9b:1::127.0.0.1"), [])
        self.assertEqual(found("64:ff9b::127.0.0.1", "2001:db8::/32"), [])

    def test_nat64_under_several_prefixes(self) -> None:
        self.assertEqual(
            found("2001:db8:c000:221::192.0.2.1", "2001:db8::/32", "2001:db8:c000:221::/96"),
            [("nat64", "192.0.2.33"), ("nat64", "192.0.2.1")],
        )

    def test_no_nat64(self) -> None:
        self.assertEqual(embedded_ipv4(IPv6Address("64:ff9b::7f00:1"), ()), ())

    def test_bad_prefixes_are_refused_for_any_address(self) -> None:
        with self.assertRaises(AddressError) as caught:
            embedded_ipv4(IPv6Address("::1"), [IPv6Network("64:ff9b::/95")])
        self.assertEqual(
            str(caught.exception),
            "'64:ff9b::/95': expected a NAT64 prefix of length 32, 40, 48, 56, 64 or 96",
        )

    def test_teredo(self) -> None:
        """The example of Wikipedia's article on Teredo."""
        self.assertEqual(
            found("2001:0:4136:e378:8000:63bf:3fff:fdd2"),
            [("teredo-server", "65.54.227.120"), ("teredo-client", "192.0.2.45")],
        )
        self.assertEqual(found("2001:1::"), [])

    def test_isatap(self) -> None:
        self.assertEqual(found("fe80::5efe:127.0.0.1"), [("isatap", "127.0.0.1")])
        self.assertEqual(found("fe80::200:5efe:127.0.0.1"), [("isatap", "127.0.0.1")])
        self.assertEqual(found("2001:db8::5efe:10.0.0.1"), [("isatap", "10.0.0.1")])
        self.assertEqual(found("fe80::100:5efe:127.0.0.1"), [])
        self.assertEqual(found("fe80::1:5efe:127.0.0.1"), [])
        self.assertEqual(found("fe80::5eff:127.0.0.1"), [])

    def test_groups_and_teredo_have_no_isatap_identifier(self) -> None:
        self.assertEqual(found("ff02::5efe:127.0.0.1"), [])
        kinds = [kind for kind, _ in found("2001:0:4136:e378:0:5efe:3fff:fdd2")]
        self.assertEqual(kinds, ["teredo-server", "teredo-client"])

    def test_two_forms_in_one(self) -> None:
        self.assertEqual(
            found("2002:7f00:1::5efe:10.0.0.1"), [("6to4", "127.0.0.1"), ("isatap", "10.0.0.1")]
        )

    def test_zone_does_not_hide(self) -> None:
        self.assertEqual(found("fe80::5efe:127.0.0.1%eth0"), [("isatap", "127.0.0.1")])
        self.assertEqual(found("::ffff:127.0.0.1%1"), [("mapped", "127.0.0.1")])
        self.assertEqual(found("64:ff9b::127.0.0.1%1"), [("nat64", "127.0.0.1")])

    def test_others_carry_none(self) -> None:
        for text in ("2001:db8::1", "fe80::1", "ff02::1", "fd00::127.0.0.1", "ffff::"):
            self.assertEqual(found(text), [])

    def test_values_can_be_keys(self) -> None:
        address = IPv6Address("2001:0:4136:e378:8000:63bf:3fff:fdd2")
        self.assertEqual(len({*embedded_ipv4(address), *embedded_ipv4(address)}), 2)
        self.assertEqual(len({teredo_parts(address), teredo_parts(address)}), 1)

    def test_kinds(self) -> None:
        names = "mapped compatible 6to4 nat64 teredo-server teredo-client isatap"
        self.assertEqual([str(kind) for kind in EmbeddingKind], names.split())


class BuilderTests(SynchronousTestCase):
    def test_mapped(self) -> None:
        self.assertEqual(mapped_address(HOST), IPv6Address("::ffff:192.0.2.33"))

    def test_6to4(self) -> None:
        """The network of RFC 3056 section 2 has the IPv4 address behind 2002."""
        self.assertEqual(six_to_four_network(HOST), IPv6Network("2002:c000:221::/48"))

    def test_nat64(self) -> None:
        for prefix, address in NAT64_EXAMPLES.items():
            self.assertEqual(nat64_address(IPv6Network(prefix), HOST), IPv6Address(address))

    def test_nat64_of_all_ones_leaves_the_octet_zero(self) -> None:
        ones = IPv4Address("255.255.255.255")
        for length in (32, 40, 48, 56, 64):
            prefix = IPv6Network(("2001:db8::", length))
            address = nat64_address(prefix, ones)
            self.assertEqual(address.packed[8], 0)
            self.assertEqual(found(str(address), str(prefix)), [("nat64", str(ones))])

    def test_nat64_bad_lengths(self) -> None:
        for length in (0, 31, 33, 63, 65, 72, 95, 97, 128):
            prefix = IPv6Network(("::", length))
            with self.assertRaises(AddressError) as caught:
                nat64_address(prefix, HOST)
            self.assertEqual(
                str(caught.exception),
                f"'{prefix}': expected a NAT64 prefix of length 32, 40, 48, 56, 64 or 96",
            )

    def test_nat64_octet_in_prefix(self) -> None:
        with self.assertRaises(AddressError) as caught:
            nat64_address(IPv6Network("2001:db8:0:0:100::/96"), HOST)
        self.assertEqual(
            str(caught.exception),
            "'2001:db8:0:0:100::/96': expected a NAT64 prefix whose bits 64 to 71 are zero",
        )
        self.assertEqual(
            nat64_address(IPv6Network("2001:db8:0:0:ff::/96"), HOST),
            IPv6Address("2001:db8:0:0:ff::192.0.2.33"),
        )

    def test_teredo(self) -> None:
        address = IPv6Address("2001:0:4136:e378:8000:63bf:3fff:fdd2")
        server, client = IPv4Address("65.54.227.120"), IPv4Address("192.0.2.45")
        self.assertEqual(teredo_address(server, client, 40000, 0x8000), address)
        self.assertEqual(teredo_parts(address), TeredoParts(server, client, 40000, 0x8000))
        self.assertEqual(
            teredo_parts(teredo_address(server, client, 0)), TeredoParts(server, client, 0)
        )
        self.assertIsNone(teredo_parts(IPv6Address("2001:1::")))

    def test_teredo_bounds(self) -> None:
        self.assertEqual(
            teredo_parts(teredo_address(HOST, HOST, 65535, 65535)),
            TeredoParts(HOST, HOST, 65535, 65535),
        )
        for number in (-1, 65536):
            with self.assertRaises(AddressError) as caught:
                teredo_address(HOST, HOST, number)
            self.assertEqual(str(caught.exception), f"{number}: expected a port from 0 to 65535")
            with self.assertRaises(AddressError) as caught:
                teredo_address(HOST, HOST, 1, number)
            self.assertEqual(str(caught.exception), f"{number}: expected flags from 0 to 65535")

    def test_isatap(self) -> None:
        link = IPv6Network("fe80::/64")
        self.assertEqual(isatap_address(link, HOST), IPv6Address("fe80::5efe:192.0.2.33"))
        self.assertEqual(
            isatap_address(link, HOST, universal=True), IPv6Address("fe80::200:5efe:192.0.2.33")
        )

    def test_only_a_slash_64_has_identifiers(self) -> None:
        for text in ("fe80::/10", "fe80::/63", "fe80::/65"):
            prefix = IPv6Network(text)
            with self.assertRaises(AddressError) as caught:
                isatap_address(prefix, HOST)
            self.assertEqual(
                str(caught.exception), f"{shown(text)}: expected a prefix of length 64"
            )
            with self.assertRaises(AddressError) as caught:
                eui64_address(prefix, MAC(bytes(6)))
            self.assertEqual(
                str(caught.exception), f"{shown(text)}: expected a prefix of length 64"
            )


class HardwareTests(SynchronousTestCase):
    def test_eui64_address(self) -> None:
        """RFC 2464 section 4 makes 36-56-78-FF-FE-9A-BC-DE of 34-56-78-9A-BC-DE."""
        address = eui64_address(IPv6Network("fe80::/64"), MAC("34-56-78-9A-BC-DE"))
        self.assertEqual(address, IPv6Address("fe80::3656:78ff:fe9a:bcde"))
        long = MAC("00:1b:44:01:02:03:04:05")
        self.assertEqual(
            eui64_address(IPv6Network("2001:db8::/64"), long),
            IPv6Address("2001:db8::21b:4401:203:405"),
        )

    def test_mac_of(self) -> None:
        for text in ("fe80::3656:78ff:fe9a:bcde", "2001:db8:0:1:3656:78ff:fe9a:bcde%eth0"):
            self.assertEqual(mac_of(IPv6Address(text)), MAC("34:56:78:9a:bc:de"))
        self.assertEqual(mac_of(IPv6Address("fe80::5054:ff:fe12:3456")), MAC("52:54:00:12:34:56"))

    def test_no_mac(self) -> None:
        for text in (
            "2001:db8::1",
            "fe80::3656:78ff:ff9a:bcde",
            "fe80::3656:78fe:fe9a:bcde",
            "ff02::3656:78ff:fe9a:bcde",  # a group
            "fe80::3756:78ff:fe9a:bcde",  # made of a group's hardware address
            "::ffff:254.1.2.3",  # begins with binary 000
        ):
            self.assertIsNone(mac_of(IPv6Address(text)), text)

    def test_solicited_node(self) -> None:
        """The example of RFC 4291 section 2.7.1."""
        self.assertEqual(
            solicited_node(IPv6Address("4037::01:800:200e:8c6c")), IPv6Address("ff02::1:ff0e:8c6c")
        )
        self.assertEqual(solicited_node(IPv6Address("fe80::%1")), IPv6Address("ff02::1:ff00:0"))
        self.assertEqual(
            solicited_node(IPv6Address("::ffff:224.0.0.1")), IPv6Address("ff02::1:ff00:1")
        )

    def test_solicited_node_of_a_group(self) -> None:
        with self.assertRaises(AddressError) as caught:
            solicited_node(IPv6Address("ff02::1"))
        self.assertEqual(str(caught.exception), "'ff02::1': expected a unicast or anycast address")

    def test_multicast_mac(self) -> None:
        for group, mac in {
            "224.0.0.1": "01:00:5e:00:00:01",
            "224.128.0.9": "01:00:5e:00:00:09",
            "239.255.255.255": "01:00:5e:7f:ff:ff",
            "ff02::1": "33:33:00:00:00:01",
            "ff02::1:ff0e:8c6c": "33:33:ff:0e:8c:6c",
            "ff02::1%eth0": "33:33:00:00:00:01",
        }.items():
            self.assertEqual(multicast_mac(ip_address(group)), MAC(mac))

    def test_multicast_mac_of_others(self) -> None:
        for text in ("223.255.255.255", "240.0.0.0", "fe80::1", "::ffff:224.0.0.1"):
            address = ip_address(text)
            with self.assertRaises(AddressError) as caught:
                multicast_mac(address)
            self.assertEqual(str(caught.exception), f"'{address}': expected a multicast address")
