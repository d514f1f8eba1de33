import random
import time
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from twisted.trial.unittest import SynchronousTestCase

from netsuite.ip._access import AccessList, Decision, Rule
from netsuite.ip._errors import AddressError
from netsuite.ip._range import IPRange
from netsuite.ip._rate import IPAddress

TEXT = """\
# who may come in
deny 192.0.2.66          # not this one
allow 192.0.2.0/24
\tallow  2001:db8::5-2001:db8::9

allow 198.51.100.0 - 198.51.100.9
deny all
"""


def slowly(rules: list[Rule], address: IPAddress) -> Rule | None:
    """The first rule that matches, looked for one by one."""
    for rule in rules:
        if rule.addresses is None or address in rule.addresses:
            return rule
    return None


class RuleTests(SynchronousTestCase):
    def test_text_and_back(self) -> None:
        for text, canonical in (
            ("allow 192.0.2.1", "allow 192.0.2.1"),
            ("deny 192.0.2.0/24", "deny 192.0.2.0/24"),
            ("allow 192.0.2.0-192.0.2.255", "allow 192.0.2.0/24"),
            ("allow 192.0.2.1-9", "allow 192.0.2.1-192.0.2.9"),
            ("  deny\t 10.*.*.* ", "deny 10.0.0.0/8"),
            ("deny all", "deny all"),
            ("allow ::/0", "allow ::/0"),
            ("allow 2001:db8::1", "allow 2001:db8::1"),
        ):
            rule = Rule.parse(text)
            self.assertEqual(str(rule), canonical)
            self.assertEqual(Rule.parse(canonical), rule)

    def test_wrong(self) -> None:
        for text in (
            *("", "allow", "deny ", "permit all", "Allow all", "allow all all", "all"),
            *("allow 10.0.0.1/8", "deny fe80::1%eth0", "deny fe80::%eth0/64", "allow 1.2.3"),
            *("allow 10.0.0.0/33", "allow example.org", "allow 10.0.0.9-10.0.0.1"),
            *("allow 10.0.0.1-::1", "allow10.0.0.0/8"),
        ):
            with self.assertRaises(AddressError, msg=text):
                Rule.parse(text)

    def test_line_is_no_part_of_it(self) -> None:
        self.assertEqual(Rule.parse("deny all", 3), Rule.parse("deny all"))


class AccessListTests(SynchronousTestCase):
    def check(self, access: AccessList, address: str, said: str) -> None:
        self.assertEqual(str(access.decide(ip_address(address))), said)

    def test_first_match_decides(self) -> None:
        access = AccessList.from_text(TEXT)
        self.check(access, "192.0.2.66", 'denied by "deny 192.0.2.66", line 2')
        self.check(access, "192.0.2.65", 'allowed by "allow 192.0.2.0/24", line 3')
        self.check(access, "192.0.2.67", 'allowed by "allow 192.0.2.0/24", line 3')
        self.check(access, "192.0.3.0", 'denied by "deny all", line 7')
        self.check(access, "2001:db8::4", 'denied by "deny all", line 7')
        self.check(access, "2001:db8::5", 'allowed by "allow 2001:db8::5-2001:db8::9", line 4')
        self.check(access, "2001:db8::9", 'allowed by "allow 2001:db8::5-2001:db8::9", line 4')
        self.check(access, "2001:db8::a", 'denied by "deny all", line 7')
        self.check(access, "198.51.100.9", 'allowed by "allow 198.51.100.0-198.51.100.9", line 6')

    def test_ends_of_the_address_space(self) -> None:
        access = AccessList([Rule.parse("allow 0.0.0.0"), Rule.parse("allow 255.255.255.255")])
        for text, allowed in (
            ("0.0.0.0", True),
            ("0.0.0.1", False),
            ("255.255.255.254", False),
            ("255.255.255.255", True),
            ("::", False),
            (str(IPv6Address(2**128 - 1)), False),
        ):
            self.assertIs(access.decide(ip_address(text)).allowed, allowed)

    def test_default(self) -> None:
        nothing = AccessList()
        self.check(nothing, "::1", "denied by default")
        access = AccessList([Rule.parse("deny 10.0.0.0/8")], default=True)
        self.check(access, "10.0.0.1", 'denied by "deny 10.0.0.0/8"')
        self.check(access, "::1", "allowed by default")
        self.assertEqual(access.decide(ip_address("::1")), Decision(allowed=True, rule=None))

    def test_mapped_peer_is_an_ipv4_peer(self) -> None:
        access = AccessList.from_text("deny ::/0\nallow 192.0.2.0/24\n")
        self.assertTrue(access.decide(ip_address("::ffff:192.0.2.1")).allowed)
        self.check(access, "::ffff:192.0.3.1", "denied by default")
        everybody = AccessList.from_text("allow all")
        self.assertTrue(everybody.decide(ip_address("::ffff:192.0.2.1")).allowed)

    def test_rule_for_mapped_addresses_is_an_ipv4_rule(self) -> None:
        access = AccessList.from_text("allow ::ffff:192.0.2.0/120")
        for text in ("192.0.2.255", "::ffff:192.0.2.255"):
            self.assertTrue(access.decide(ip_address(text)).allowed)
        self.assertFalse(access.decide(ip_address("192.0.3.0")).allowed)

    def test_zone_of_a_peer(self) -> None:
        access = AccessList.from_text("allow fe80::/10")
        self.assertTrue(access.decide(ip_address("fe80::1%eth0")).allowed)

    def test_text_and_back(self) -> None:
        access = AccessList.from_text(TEXT + "default allow\n")
        self.assertEqual(
            str(access),
            "deny 192.0.2.66\n"
            "allow 192.0.2.0/24\n"
            "allow 2001:db8::5-2001:db8::9\n"
            "allow 198.51.100.0-198.51.100.9\n"
            "deny all\n"
            "default allow\n",
        )
        again = AccessList.from_text(str(access))
        self.assertEqual(again, access)
        self.assertEqual(hash(again), hash(access))
        self.assertNotEqual(AccessList.from_text(TEXT), access)

    def test_errors_name_the_line(self) -> None:
        with self.assertRaises(AddressError) as caught:
            AccessList.from_lines(["allow 10.0.0.0/8\n", "\n", "alow all # x\n"], "access.txt")
        self.assertEqual(
            str(caught.exception),
            '\'alow all\': expected "allow" or "deny", then addresses or "all" '
            "(access.txt, line 3)",
        )
        with self.assertRaises(AddressError) as caught:
            AccessList.from_text("\nallow 10.0.0.1/8")
        self.assertIn("10.0.0.0/8 (line 2)", str(caught.exception))

    def test_default_is_said_once_and_right(self) -> None:
        for text in ("default", "default maybe", "default allow\ndefault allow", "defaultallow"):
            with self.assertRaises(AddressError, msg=text):
                AccessList.from_text(text)

    def test_nothing_can_be_changed(self) -> None:
        access = AccessList.from_text(TEXT)
        with self.assertRaises(AttributeError):
            access.default = True  # type: ignore[misc]  # that is what is tested

    def test_against_looking_one_by_one(self) -> None:
        pick = random.Random(20261122)
        for _ in range(50):
            rules = []
            for _ in range(pick.randrange(12)):
                first, last = sorted(pick.choices(range(24), k=2))
                kind = pick.choice((IPv4Address, IPv6Address))
                addresses = IPRange(kind(first), kind(last)) if pick.random() > 0.1 else None
                rules.append(Rule(pick.random() > 0.5, addresses))
            access = AccessList(rules)
            for value in range(26):
                for address in (IPv4Address(value), IPv6Address(value)):
                    self.assertIs(access.decide(address).rule, slowly(rules, address))

    def test_thousands_of_rules(self) -> None:
        rules = [
            Rule(index % 3 == 0, IPRange.of(ip_network(((10 << 24) + index * 128, 25))))
            for index in range(20_000)
        ]
        rules.append(Rule(True, IPRange.of(IPv6Network("2001:db8::/32"))))
        started = time.perf_counter()
        access = AccessList(rules)
        for value in range(20_000):
            access.decide(IPv4Address((10 << 24) + value * 128))
        # One by one it would be a matter of minutes.
        self.assertLess(time.perf_counter() - started, 10)
        self.assertIs(access.decide(IPv4Address((10 << 24) + 128 * 19_999)).rule, rules[19_999])
