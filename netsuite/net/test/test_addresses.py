from ipaddress import ip_address

from twisted.internet.address import HostnameAddress, IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from netsuite.net._addresses import address_text, host_of


class AddressTest(SynchronousTestCase):
    def test_text(self) -> None:
        for address, text in (
            (IPv4Address("TCP", "192.0.2.1", 7), "192.0.2.1:7"),
            (IPv6Address("TCP", "2001:db8::1", 7), "[2001:db8::1]:7"),
            (UNIXAddress(b"/run/x"), "unix:/run/x"),
            (UNIXAddress(None), "unix:"),
            (HostnameAddress(b"x.example", 7), str(HostnameAddress(b"x.example", 7))),
        ):
            self.assertEqual(address_text(address), text)

    def test_host(self) -> None:
        for host, found in (
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("fe80::1%eth0", "fe80::1"),
        ):
            self.assertEqual(host_of(IPv6Address("TCP", host, 7)), ip_address(found))
        self.assertEqual(host_of(IPv4Address("TCP", "192.0.2.1", 7)), ip_address("192.0.2.1"))
        for other in (UNIXAddress(b"/run/x"), HostnameAddress(b"192.0.2.1", 7)):
            self.assertIsNone(host_of(other))
