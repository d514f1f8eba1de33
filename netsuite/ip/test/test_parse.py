from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from twisted.trial.unittest import SynchronousTestCase

from netsuite.ip._errors import AddressError
from netsuite.ip._parse import (
    MAX_ADDRESS,
    MAX_HOST_PORT,
    HostPort,
    parse_address,
    parse_host_port,
    parse_network,
)
from netsuite.ip.test import shown

ADDRESS = "an IPv4 or IPv6 address"
NETWORK = "a network, as in 192.0.2.0/24 or 2001:db8::/32"
HOST_PORT = "host, host:port or [IPv6 address]:port"


class AddressTests(SynchronousTestCase):
    def test_what_ipaddress_takes(self) -> None:
        for text in (
            "192.0.2.1",
            "0.0.0.0",
            "255.255.255.255",
            "::",
            "::1",
            "2001:DB8::1",
            "2001:db8:0:0:0:0:0:1",
            "::ffff:127.0.0.1",
            "fe80::1%eth0",
            "fe80::1%1",
            "fe80::1%br-lan.7",
            "fe80::1%en\N{LATIN SMALL LETTER E WITH ACUTE}",
        ):
            self.assertEqual(parse_address(text), ip_address(text))

    def test_zone_is_kept(self) -> None:
        address = parse_address("fe80::1%eth0")
        self.assertIsInstance(address, IPv6Address)
        self.assertEqual(str(address), "fe80::1%eth0")

    def test_others_are_refused(self) -> None:
        for text in (
            "",
            "localhost",
            "127.1",
            "2130706433",
            "0x7f.0.0.1",
            "0x7f000001",
            "0177.0.0.1",
            "127.0.0.01",
            "127.0.0.1.",
            "127.0.0.1 ",
            " 127.0.0.1",
            "127.0.0.1\n",
            "127.0.0.256",
            "127.0.0.-1",
            "127.0.0",
            "1.2.3.4.5",
            "1.2.3.4/32",
            "1.2.3.4%eth0",
            "\uff11\uff12\uff17.0.0.1",
            "127\u30020\u30020\u30021",
            "\u0661.2.3.4",
            "[::1]",
            ":::",
            "1::2::3",
            "::12345",
            "::g",
            "::1.2.3",
            "::127.0.0.01",
            "1:2:3:4:5:6:7:8:9",
            "::1/128",
        ):
            with self.assertRaises(AddressError) as caught:
                parse_address(text)
            self.assertEqual(str(caught.exception), f"{shown(text)}: expected {ADDRESS}")

    def test_zones_that_no_interface_has(self) -> None:
        """All of them but the first two pass for addresses with ipaddress."""
        for zone in ("", "a%b", "a b", "eth0\n", "\0", "eth0:80", "a]", "[a", "\u00a0", "\u202e"):
            text = f"fe80::1%{zone}"
            with self.assertRaises(AddressError) as caught:
                parse_address(text)
            self.assertEqual(str(caught.exception), f"{shown(text)}: expected {ADDRESS}")

    def test_length(self) -> None:
        most = "fe80::1%" + "x" * (MAX_ADDRESS - 8)
        self.assertEqual(str(parse_address(most)), most)
        for text in (most + "x", "1" * 1_000_000, ":" * 1_000_000):
            with self.assertRaises(AddressError) as caught:
                parse_address(text)
            self.assertEqual(
                str(caught.exception), f"{shown(text)}: expected {ADDRESS}, in up to 128 characters"
            )


class NetworkTests(SynchronousTestCase):
    def test_what_ipaddress_takes(self) -> None:
        for text in (
            "192.0.2.0/24",
            "0.0.0.0/0",
            "192.0.2.1/32",
            "192.0.2.0/255.255.255.0",
            "0.0.0.0/0.0.0.0",
            "192.0.2.1/255.255.255.255",
            "2001:db8::/32",
            "::/0",
            "::1/128",
            "::ffff:127.0.0.0/104",
        ):
            self.assertEqual(parse_network(text), ip_network(text))

    def test_a_bare_address(self) -> None:
        self.assertEqual(parse_network("192.0.2.1"), IPv4Network("192.0.2.1/32"))
        self.assertEqual(parse_network("2001:db8::1"), IPv6Network("2001:db8::1/128"))

    def test_host_bits(self) -> None:
        for text, network in {
            "10.1.2.3/8": "10.0.0.0/8",
            "10.1.2.3/255.0.0.0": "10.0.0.0/8",
            "10.1.2.3/0.0.0.0": "0.0.0.0/0",
            "0.0.0.1/31": "0.0.0.0/31",
            "2001:db8::1/32": "2001:db8::/32",
        }.items():
            with self.assertRaises(AddressError) as caught:
                parse_network(text)
            self.assertEqual(
                str(caught.exception),
                f"{shown(text)}: expected no bits set behind the prefix, as in {network}",
            )
            self.assertEqual(parse_network(text, strict=False), ip_network(network))

    def test_others_are_refused(self) -> None:
        for text in (
            "",
            "/",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/ 8",
            "10.0.0.0/8 ",
            "10.0.0.0/8/8",
            "10.0.0.0/255.0.255.0",
            "10/8",
            "010.0.0.0/8",
            "::/129",
            "::/ffff::",
            "10.0.0.0/\u0668",
            "example.com/8",
        ):
            for strict in (False, True):
                with self.assertRaises(AddressError) as caught:
                    parse_network(text, strict=strict)
                self.assertEqual(str(caught.exception), f"{shown(text)}: expected {NETWORK}")

    def test_masks_that_say_two_things(self) -> None:
        """With ipaddress, 0.0.0.255 is /24, and /08 is /8."""
        for text in ("10.0.0.0/0.0.0.255", "10.0.0.0/08", "::/00", "::/064"):
            for strict in (False, True):
                with self.assertRaises(AddressError) as caught:
                    parse_network(text, strict=strict)
                self.assertEqual(
                    str(caught.exception),
                    f"{shown(text)}: expected a prefix length or a netmask behind the slash",
                )

    def test_zone(self) -> None:
        for text in ("fe80::%eth0/64", "fe80::1%eth0"):
            with self.assertRaises(AddressError) as caught:
                parse_network(text)
            self.assertEqual(
                str(caught.exception), f"{shown(text)}: expected a network without a zone id"
            )

    def test_length(self) -> None:
        text = "10.0.0.0/" + "0" * 1_000_000
        with self.assertRaises(AddressError) as caught:
            parse_network(text)
        self.assertEqual(
            str(caught.exception), f"{shown(text)}: expected {NETWORK}, in up to 128 characters"
        )


class HostPortTests(SynchronousTestCase):
    def test_every_form(self) -> None:
        host_v4, host_v6 = IPv4Address("192.0.2.1"), IPv6Address("::1")
        zoned = IPv6Address("fe80::1%eth0")
        for text, host_port in {
            "example.com:80": HostPort("example.com", 80),
            "example.com": HostPort("example.com"),
            "Example.COM.:0": HostPort("Example.COM.", 0),
            "a_b-c:65535": HostPort("a_b-c", 65535),
            "xn--bcher-kva.example:00080": HostPort("xn--bcher-kva.example", 80),
            "192.0.2.1": HostPort(host_v4),
            "192.0.2.1:80": HostPort(host_v4, 80),
            "[::1]:80": HostPort(host_v6, 80),
            "[::1]": HostPort(host_v6),
            "::1": HostPort(host_v6),
            "[fe80::1%eth0]:7": HostPort(zoned, 7),
            "fe80::1%eth0": HostPort(zoned),
            "1.example:1": HostPort("1.example", 1),
            "0xabc.example": HostPort("0xabc.example"),
        }.items():
            self.assertEqual(parse_host_port(text), host_port)

    def test_default_port(self) -> None:
        for text in ("a", "a:", "192.0.2.1", "192.0.2.1:", "[::1]", "[::1]:", "::1"):
            self.assertEqual(parse_host_port(text, 80).port, 80)
            self.assertIsNone(parse_host_port(text).port)
        for text in ("a:7", "192.0.2.1:7", "[::1]:7"):
            self.assertEqual(parse_host_port(text, 80).port, 7)

    def test_bare_ipv6_has_no_port(self) -> None:
        self.assertEqual(parse_host_port("::1:80", 7), HostPort(IPv6Address("::1:80"), 7))

    def test_round_trip(self) -> None:
        for text in ("a:80", "a", "192.0.2.1:80", "192.0.2.1", "[::1]:80", "[fe80::1%eth0]"):
            self.assertEqual(str(parse_host_port(text)), text)
        self.assertEqual(str(parse_host_port("::1", 80)), "[::1]:80")

    def test_values_can_be_keys(self) -> None:
        self.assertEqual(len({parse_host_port("[::1]:80"), parse_host_port("::1", 80)}), 1)

    def test_no_host(self) -> None:
        for text in ("", ":", ":80"):
            with self.assertRaises(AddressError) as caught:
                parse_host_port(text, 80)
            self.assertEqual(
                str(caught.exception), f"{shown(text)}: expected {HOST_PORT}: there is no host"
            )

    def test_ports_out_of_range(self) -> None:
        for port in ("65536", "99999", "000080", "-1", "+80", " 80", "80 ", "http", "\u0668"):
            for host in ("a", "192.0.2.1", "[::1]"):
                text = f"{host}:{port}"
                with self.assertRaises(AddressError) as caught:
                    parse_host_port(text)
                self.assertEqual(
                    str(caught.exception),
                    f"{shown(text)}: expected {HOST_PORT}, with a port from 0 to 65535",
                )

    def test_others_are_refused(self) -> None:
        for text in (
            "a b",
            "a/b",
            "a@b",
            "a,b:80",
            "a%20b",
            "a\n",
            "a\0",
            ".",
            "a..b",
            ".a",
            "b\u00fccher.example",
            "x" * 64,
            "[",
            "[]",
            "[]:80",
            "[::1",
            "[::1:80",
            "[::1]80",
            "[::1]]:80",
            "[[::1]]:80",
            "[192.0.2.1]:80",
            "[example.com]:80",
            "[v1.a]:80",
            "::1]:80",
            "::1]",
            "a:80:90",
            "fe80::1%eth0:80",
            "[fe80::1%]:80",
            "[fe80::1%a]b]:80",
        ):
            with self.assertRaises(AddressError) as caught:
                parse_host_port(text)
            self.assertEqual(str(caught.exception), f"{shown(text)}: expected {HOST_PORT}")

    def test_numbers_never_pass_for_names(self) -> None:
        """What inet_aton takes, what it nearly takes, and what URL parsers take."""
        for host in (
            "127.1",
            "2130706433",
            "0x7f.1",
            "0x7f000001",
            "0177.0.0.1",
            "127.0.0.256",
            "127.0.0.1.",
            "1.2.3.4.5",
            "host.1",
            "host.0x",
            "09",
        ):
            for text in (host, f"{host}:80"):
                with self.assertRaises(AddressError) as caught:
                    parse_host_port(text)
                self.assertEqual(str(caught.exception), f"{shown(text)}: expected {HOST_PORT}")

    def test_length(self) -> None:
        name = ".".join(["x" * 63] * 3 + ["y" * 61])
        self.assertEqual(len(name), 253)
        self.assertEqual(parse_host_port(f"{name}.:65535"), HostPort(f"{name}.", 65535))
        with self.assertRaises(AddressError) as caught:
            parse_host_port(f"{name}yy")
        self.assertEqual(caught.exception.expected, HOST_PORT)
        for text in ("x" * (MAX_HOST_PORT + 1), "a." * 500_000, "[" * 1_000_000):
            with self.assertRaises(AddressError) as caught:
                parse_host_port(text)
            self.assertEqual(
                str(caught.exception),
                f"{shown(text)}: expected {HOST_PORT}, in up to 260 characters",
            )
