from ipaddress import IPv4Network, IPv6Network, ip_address

from twisted.trial.unittest import SynchronousTestCase

from netsuite.ip import rate_key


class RateKeyTests(SynchronousTestCase):
    def test_defaults(self) -> None:
        self.assertEqual(rate_key(ip_address("192.0.2.9")), IPv4Network("192.0.2.9/32"))
        self.assertEqual(rate_key(ip_address("2001:db8::9")), IPv6Network("2001:db8::/64"))

    def test_chosen_lengths(self) -> None:
        self.assertEqual(rate_key(ip_address("192.0.2.9"), ipv4=24), IPv4Network("192.0.2.0/24"))
        self.assertEqual(
            rate_key(ip_address("2001:db8:0:0:1::"), ipv6=48), IPv6Network("2001:db8::/48")
        )

    def test_mapped_counts_as_ipv4(self) -> None:
        self.assertEqual(
            rate_key(ip_address("::ffff:192.0.2.9"), ipv4=24), IPv4Network("192.0.2.0/24")
        )

    def test_zone_is_left_behind(self) -> None:
        self.assertEqual(rate_key(ip_address("fe80::1%eth0")), IPv6Network("fe80::/64"))

    def test_bad_length(self) -> None:
        with self.assertRaises(ValueError):
            rate_key(ip_address("192.0.2.9"), ipv4=33)
