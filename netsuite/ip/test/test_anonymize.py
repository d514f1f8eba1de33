import hashlib
import hmac
from ipaddress import IPv4Address, ip_address

from twisted.trial.unittest import SynchronousTestCase

from netsuite.ip._anonymize import MIN_KEY, CryptoPAn, pseudonym, truncate

KEY = b"0123456789abcdef"


class TruncateTests(SynchronousTestCase):
    def check(self, text: str, expected: str, **lengths: int) -> None:
        self.assertEqual(str(truncate(ip_address(text), **lengths)), expected)

    def test_defaults(self) -> None:
        self.check("192.0.2.255", "192.0.2.0")
        self.check("2001:db8:1:ffff::1", "2001:db8:1::")

    def test_chosen_lengths(self) -> None:
        self.check("192.0.2.255", "192.0.0.0", ipv4=16)
        self.check("192.0.2.255", "192.0.2.255", ipv4=32)
        self.check("192.0.2.255", "0.0.0.0", ipv4=0)
        self.check("2001:db8::1", "2001:db8::1", ipv6=128)
        self.check("2001:db8::1", "::", ipv6=0)

    def test_mapped_is_ipv4(self) -> None:
        self.check("::ffff:192.0.2.255", "192.0.2.0")

    def test_zone_is_left_behind(self) -> None:
        self.check("fe80::1%eth0", "fe80::1", ipv6=128)

    def test_6to4_shows_no_more_of_the_ipv4_address(self) -> None:
        self.check("2002:c000:2ff:1::1", "2002:c000:200::")
        self.check("2002:c000:2ff:1::1", "2002:c000::", ipv4=16)
        self.check("2002:c000:2ff:1::1", "2002:c000::", ipv6=32)
        self.check("2002:c000:2ff:1::1", "2002:c000:2ff::", ipv4=32)

    def test_lengths_out_of_range(self) -> None:
        for lengths in ({"ipv4": 33}, {"ipv4": -1}, {"ipv6": 129}, {"ipv6": -1}):
            for text in ("192.0.2.1", "::1"):
                with self.assertRaises(ValueError):
                    truncate(ip_address(text), **lengths)


class PseudonymTests(SynchronousTestCase):
    def test_is_the_beginning_of_an_hmac(self) -> None:
        digest = hmac.new(KEY, b"\x04\xc0\x00\x02\x01", hashlib.sha256).digest()
        self.assertEqual(pseudonym(ip_address("192.0.2.1"), KEY), IPv4Address(digest[:4]))

    def test_is_stable(self) -> None:
        # Were these to change, yesterday's log would no longer agree with today's.
        for text, expected in (
            ("192.0.2.1", "23.202.52.81"),
            ("2001:db8::1", "f188:6bb1:fe19:b0fe:b8bc:de87:609e:e7d7"),
        ):
            self.assertEqual(str(pseudonym(ip_address(text), KEY)), expected)

    def test_depends_on_the_address_the_family_and_the_key(self) -> None:
        one = pseudonym(ip_address("192.0.2.1"), KEY)
        self.assertNotEqual(one, pseudonym(ip_address("192.0.2.2"), KEY))
        self.assertNotEqual(one, pseudonym(ip_address("192.0.2.1"), KEY + b"x"))
        low, high = pseudonym(ip_address("::1"), KEY), pseudonym(ip_address("0.0.0.1"), KEY)
        self.assertNotEqual(low.packed[:4], high.packed)

    def test_mapped_and_zone(self) -> None:
        one = pseudonym(ip_address("192.0.2.1"), KEY)
        self.assertEqual(pseudonym(ip_address("::ffff:192.0.2.1"), KEY), one)
        self.assertEqual(
            pseudonym(ip_address("fe80::1%eth0"), KEY), pseudonym(ip_address("fe80::1"), KEY)
        )

    def test_short_key_is_refused_and_not_shown(self) -> None:
        with self.assertRaises(ValueError) as caught:
            pseudonym(ip_address("192.0.2.1"), KEY[1:])
        self.assertEqual(str(caught.exception), "a key of 15 octets: expected at least 16")
        self.assertEqual(len(KEY), MIN_KEY)


class CryptoPAnTests(SynchronousTestCase):
    # The sample of the authors' program.
    sample = CryptoPAn(
        bytes(
            [
                *(21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16),
                *(216, 152, 143, 131, 121, 121, 101, 39, 98, 87, 76, 45, 42, 132, 34, 2),
            ]
        )
    )
    other = CryptoPAn(b"32-char-str-for-AES-key-and-pad.")

    def check(self, hiding: CryptoPAn, text: str, expected: str) -> None:
        address, hidden = ip_address(text), ip_address(expected)
        self.assertEqual(hiding.anonymize(address), hidden)
        self.assertEqual(hiding.deanonymize(hidden), address)

    def test_published_vectors(self) -> None:
        self.check(self.sample, "128.11.68.132", "135.242.180.132")
        self.check(self.sample, "129.118.74.4", "134.136.186.123")
        self.check(self.sample, "130.132.252.244", "133.68.164.234")
        self.check(self.other, "192.0.2.1", "192.0.125.244")
        self.check(self.other, "2001:db8::1", "27fe:8bc7:fee:1e:1e1f:f0fe:f0e1:83fd")

    def test_ends_of_the_address_space(self) -> None:
        for text in ("0.0.0.0", "255.255.255.255", "::", "ffff:" * 7 + "ffff"):
            address = ip_address(text)
            hidden = self.other.anonymize(address)
            self.assertEqual(hidden.version, address.version)
            self.assertEqual(self.other.deanonymize(hidden), address)

    def test_each_has_one_that_nobody_else_has(self) -> None:
        addresses = [IPv4Address(0xC0000200 + host) for host in range(256)]
        hidden = {self.other.anonymize(address) for address in addresses}
        self.assertEqual(len(hidden), 256)
        self.assertEqual(len({int(address) >> 8 for address in hidden}), 1)

    def test_mapped_is_ipv4(self) -> None:
        self.assertEqual(
            self.other.anonymize(ip_address("::ffff:192.0.2.1")), ip_address("192.0.125.244")
        )

    def test_key_of_another_length(self) -> None:
        for size in (0, 16, 31, 33):
            with self.assertRaises(ValueError) as caught:
                CryptoPAn(b"k" * size)
            self.assertEqual(str(caught.exception), f"a key of {size} octets: expected 32")
