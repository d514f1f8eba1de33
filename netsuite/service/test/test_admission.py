from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from netsuite.ip import AccessList
from netsuite.service import _admission
from netsuite.service._admission import Admission, AdmissionRules, BanList, Refusal

ONE, OTHER = ip_address("192.0.2.1"), ip_address("192.0.2.2")


class AdmissionCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def admission(self, **rules: Any) -> Admission:
        return Admission(AdmissionRules(**rules), self.clock.seconds)

    def enter(self, admission: Admission, text: str | None) -> Refusal | None:
        """Ask for a peer and, if it may, have it in."""
        address = None if text is None else ip_address(text)
        refusal = admission.refusal(address)
        if refusal is None:
            admission.enter(None if address is None else admission.client_of(address))
        return refusal

    def leave(self, admission: Admission, text: str) -> None:
        admission.leave(admission.client_of(ip_address(text)))

    def results(self, admission: Admission, texts: Iterable[str | None]) -> list[Refusal | None]:
        return [self.enter(admission, text) for text in texts]


class AdmissionTests(AdmissionCase):
    def test_without_rules_everybody_may(self) -> None:
        admission = self.admission()
        self.assertEqual(self.results(admission, ["192.0.2.1"] * 1000), [None] * 1000)
        self.assertEqual(admission.active, 1000)

    def test_access(self) -> None:
        admission = self.admission(access=AccessList.from_text("allow 192.0.2.1\n"))
        self.assertIsNone(admission.refusal(ONE))
        self.assertEqual(admission.refusal(OTHER), Refusal.ACCESS)

    def test_peers_without_an_address_pass_access_and_bans(self) -> None:
        admission = self.admission(access=AccessList(default=False), max_per_client=1)
        admission.bans.ban(ip_network("0.0.0.0/0"))
        self.assertEqual(self.results(admission, [None, None, None]), [None] * 3)

    def test_max_connections_counts_everybody(self) -> None:
        admission = self.admission(max_connections=3)
        self.assertEqual(
            self.results(admission, ["192.0.2.1", "2001:db8::1", None, "192.0.2.9", None]),
            [None, None, None, Refusal.CONNECTIONS, Refusal.CONNECTIONS],
        )
        self.leave(admission, "192.0.2.1")
        self.assertEqual(
            self.results(admission, ["192.0.2.9", "192.0.2.9"]), [None, Refusal.CONNECTIONS]
        )

    def test_max_per_client(self) -> None:
        admission = self.admission(max_per_client=2)
        self.assertEqual(
            self.results(admission, ["192.0.2.1"] * 3 + ["192.0.2.2"]),
            [None, None, Refusal.CLIENT_CONNECTIONS, None],
        )
        self.leave(admission, "192.0.2.1")
        self.assertEqual(
            self.results(admission, ["192.0.2.1"] * 2), [None, Refusal.CLIENT_CONNECTIONS]
        )

    def test_a_client_that_has_left_is_forgotten(self) -> None:
        admission = self.admission(max_per_client=2)
        for last in range(1, 200):
            self.enter(admission, f"192.0.2.{last}")
            self.leave(admission, f"192.0.2.{last}")
        self.assertEqual((admission.active, admission._clients), (0, {}))

    def test_a_peer_without_an_address_leaves_too(self) -> None:
        admission = self.admission(max_connections=1)
        self.enter(admission, None)
        admission.leave(None)
        self.assertIsNone(self.enter(admission, None))

    def test_mapped_peers_are_ipv4_peers(self) -> None:
        admission = self.admission(
            max_per_client=1, access=AccessList.from_text("deny 192.0.2.2\ndefault allow\n")
        )
        admission.bans.ban(ip_network("192.0.2.3/32"))
        self.assertEqual(
            self.results(
                admission,
                ["192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.2", "::ffff:192.0.2.4"],
            ),
            [None, Refusal.CLIENT_CONNECTIONS, Refusal.ACCESS, None],
        )

    def test_what_a_client_is(self) -> None:
        admission = self.admission(max_per_client=1)
        self.assertEqual(
            self.results(
                admission,
                ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"],
            ),
            [None, None, None, Refusal.CLIENT_CONNECTIONS, None],
        )

    def test_client_prefixes(self) -> None:
        admission = self.admission(client_prefix_ipv4=24, client_prefix_ipv6=48)
        clients = [
            admission.client_of(ip_address(text))
            for text in ("192.0.2.1", "192.0.2.255", "::ffff:192.0.2.9", "192.0.3.0")
        ]
        self.assertEqual(len({*clients[:3]}), 1)
        self.assertNotIn(clients[3], clients[:3])
        clients = [
            admission.client_of(ip_address(text))
            for text in ("2001:db8:1:2::3", "2001:db8:1:ffff::", "2001:db8:2::")
        ]
        self.assertEqual([each == clients[0] for each in clients], [True, True, False])
        everybody = self.admission(max_per_client=1, client_prefix_ipv4=0, client_prefix_ipv6=128)
        self.assertEqual(
            self.results(
                everybody, ["192.0.2.1", "203.0.113.1", "2001:db8::1", "2001:db8::2", "2001:db8::2"]
            ),
            [None, Refusal.CLIENT_CONNECTIONS, None, None, Refusal.CLIENT_CONNECTIONS],
        )

    def test_accept_rate(self) -> None:
        admission = self.admission(accept_rate=2)
        texts = ["192.0.2.1", "192.0.2.2", None, "192.0.2.3"]
        self.assertEqual(
            self.results(admission, texts),
            [None, None, Refusal.ACCEPT_RATE, Refusal.ACCEPT_RATE],
        )
        self.clock.advance(0.49)
        self.assertEqual(self.enter(admission, None), Refusal.ACCEPT_RATE)
        self.clock.advance(0.01)
        self.assertEqual(self.results(admission, texts[:2]), [None, Refusal.ACCEPT_RATE])

    def test_a_rate_below_one_a_second_lets_one_in(self) -> None:
        admission = self.admission(accept_rate=0.25, client_accept_rate=0.25)
        self.assertEqual(
            self.results(admission, ["192.0.2.1"] * 2), [None, Refusal.CLIENT_ACCEPT_RATE]
        )
        self.clock.advance(4)
        self.assertIsNone(self.enter(admission, "192.0.2.1"))

    def test_client_accept_rate(self) -> None:
        admission = self.admission(client_accept_rate=2)
        self.assertEqual(
            self.results(admission, ["192.0.2.1"] * 3 + ["192.0.2.2"]),
            [None, None, Refusal.CLIENT_ACCEPT_RATE, None],
        )
        self.assertEqual(self.results(admission, [None] * 9), [None] * 9, "it is no client")
        self.clock.advance(0.5)
        self.assertEqual(
            self.results(admission, ["192.0.2.1"] * 2), [None, Refusal.CLIENT_ACCEPT_RATE]
        )

    def test_a_client_past_its_rate_costs_the_others_nothing(self) -> None:
        admission = self.admission(accept_rate=10, client_accept_rate=1)
        self.results(admission, ["192.0.2.1"] * 100)
        others = [f"192.0.2.{last}" for last in range(2, 12)]
        self.assertEqual(
            self.results(admission, others), [None] * 9 + [Refusal.ACCEPT_RATE], "9 are left"
        )

    def test_who_is_refused_for_another_reason_uses_no_rate(self) -> None:
        admission = self.admission(
            accept_rate=1, client_accept_rate=1, access=AccessList.from_text("allow 192.0.2.1\n")
        )
        self.results(admission, ["192.0.2.2"] * 10)
        self.assertIsNone(self.enter(admission, "192.0.2.1"))

    def test_the_order_of_reasons(self) -> None:
        """From what is wrong with this peer to what is wrong at this moment."""
        rules = AdmissionRules(
            access=AccessList(default=False),
            max_connections=1,
            max_per_client=1,
            accept_rate=1,
            client_accept_rate=1,
        )
        admission = Admission(AdmissionRules(), self.clock.seconds)
        self.enter(admission, "192.0.2.1")
        admission.change(rules)
        admission.bans.ban(ip_network("192.0.2.1/32"))
        self.assertEqual(admission.refusal(ONE), Refusal.BANNED)
        admission.bans.unban(ip_network("192.0.2.1/32"))
        self.assertEqual(admission.refusal(ONE), Refusal.ACCESS)
        admission.change(replace(rules, access=None))
        self.assertEqual(admission.refusal(ONE), Refusal.CONNECTIONS)
        admission.change(replace(rules, access=None, max_connections=None))
        self.assertEqual(admission.refusal(ONE), Refusal.CLIENT_CONNECTIONS)
        rules = AdmissionRules(accept_rate=1, client_accept_rate=1)
        admission.change(rules)
        self.assertIsNone(admission.refusal(ONE))
        self.assertEqual(admission.refusal(ONE), Refusal.CLIENT_ACCEPT_RATE)
        self.assertEqual(admission.refusal(OTHER), Refusal.ACCEPT_RATE)


class ChangeTests(AdmissionCase):
    def test_who_is_in_stays_in_and_counts(self) -> None:
        admission = self.admission()
        self.results(admission, ["192.0.2.1"] * 5)
        admission.change(AdmissionRules(max_per_client=3))
        self.assertEqual(admission.active, 5)
        self.assertEqual(self.enter(admission, "192.0.2.1"), Refusal.CLIENT_CONNECTIONS)
        for _ in range(3):
            self.leave(admission, "192.0.2.1")
        self.assertEqual(
            self.results(admission, ["192.0.2.1"] * 2), [None, Refusal.CLIENT_CONNECTIONS]
        )

    def test_who_came_in_as_one_client_leaves_as_that(self) -> None:
        admission = self.admission(max_per_client=2)
        before = admission.client_of(ONE)
        self.enter(admission, "192.0.2.1")
        admission.change(AdmissionRules(max_per_client=2, client_prefix_ipv4=24))
        self.enter(admission, "192.0.2.1")
        admission.leave(before)
        self.leave(admission, "192.0.2.1")
        self.assertEqual((admission.active, admission._clients), (0, {}))

    def test_a_rate_that_stays_keeps_what_was_taken(self) -> None:
        admission = self.admission(accept_rate=1, client_accept_rate=1)
        self.enter(admission, "192.0.2.1")
        admission.change(AdmissionRules(accept_rate=1, client_accept_rate=1, max_connections=9))
        self.assertEqual(self.enter(admission, "192.0.2.1"), Refusal.CLIENT_ACCEPT_RATE)
        self.assertEqual(self.enter(admission, "192.0.2.2"), Refusal.ACCEPT_RATE)

    def test_another_rate_counts_at_once(self) -> None:
        admission = self.admission(accept_rate=1, client_accept_rate=1)
        self.enter(admission, "192.0.2.1")
        admission.change(AdmissionRules(accept_rate=3, client_accept_rate=2))
        self.assertEqual(
            self.results(admission, ["192.0.2.1"] * 3 + ["192.0.2.2"] * 2),
            [None, None, Refusal.CLIENT_ACCEPT_RATE, None, Refusal.ACCEPT_RATE],
        )
        admission.change(AdmissionRules())
        self.assertEqual(self.results(admission, ["192.0.2.1"] * 100), [None] * 100)

    def test_bans_outlast_it(self) -> None:
        admission = self.admission()
        admission.bans.ban(ip_network("192.0.2.1/32"))
        admission.change(AdmissionRules(max_connections=1))
        self.assertEqual(admission.refusal(ONE), Refusal.BANNED)


class BanListTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.bans = BanList(self.clock.seconds)

    def test_empty(self) -> None:
        self.assertEqual(len(self.bans), 0)
        self.assertFalse(self.bans.covers(ONE))
        self.assertFalse(self.bans.unban(ip_network("192.0.2.1/32")))

    def test_a_network_covers_its_addresses(self) -> None:
        self.bans.ban(ip_network("192.0.2.0/31"))
        self.bans.ban(ip_network("2001:db8::/32"))
        covered = ["192.0.2.0", "192.0.2.1", "2001:db8:ffff::1"]
        free = ["192.0.2.2", "192.0.1.255", "2001:db9::", "::192.0.2.1"]
        self.assertEqual([self.bans.covers(ip_address(text)) for text in covered], [True] * 3)
        self.assertEqual([self.bans.covers(ip_address(text)) for text in free], [False] * 4)

    def test_a_ban_ends_by_itself(self) -> None:
        self.bans.ban(ip_network("192.0.2.1/32"), 10)
        self.clock.advance(9.9)
        self.assertTrue(self.bans.covers(ONE))
        self.clock.advance(0.1)
        self.assertFalse(self.bans.covers(ONE))
        self.assertEqual(len(self.bans), 0)
        self.assertFalse(self.bans.unban(ip_network("192.0.2.1/32")), "it has ended")

    def test_a_wider_ban_holds_when_a_narrower_one_has_ended(self) -> None:
        self.bans.ban(ip_network("192.0.2.0/24"), 20)
        self.bans.ban(ip_network("192.0.2.1/32"), 10)
        self.clock.advance(15)
        self.assertTrue(self.bans.covers(ONE))
        self.clock.advance(5)
        self.assertFalse(self.bans.covers(ONE))

    def test_the_last_word_counts(self) -> None:
        network = ip_network("192.0.2.1/32")
        self.bans.ban(network, 10)
        self.bans.ban(network)
        self.clock.advance(1e6)
        self.assertTrue(self.bans.covers(ONE))
        self.bans.ban(network, 1)
        self.clock.advance(1)
        self.assertFalse(self.bans.covers(ONE))

    def test_unban(self) -> None:
        network = ip_network("192.0.2.0/24")
        self.bans.ban(network)
        self.assertFalse(self.bans.unban(ip_network("192.0.2.1/32")), "another network")
        self.assertTrue(self.bans.unban(network))
        self.assertFalse(self.bans.unban(network))
        self.assertFalse(self.bans.covers(ONE))

    def test_what_is_banned(self) -> None:
        self.bans.ban(ip_network("192.0.2.0/24"), 10)
        self.bans.ban(ip_network("2001:db8::/32"))
        self.bans.ban(ip_network("203.0.113.1/32"), 2)
        self.clock.advance(4)
        self.assertEqual(
            dict(self.bans.networks()),
            {ip_network("192.0.2.0/24"): 6, ip_network("2001:db8::/32"): None},
        )

    def test_mapped_networks_are_ipv4_networks(self) -> None:
        self.bans.ban(ip_network("::ffff:192.0.2.0/120"))
        self.assertTrue(self.bans.covers(ONE))
        self.assertEqual(
            [network for network, _ in self.bans.networks()], [ip_network("192.0.2.0/24")]
        )
        self.assertTrue(self.bans.unban(ip_network("::ffff:c000:200/120")))
        self.assertFalse(self.bans.covers(ONE))

    def test_seconds_must_be_above_0(self) -> None:
        for wrong in (0, -1, float("nan")):
            with self.assertRaises(ValueError) as caught:
                self.bans.ban(ip_network("192.0.2.1/32"), wrong)
            self.assertIn("expected more than 0", str(caught.exception))
        self.assertEqual(len(self.bans), 0)

    def test_bounded(self) -> None:
        self.patch(_admission, "MOST_BANS", 3)
        for last in range(3):
            self.bans.ban(ip_network(f"192.0.2.{last}/32"), 10 + last)
        with self.assertRaises(ValueError) as caught:
            self.bans.ban(ip_network("192.0.2.9/32"))
        self.assertEqual(str(caught.exception), "3 networks are banned: expected no more")
        self.bans.ban(ip_network("192.0.2.0/32"), 10)  # one of them, again
        self.clock.advance(10)
        self.bans.ban(ip_network("192.0.2.9/32"))
        self.assertEqual(len(self.bans), 3, "one had ended")
